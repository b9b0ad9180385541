//! Calls of every procedure, and the records that carry them.

use std::collections::HashSet;

use nfs3_types::nfs3::*;
use nfs3_types::rpc::{auth_unix, call_body, msg_body, opaque_auth, rpc_msg};
use nfs3_types::xdr_codec::{Opaque, Pack, Unpack};
use nfs3_types::{mount, nfs3};

/// The bytes of a file handle.
pub type Handle = Vec<u8>;

/// The head of a record: xid, direction, RPC version, program, version, procedure.
const HEAD_WORDS: usize = 6;

/// Who calls.
#[derive(Debug)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    pub groups: &'static [u32],
}

/// The users that the server admits: root, one with a group of its own, and one who is a member of that group.
pub const USERS: [User; 3] = [
    User { uid: 0, gid: 0, groups: &[] },
    User { uid: 1000, gid: 100, groups: &[] },
    User { uid: 1001, gid: 1001, groups: &[100, 7] },
];
/// A user that it does not admit.
pub const STRANGER: User = User { uid: 1002, gid: 100, groups: &[0] };

/// A call with its arguments.
#[derive(Debug)]
pub enum Call {
    Null,
    GetAttr(GETATTR3args),
    SetAttr(SETATTR3args),
    Lookup(LOOKUP3args<'static>),
    Access(ACCESS3args),
    ReadLink(READLINK3args),
    Read(READ3args),
    Write(WRITE3args<'static>),
    Create(CREATE3args<'static>),
    MkDir(MKDIR3args<'static>),
    Symlink(SYMLINK3args<'static>),
    MkNod(MKNOD3args<'static>),
    Remove(REMOVE3args<'static>),
    RmDir(RMDIR3args<'static>),
    Rename(RENAME3args<'static, 'static>),
    Link(LINK3args<'static>),
    ReadDir(READDIR3args),
    ReadDirPlus(READDIRPLUS3args),
    FsStat(FSSTAT3args),
    FsInfo(FSINFO3args),
    PathConf(PATHCONF3args),
    Commit(COMMIT3args),
    /// MNT of this path.
    Mount(Vec<u8>),
}

impl Call {
    /// The program, and the number and arguments of the procedure.
    fn parts(&self) -> (u32, u32, Vec<u8>) {
        let (number, arguments) = match self {
            Call::Null => (0, Vec::new()),
            Call::GetAttr(arguments) => (1, encode(arguments)),
            Call::SetAttr(arguments) => (2, encode(arguments)),
            Call::Lookup(arguments) => (3, encode(arguments)),
            Call::Access(arguments) => (4, encode(arguments)),
            Call::ReadLink(arguments) => (5, encode(arguments)),
            Call::Read(arguments) => (6, encode(arguments)),
            Call::Write(arguments) => (7, encode(arguments)),
            Call::Create(arguments) => (8, encode(arguments)),
            Call::MkDir(arguments) => (9, encode(arguments)),
            Call::Symlink(arguments) => (10, encode(arguments)),
            Call::MkNod(arguments) => (11, encode(arguments)),
            Call::Remove(arguments) => (12, encode(arguments)),
            Call::RmDir(arguments) => (13, encode(arguments)),
            Call::Rename(arguments) => (14, encode(arguments)),
            Call::Link(arguments) => (15, encode(arguments)),
            Call::ReadDir(arguments) => (16, encode(arguments)),
            Call::ReadDirPlus(arguments) => (17, encode(arguments)),
            Call::FsStat(arguments) => (18, encode(arguments)),
            Call::FsInfo(arguments) => (19, encode(arguments)),
            Call::PathConf(arguments) => (20, encode(arguments)),
            Call::Commit(arguments) => (21, encode(arguments)),
            Call::Mount(path) => return (mount::PROGRAM, 1, encode(&Opaque::borrowed(path))),
        };
        (nfs3::PROGRAM, number, arguments)
    }

    /// The record of this call by a user; without one, with no credentials.
    pub fn record(&self, xid: u32, user: Option<&User>) -> Vec<u8> {
        let (prog, proc, arguments) = self.parts();
        let cred = user.map_or_else(opaque_auth::default, |user| {
            opaque_auth::auth_unix(&auth_unix {
                stamp: 7,
                machinename: Opaque::borrowed(b"here"),
                uid: user.uid,
                gid: user.gid,
                gids: user.groups.to_vec(),
            })
        });
        let body = call_body { rpcvers: 2, prog, vers: 3, proc, cred, verf: opaque_auth::default() };
        let mut record = encode(&rpc_msg { xid, body: msg_body::CALL(body) });
        record.extend(arguments);
        record
    }

    /// The call in a few words: data and handles are long.
    pub fn summary(&self) -> String {
        let mut text = format!("{self:?}");
        let end = text.char_indices().nth(1000).map_or(text.len(), |(end, _)| end);
        text.truncate(end);
        text
    }
}

/// What a record says without being decoded as a whole, as it may have been mutated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub xid: u32,
    pub program: u32,
    pub procedure: u32,
}

impl Head {
    /// Nothing for what is shorter than a head.
    pub fn of(record: &[u8]) -> Option<Head> {
        let mut words = record
            .get(..HEAD_WORDS * 4)?
            .chunks(4)
            .map(|word| word.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)));
        let xid = words.next()?;
        let (program, procedure) = (words.nth(2)?, words.nth(1)?);
        Some(Head { xid, program, procedure })
    }

    /// Whether a repeated call is not executed again, but gets the first reply.
    pub fn is_cached(self) -> bool {
        self.program == nfs3::PROGRAM && matches!(self.procedure, 2 | 8..=15)
    }
}

/// Whether every handle in a call of NFS is one of these; a record that cannot be decoded so far has none.
pub fn has_given_handles(record: &[u8], given: &HashSet<Handle>) -> bool {
    let mut rest = record;
    let (Some(head), Ok(_)) = (Head::of(record), rpc_msg::unpack(&mut rest)) else { return true };
    if head.program != nfs3::PROGRAM || head.procedure == 0 {
        return true;
    }
    let is_given = |rest: &mut &[u8]| {
        nfs_fh3::unpack(rest).is_ok_and(|(handle, _)| given.contains(handle.data.as_ref()))
    };
    match head.procedure {
        // RENAME has a name between its two directories.
        14 => is_given(&mut rest) && filename3::unpack(&mut rest).is_ok() && is_given(&mut rest),
        15 => is_given(&mut rest) && is_given(&mut rest),
        _ => is_given(&mut rest),
    }
}

/// A value in XDR.
pub fn encode(value: &impl Pack) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.pack(&mut bytes).expect("memory takes it");
    bytes
}

/// A handle as an argument.
pub fn handle(bytes: &[u8]) -> nfs_fh3 {
    nfs_fh3 { data: Opaque::owned(bytes.to_vec()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_tells_its_call_and_whether_its_handles_were_given() {
        let at = |directory: &[u8]| diropargs3 { dir: handle(directory), name: b"name"[..].into() };
        let rename = |from: &[u8], to: &[u8]| {
            Call::Rename(RENAME3args { from: at(from), to: at(to) }).record(9, Some(&USERS[1]))
        };
        let given = HashSet::from([b"one".to_vec(), b"another".to_vec()]);
        let record = rename(b"one", b"another");
        let head = Head { xid: 9, program: nfs3::PROGRAM, procedure: 14 };
        assert_eq!(Head::of(&record), Some(head));
        assert!(head.is_cached());
        assert!(has_given_handles(&record, &given));
        assert!(!has_given_handles(&rename(b"one", b"a third"), &given));
        assert!(!has_given_handles(&rename(b"", b"another"), &given));
        assert!(has_given_handles(&Call::Null.record(1, None), &given));
    }
}
