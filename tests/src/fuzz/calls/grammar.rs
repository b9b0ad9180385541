//! Draws calls: every procedure, names from a small set, offsets and counts at edges, handles that were given.

use nfs3_types::nfs3::*;
use nfs3_types::xdr_codec::Opaque;

use super::call::{Call, Handle, STRANGER, USERS, User, handle};
use crate::random::Random;

/// Names that may be made: few, so that they meet.
const NAMES: [&str; 6] = ["a", "b", "c", "d", "file", "directory"];
/// Names that may not, or that are in the view already.
const ODD_NAMES: [&str; 10] =
    ["", ".", "..", "a/b", "nul\0", "graft", "scratch", "closed", "link", "\u{fffd}"];
/// Bytes in a name that is too long.
const TOO_LONG: usize = 256;
/// The longest write of a file that has a model, in bytes; a tenth of the writes are longer than what the server receives at once.
const WRITE_MAX: usize = 5_000;
const LONG_WRITE: usize = 100_000;
/// The largest offset of a write that succeeds, in bytes.
const OFFSET_MAX: usize = 3 * 4096;
/// Counts at the edges of what a reply may hold.
const COUNTS: [u32; 8] = [0, 1, 4096, 8192, 1 << 16, 1 << 20, (1 << 20) + 1, u32::MAX];
/// Offsets at the edges of what a file may have.
const OFFSETS: [u64; 6] = [0, 1, 4096, i64::MAX as u64, 1 << 63, u64::MAX];

/// How far calls may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What the model can tell the result of.
    Modelled,
    /// Everything.
    Any,
}

/// Handles to draw from.
#[derive(Default)]
pub struct Pool {
    pub directories: Vec<Handle>,
    pub others: Vec<Handle>,
    /// Files with a name, each with its directory and its number.
    pub named: Vec<(Handle, Vec<u8>, u64)>,
    /// Handles that are no good: of another server, and of files that are gone.
    pub strange: Vec<Handle>,
}

/// Draws.
pub struct Grammar<'r> {
    pub random: &'r mut Random,
    pub pool: &'r Pool,
    pub scope: Scope,
    /// The path to mount.
    pub export: &'r str,
    /// A number for the verifiers of a round, of whose files no earlier round has made one; the next one is for them too.
    pub round: u64,
}

impl Grammar<'_> {
    /// A call and who makes it; nobody has no credentials.
    pub fn call(&mut self) -> (Call, Option<&'static User>) {
        let user = match self.random.below(40) {
            0 => Some(&STRANGER),
            1 => None,
            2..20 => Some(&USERS[0]),
            _ => Some(self.random.choose(&USERS)),
        };
        (self.procedure(), user)
    }

    /// What Linux's client does when a file is removed that is open: a silly rename, perhaps with the last close after it.
    pub fn silly_rename(&mut self) -> Vec<Call> {
        let Some((directory, name, fileid)) = self.random.choose_any(&self.pool.named) else {
            return Vec::new();
        };
        let hidden = format!(".nfs{fileid:016x}{:08x}", self.random.below(2));
        let hidden = hidden.as_bytes();
        let at = |name: &[u8]| diropargs3 { dir: handle(directory), name: name.to_vec().into() };
        let mut calls = vec![
            Call::Lookup(LOOKUP3args { what: at(hidden) }),
            Call::Rename(RENAME3args { from: at(name), to: at(hidden) }),
        ];
        if self.random.below(2) == 0 {
            calls.push(Call::Remove(REMOVE3args { object: at(hidden) }));
        }
        calls
    }

    fn procedure(&mut self) -> Call {
        match self.random.below(50) {
            0 => Call::Null,
            1..4 => Call::GetAttr(GETATTR3args { object: self.object() }),
            4..8 => self.setattr(),
            8..13 => Call::Lookup(LOOKUP3args { what: self.place() }),
            13 | 14 => {
                Call::Access(ACCESS3args { object: self.object(), access: self.random.below(0x80) as u32 })
            }
            15 => Call::ReadLink(READLINK3args { symlink: self.object() }),
            16..20 => Call::Read(READ3args { file: self.file(), offset: self.offset(), count: self.count() }),
            20..24 => self.write(),
            24..28 => Call::Create(CREATE3args { where_: self.place(), how: self.how() }),
            28..31 => Call::MkDir(MKDIR3args { where_: self.place(), attributes: self.making() }),
            31 | 32 => self.symlink(),
            33 => self.mknod(),
            34..37 => Call::Remove(REMOVE3args { object: self.place() }),
            37 | 38 => Call::RmDir(RMDIR3args { object: self.place() }),
            39..42 => Call::Rename(RENAME3args { from: self.place(), to: self.place() }),
            42 | 43 => Call::Link(LINK3args { file: self.file(), link: self.place() }),
            44 => Call::ReadDir(READDIR3args {
                dir: self.directory(),
                cookie: self.cookie(),
                cookieverf: cookieverf3::default(),
                count: self.count(),
            }),
            45 => Call::ReadDirPlus(READDIRPLUS3args {
                dir: self.directory(),
                cookie: self.cookie(),
                cookieverf: cookieverf3::default(),
                dircount: self.count(),
                maxcount: self.count(),
            }),
            46 => match self.random.below(3) {
                0 => Call::FsStat(FSSTAT3args { fsroot: self.object() }),
                1 => Call::FsInfo(FSINFO3args { fsroot: self.object() }),
                _ => Call::PathConf(PATHCONF3args { object: self.object() }),
            },
            47 => Call::Mount(if self.random.below(2) == 0 {
                self.export.into()
            } else {
                b"/elsewhere".to_vec()
            }),
            _ => Call::Commit(COMMIT3args { file: self.file(), offset: self.offset(), count: self.count() }),
        }
    }

    fn setattr(&mut self) -> Call {
        let object = self.object();
        let size = if self.random.below(3) == 0 { Nfs3Option::Some(self.length()) } else { Nfs3Option::None };
        let new_attributes = sattr3 { size, ..self.making() };
        // A time that no file has.
        let wrong = nfstime3 { seconds: 1, nseconds: 1 };
        let guard = if self.random.below(10) == 0 { Nfs3Option::Some(wrong) } else { Nfs3Option::None };
        Call::SetAttr(SETATTR3args { object, new_attributes, guard })
    }

    fn write(&mut self) -> Call {
        let length = if self.random.below(10) == 0 { LONG_WRITE } else { self.random.below(WRITE_MAX) };
        let byte = self.random.number() as u8;
        let count = if self.random.below(20) == 0 { self.count() } else { length as u32 };
        Call::Write(WRITE3args {
            file: self.file(),
            offset: if self.random.below(20) == 0 {
                self.far()
            } else {
                self.random.below(OFFSET_MAX) as u64
            },
            count,
            stable: *self.random.choose(&[
                stable_how::UNSTABLE,
                stable_how::DATA_SYNC,
                stable_how::FILE_SYNC,
            ]),
            data: Opaque::owned(vec![byte; length]),
        })
    }

    fn how(&mut self) -> createhow3 {
        match self.random.below(4) {
            0 => createhow3::EXCLUSIVE(createverf3((self.round + self.random.below(2) as u64).to_be_bytes())),
            1 => createhow3::GUARDED(self.making()),
            _ => {
                let size = if self.random.below(3) == 0 {
                    Nfs3Option::Some(self.length())
                } else {
                    Nfs3Option::None
                };
                createhow3::UNCHECKED(sattr3 { size, ..self.making() })
            }
        }
    }

    fn symlink(&mut self) -> Call {
        let target = match self.random.below(20) {
            0 => Vec::new(),
            1 => b"nul\0".to_vec(),
            2 => vec![b'x'; 4097],
            _ => [b"../".as_slice(), self.random.choose(&NAMES).as_bytes()].concat(),
        };
        let symlink = symlinkdata3 { symlink_attributes: self.making(), symlink_data: target.into() };
        Call::Symlink(SYMLINK3args { where_: self.place(), symlink })
    }

    fn mknod(&mut self) -> Call {
        let device =
            |dev_attributes| devicedata3 { dev_attributes, spec: specdata3 { specdata1: 1, specdata2: 3 } };
        let attributes = self.making();
        let what = match self.random.below(4) {
            0 => mknoddata3::NF3CHR(device(attributes)),
            1 => mknoddata3::NF3BLK(device(attributes)),
            2 => mknoddata3::NF3SOCK(attributes),
            _ => mknoddata3::NF3FIFO(attributes),
        };
        Call::MkNod(MKNOD3args { where_: self.place(), what })
    }

    /// Attributes for something new: a mode most of the time, and owners at times.
    fn making(&mut self) -> sattr3 {
        let mode = match self.random.below(20) {
            0 => Nfs3Option::Some(0o4755),
            1 => Nfs3Option::Some(u32::MAX),
            2 => Nfs3Option::Some(0o1777),
            3..10 => Nfs3Option::Some(self.random.below(0o1000) as u32),
            10..16 => Nfs3Option::Some(0o777),
            _ => Nfs3Option::None,
        };
        let id = |random: &mut Random| match random.below(20) {
            0 => Nfs3Option::Some(random.choose(&USERS).uid),
            1 => Nfs3Option::Some(random.choose(&USERS).gid),
            2 => Nfs3Option::Some(7),
            _ => Nfs3Option::None,
        };
        let (uid, gid) = (id(self.random), id(self.random));
        let time = nfstime3 { seconds: self.random.number() as u32, nseconds: 5 };
        let mtime = match self.random.below(8) {
            0 => set_mtime::SET_TO_CLIENT_TIME(time),
            1 => set_mtime::SET_TO_SERVER_TIME,
            _ => set_mtime::DONT_CHANGE,
        };
        sattr3 { mode, uid, gid, mtime, ..sattr3::default() }
    }

    fn length(&mut self) -> u64 {
        if self.random.below(20) == 0 { self.far() } else { self.random.below(OFFSET_MAX) as u64 }
    }

    /// An offset that no file has. What lies between differs between file systems, and has no model.
    fn far(&mut self) -> u64 {
        match self.scope {
            Scope::Modelled => u64::MAX - self.random.below(2) as u64,
            Scope::Any => *self.random.choose(&OFFSETS),
        }
    }

    fn offset(&mut self) -> u64 {
        if self.random.below(3) == 0 {
            *self.random.choose(&OFFSETS)
        } else {
            self.random.below(OFFSET_MAX) as u64
        }
    }

    fn count(&mut self) -> u32 {
        if self.random.below(3) == 0 {
            *self.random.choose(&COUNTS)
        } else {
            self.random.below(OFFSET_MAX) as u32
        }
    }

    fn cookie(&mut self) -> u64 {
        match self.random.below(4) {
            0 => self.random.below(12) as u64,
            1 if self.scope == Scope::Any => self.random.number(),
            _ => 0,
        }
    }

    fn object(&mut self) -> nfs_fh3 {
        if self.random.below(3) == 0 { self.directory() } else { self.file() }
    }

    fn directory(&mut self) -> nfs_fh3 {
        match self.random.below(20) {
            0 => self.strange(),
            1 => self.file(),
            _ => handle(self.random.choose::<Handle>(&self.pool.directories)),
        }
    }

    fn file(&mut self) -> nfs_fh3 {
        match self.random.below(20) {
            0 => self.strange(),
            1..18 if !self.pool.others.is_empty() => handle(self.random.choose::<Handle>(&self.pool.others)),
            _ => handle(self.random.choose::<Handle>(&self.pool.directories)),
        }
    }

    /// A handle that is no good, or a good one with a flipped bit or of another length.
    fn strange(&mut self) -> nfs_fh3 {
        if self.random.below(2) == 0 && !self.pool.strange.is_empty() {
            return handle(self.random.choose::<Handle>(&self.pool.strange));
        }
        let mut forged = self.random.choose(&self.pool.directories).clone();
        let at = self.random.below(forged.len());
        match self.random.below(10) {
            0 => forged.truncate(at),
            1 => forged.push(0),
            _ => forged[at] ^= 1 << self.random.below(8),
        }
        handle(&forged)
    }

    fn place(&mut self) -> diropargs3<'static> {
        diropargs3 { dir: self.directory(), name: self.name().into() }
    }

    fn name(&mut self) -> Vec<u8> {
        match self.random.below(25) {
            0 => vec![b'n'; TOO_LONG],
            1 => self.random.choose(&ODD_NAMES).as_bytes().to_vec(),
            _ => self.random.choose(&NAMES).as_bytes().to_vec(),
        }
    }
}
