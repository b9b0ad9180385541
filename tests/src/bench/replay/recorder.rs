//! Understands calls and replies as far as it takes to tell which path each handle stands for.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use nfs3_types::mount::mountres3;
use nfs3_types::nfs3::{
    self, CREATE3res, LOOKUP3res, MKDIR3res, MKNOD3res, NFS_PROGRAM, Nfs3Option, Nfs3Result, READDIR3args,
    READDIRPLUS3args, READDIRPLUS3res, SYMLINK3res, WRITE3args, diropargs3, nfs_fh3, post_op_fh3,
};
use nfs3_types::rpc::{accept_stat_data, msg_body, reply_body, rpc_msg};
use nfs3_types::xdr_codec::{Pack, Unpack};

use super::trace::{Call, Named, Trace};

/// MOUNT's procedure MNT.
const MNT: u32 = 1;

/// What has been seen so far.
#[derive(Default)]
pub struct Recorder {
    trace: Trace,
    numbers: HashMap<Named, usize>,
    handles: HashMap<Vec<u8>, usize>,
    /// Calls without a reply.
    waiting: HashMap<u32, Waiting>,
    answered: usize,
}

/// What a reply will be the reply to.
enum Waiting {
    Mount,
    /// The number of a call that is kept, with the name that it may give a handle for.
    Kept {
        call: usize,
        procedure: NFS_PROGRAM,
        directory: usize,
        name: Vec<u8>,
    },
    /// A further page of a listing: whoever plays the trace asks for as many as the server needs.
    Page {
        directory: usize,
    },
}

impl Recorder {
    /// What was recorded.
    pub fn finish(self) -> Trace {
        self.trace
    }

    /// Takes note of a record from the client.
    pub fn call(&mut self, record: &[u8]) -> Result<()> {
        let mut left = record;
        let (message, _) = rpc_msg::unpack(&mut left).context("a call that cannot be decoded")?;
        let msg_body::CALL(body) = message.body else { bail!("the client replies") };
        let waiting = match (body.prog, body.proc) {
            (nfs3_types::mount::PROGRAM, MNT) => Waiting::Mount,
            (nfs3::PROGRAM, 1..) => self.nfs_call(NFS_PROGRAM::try_from(body.proc)?, left)?,
            _ => return Ok(()),
        };
        self.waiting.insert(message.xid, waiting);
        Ok(())
    }

    /// Takes note of a record from the server.
    pub fn reply(&mut self, record: &[u8]) -> Result<()> {
        let mut left = record;
        let (message, _) = rpc_msg::unpack(&mut left).context("a reply that cannot be decoded")?;
        let Some(waiting) = self.waiting.remove(&message.xid) else { return Ok(()) };
        let accepted = matches!(
            message.body,
            msg_body::REPLY(reply_body::MSG_ACCEPTED(accepted))
                if matches!(accepted.reply_data, accept_stat_data::SUCCESS)
        );
        if !accepted {
            bail!("the server does not carry a call out");
        }
        match waiting {
            Waiting::Mount => self.mounted(left),
            Waiting::Page { directory } => self.listed(directory, left),
            Waiting::Kept { call, procedure, directory, name } => {
                self.answered += 1;
                self.trace.calls[call].status = decode(&mut &*left)?;
                if self.trace.calls[call].status != 0 {
                    return Ok(());
                }
                self.learn(procedure, directory, &name, left)
            }
        }
    }

    fn nfs_call(&mut self, procedure: NFS_PROGRAM, arguments: &[u8]) -> Result<Waiting> {
        let mut rest = arguments;
        let object = self.number(&decode(&mut rest)?)?;
        if is_further_page(procedure, arguments)? {
            return Ok(Waiting::Page { directory: object });
        }
        let mut call = Call {
            answered: self.answered,
            procedure: procedure as u32,
            object,
            rest: rest.to_vec(),
            second: None,
            data: 0,
            status: 0,
        };
        let mut name = Vec::new();
        match procedure {
            NFS_PROGRAM::NFSPROC3_WRITE => {
                let write: WRITE3args<'_> = decode(&mut &*arguments)?;
                call.data = write.data.len();
                // Offset, count, how, and the data's length.
                call.rest.truncate(8 + 4 + 4 + 4);
            }
            NFS_PROGRAM::NFSPROC3_RENAME => {
                let from: diropargs3<'_> = decode(&mut &*arguments)?;
                call.rest = encode(&from.name)?;
                let mut behind = &arguments[from.packed_size()..];
                let to: nfs_fh3 = decode(&mut behind)?;
                call.second = Some((self.number(&to)?, behind.to_vec()));
            }
            NFS_PROGRAM::NFSPROC3_LINK => {
                call.rest.clear();
                let directory: nfs_fh3 = decode(&mut rest)?;
                call.second = Some((self.number(&directory)?, rest.to_vec()));
            }
            NFS_PROGRAM::NFSPROC3_LOOKUP
            | NFS_PROGRAM::NFSPROC3_CREATE
            | NFS_PROGRAM::NFSPROC3_MKDIR
            | NFS_PROGRAM::NFSPROC3_SYMLINK
            | NFS_PROGRAM::NFSPROC3_MKNOD => {
                let place: diropargs3<'_> = decode(&mut &*arguments)?;
                name = place.name.0.to_vec();
            }
            _ => {}
        }
        self.trace.calls.push(call);
        Ok(Waiting::Kept { call: self.trace.calls.len() - 1, procedure, directory: object, name })
    }

    fn mounted(&mut self, reply: &[u8]) -> Result<()> {
        match decode(&mut &*reply)? {
            mountres3::Ok(mounted) => {
                let root = Named { directory: 0, name: String::new() };
                let number = self.path(root);
                self.handles.insert(mounted.fhandle.0.into_owned(), number);
                Ok(())
            }
            mountres3::Err(status) => bail!("the client may not mount: {status}"),
        }
    }

    /// Takes note of the handle in a reply.
    fn learn(&mut self, procedure: NFS_PROGRAM, directory: usize, name: &[u8], reply: &[u8]) -> Result<()> {
        let reply = &mut &*reply;
        let handle = match procedure {
            NFS_PROGRAM::NFSPROC3_READDIRPLUS => return self.listed(directory, reply),
            NFS_PROGRAM::NFSPROC3_LOOKUP => match decode::<LOOKUP3res>(reply)? {
                Nfs3Result::Ok(found) => Some(found.object),
                Nfs3Result::Err(_) => None,
            },
            NFS_PROGRAM::NFSPROC3_CREATE => made(decode::<CREATE3res>(reply)?, |done| done.obj),
            NFS_PROGRAM::NFSPROC3_MKDIR => made(decode::<MKDIR3res>(reply)?, |done| done.obj),
            NFS_PROGRAM::NFSPROC3_SYMLINK => made(decode::<SYMLINK3res>(reply)?, |done| done.obj),
            NFS_PROGRAM::NFSPROC3_MKNOD => made(decode::<MKNOD3res>(reply)?, |done| done.obj),
            _ => None,
        };
        if let Some(handle) = handle {
            self.named(directory, name, handle);
        }
        Ok(())
    }

    fn listed(&mut self, directory: usize, mut reply: &[u8]) -> Result<()> {
        // READDIR gives no handles, and cannot be decoded as this.
        let Ok((Nfs3Result::Ok(listing), _)) = READDIRPLUS3res::unpack(&mut reply) else { return Ok(()) };
        for entry in listing.reply.entries.into_inner() {
            if let Nfs3Option::Some(handle) = entry.name_handle
                && !matches!(entry.name.as_ref(), b"." | b"..")
            {
                self.named(directory, entry.name.as_ref(), handle);
            }
        }
        Ok(())
    }

    fn named(&mut self, directory: usize, name: &[u8], handle: nfs_fh3) {
        let name = String::from_utf8_lossy(name).into_owned();
        let number = self.path(Named { directory, name });
        self.handles.insert(handle.data.into_owned(), number);
    }

    fn path(&mut self, path: Named) -> usize {
        let paths = &mut self.trace.paths;
        *self.numbers.entry(path.clone()).or_insert_with(|| {
            paths.push(path);
            paths.len() - 1
        })
    }

    fn number(&self, handle: &nfs_fh3) -> Result<usize> {
        self.handles.get(handle.data.as_ref()).copied().context("a handle that the server never gave")
    }
}

/// Whether a listing goes on.
fn is_further_page(procedure: NFS_PROGRAM, mut arguments: &[u8]) -> Result<bool> {
    Ok(match procedure {
        NFS_PROGRAM::NFSPROC3_READDIR => decode::<READDIR3args>(&mut arguments)?.cookie != 0,
        NFS_PROGRAM::NFSPROC3_READDIRPLUS => decode::<READDIRPLUS3args>(&mut arguments)?.cookie != 0,
        _ => false,
    })
}

/// The handle of something that was made, when the server tells it.
pub(super) fn made<T, E>(result: Nfs3Result<T, E>, handle: impl FnOnce(T) -> post_op_fh3) -> Option<nfs_fh3> {
    match result {
        Nfs3Result::Ok(done) => match handle(done) {
            Nfs3Option::Some(handle) => Some(handle),
            Nfs3Option::None => None,
        },
        Nfs3Result::Err(_) => None,
    }
}

fn decode<T: Unpack>(from: &mut &[u8]) -> Result<T> {
    let (value, _) = T::unpack(from).context("a record that cannot be decoded")?;
    Ok(value)
}

fn encode(value: &impl Pack) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    value.pack(&mut out)?;
    Ok(out)
}
