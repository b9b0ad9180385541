//! A view as the crates nfsserve and nfs3_server want a file system: every file by a number, and every caller root.
//!
//! What their traits leave out cannot be carried: who calls, the mode of a new directory, LINK and MKNOD, and with
//! nfsserve how a WRITE is to be done and COMMIT.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use nfs_server::view::{
    Attributes, Caller, Create, Error, Kind, New, Node, Patience, SetAttributes, SetTime, Time, View,
};
use nfs3_types::nfs3::{
    Nfs3Option, fattr3, ftype3, nfsstat3, nfstime3, sattr3, set_atime, set_mtime, specdata3,
};

/// Names taken from the view at a time.
pub const BATCH: usize = 256;

/// A view by numbers.
pub struct Numbered {
    view: Arc<View>,
    /// Where listings go on behind an entry, for nfsserve, which names the entry by its file and not by a cookie.
    behind: Mutex<HashMap<(u64, u64), u64>>,
}

/// An entry of a directory.
#[derive(Clone)]
pub struct Named {
    /// Where the listing goes on behind it.
    pub cookie: u64,
    /// Its name.
    pub name: Vec<u8>,
    /// Its number.
    pub id: u64,
    /// Its attributes.
    pub attributes: fattr3,
}

/// Some entries of a directory, and whether they are the last ones.
pub type Listing = (Vec<Named>, bool);

impl Numbered {
    /// A view.
    pub fn new(view: Arc<View>) -> Numbered {
        Numbered { view, behind: Mutex::default() }
    }

    /// The root's number.
    pub fn root(&self) -> u64 {
        self.view.root().id()
    }

    /// LOOKUP.
    pub fn lookup(&self, directory: u64, name: &[u8]) -> Result<u64, nfsstat3> {
        let (node, _) = self.view.lookup(&self.node(directory)?, name, Caller::ROOT).map_err(status)?;
        Ok(node.id())
    }

    /// GETATTR.
    pub fn attributes(&self, id: u64) -> Result<fattr3, nfsstat3> {
        let attributes = self.view.attributes(&self.node(id)?).map_err(status)?;
        Ok(encode(id, &attributes))
    }

    /// SETATTR.
    pub fn set(&self, id: u64, set: &sattr3) -> Result<fattr3, nfsstat3> {
        let writable = self.view.writable(self.node(id)?).map_err(status)?;
        let attributes = writable.set(&decode(set), Caller::ROOT).map_err(status)?;
        Ok(encode(id, &attributes))
    }

    /// READ: the data, and whether it is the last.
    pub fn read(&self, id: u64, offset: u64, count: u32) -> Result<(Vec<u8>, bool), nfsstat3> {
        let mut data = vec![0; count as usize];
        let read = self
            .view
            .read(&self.node(id)?, offset, &mut data, Caller::ROOT, Patience::Any)
            .map_err(status)?;
        data.truncate(read.count);
        Ok((data, read.end))
    }

    /// WRITE.
    pub fn write(&self, id: u64, offset: u64, data: &[u8], sync: bool) -> Result<fattr3, nfsstat3> {
        let writable = self.view.writable(self.node(id)?).map_err(status)?;
        let written = writable.write(offset, data, sync, Caller::ROOT, Patience::Any).map_err(status)?;
        if written.count < data.len() {
            return Err(nfsstat3::NFS3ERR_NOSPC);
        }
        Ok(encode(id, &written.attributes))
    }

    /// CREATE.
    pub fn create(
        &self,
        directory: u64,
        name: &[u8],
        how: Create,
        set: &sattr3,
    ) -> Result<(u64, fattr3), nfsstat3> {
        let writable = self.view.writable(self.node(directory)?).map_err(status)?;
        let made = writable.create(name, how, &decode(set), Caller::ROOT).map_err(status)?;
        Ok(with_number(&made))
    }

    /// MKDIR and SYMLINK.
    pub fn make(
        &self,
        directory: u64,
        name: &[u8],
        new: New<'_>,
        set: &sattr3,
    ) -> Result<(u64, fattr3), nfsstat3> {
        let writable = self.view.writable(self.node(directory)?).map_err(status)?;
        let made = writable.make(name, new, &decode(set), Caller::ROOT).map_err(status)?;
        Ok(with_number(&made))
    }

    /// REMOVE and RMDIR, which these crates do not tell apart.
    pub fn remove(&self, directory: u64, name: &[u8]) -> Result<(), nfsstat3> {
        let writable = self.view.writable(self.node(directory)?).map_err(status)?;
        match writable.remove(name, Caller::ROOT) {
            Err(Error::IsDirectory) => writable.remove_directory(name, Caller::ROOT).map_err(status),
            result => result.map_err(status),
        }
    }

    /// RENAME.
    pub fn rename(&self, from: (u64, &[u8]), to: (u64, &[u8])) -> Result<(), nfsstat3> {
        let source = self.view.writable(self.node(from.0)?).map_err(status)?;
        let target = self.view.writable(self.node(to.0)?).map_err(status)?;
        source.rename(from.1, &target, to.1, Caller::ROOT).map_err(status)
    }

    /// READLINK.
    pub fn read_link(&self, id: u64) -> Result<Vec<u8>, nfsstat3> {
        self.view.read_link(&self.node(id)?).map_err(status)
    }

    /// READDIR from behind a cookie.
    pub fn list(&self, directory: u64, cookie: u64, most: usize) -> Result<Listing, nfsstat3> {
        let mut entries = Vec::new();
        let mut take = |listed: &nfs_server::view::Listed<'_>| {
            if entries.len() == most {
                return false;
            }
            let id = listed.node.id();
            let attributes = encode(id, &listed.attributes);
            entries.push(Named { cookie: listed.cookie, name: listed.name.to_vec(), id, attributes });
            true
        };
        let end = self
            .view
            .list(&self.node(directory)?, cookie, Caller::ROOT, Patience::Any, &mut take)
            .map_err(status)?;
        Ok((entries, end))
    }

    /// READDIR from behind a file that an earlier listing ended with.
    pub fn list_behind(&self, directory: u64, file: u64, most: usize) -> Result<Listing, nfsstat3> {
        let cookie = match file {
            0 => 0,
            file => *self.behind().get(&(directory, file)).ok_or(nfsstat3::NFS3ERR_BAD_COOKIE)?,
        };
        let listing = self.list(directory, cookie, most)?;
        // Any of them may be the last that fits the reply.
        self.behind().extend(listing.0.iter().map(|entry| ((directory, entry.id), entry.cookie)));
        Ok(listing)
    }

    fn behind(&self) -> std::sync::MutexGuard<'_, HashMap<(u64, u64), u64>> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node(&self, id: u64) -> Result<Node, nfsstat3> {
        self.view.node(id).map_err(status)
    }
}

fn with_number((node, attributes): &(Node, Attributes)) -> (u64, fattr3) {
    (node.id(), encode(node.id(), attributes))
}

/// The file id is the number too: these crates know no other.
fn encode(id: u64, attributes: &Attributes) -> fattr3 {
    let time = |time: Time| nfstime3 { seconds: time.seconds, nseconds: time.nanoseconds };
    fattr3 {
        type_: match attributes.kind {
            Kind::Regular => ftype3::NF3REG,
            Kind::Directory => ftype3::NF3DIR,
            Kind::Symlink => ftype3::NF3LNK,
            Kind::BlockDevice => ftype3::NF3BLK,
            Kind::CharacterDevice => ftype3::NF3CHR,
            Kind::Fifo => ftype3::NF3FIFO,
            Kind::Socket => ftype3::NF3SOCK,
        },
        mode: attributes.mode,
        nlink: attributes.links,
        uid: attributes.uid,
        gid: attributes.gid,
        size: attributes.size,
        used: attributes.used,
        rdev: specdata3 { specdata1: attributes.device.0, specdata2: attributes.device.1 },
        fsid: 1,
        fileid: id,
        atime: time(attributes.accessed),
        mtime: time(attributes.modified),
        ctime: time(attributes.changed),
    }
}

fn decode(set: &sattr3) -> SetAttributes {
    let time = |time: nfstime3| SetTime::To(Time { seconds: time.seconds, nanoseconds: time.nseconds });
    SetAttributes {
        mode: given(set.mode).map(|mode| mode & 0o7777),
        uid: given(set.uid),
        gid: given(set.gid),
        size: given(set.size),
        accessed: match set.atime {
            set_atime::DONT_CHANGE => SetTime::Keep,
            set_atime::SET_TO_SERVER_TIME => SetTime::Now,
            set_atime::SET_TO_CLIENT_TIME(to) => time(to),
        },
        modified: match set.mtime {
            set_mtime::DONT_CHANGE => SetTime::Keep,
            set_mtime::SET_TO_SERVER_TIME => SetTime::Now,
            set_mtime::SET_TO_CLIENT_TIME(to) => time(to),
        },
    }
}

fn given<T: nfs3_types::xdr_codec::Pack + nfs3_types::xdr_codec::Unpack>(option: Nfs3Option<T>) -> Option<T> {
    match option {
        Nfs3Option::Some(value) => Some(value),
        Nfs3Option::None => None,
    }
}

fn status(error: Error) -> nfsstat3 {
    match error {
        Error::NotFound => nfsstat3::NFS3ERR_NOENT,
        Error::Stale => nfsstat3::NFS3ERR_STALE,
        Error::Exists => nfsstat3::NFS3ERR_EXIST,
        Error::NotDirectory => nfsstat3::NFS3ERR_NOTDIR,
        Error::IsDirectory => nfsstat3::NFS3ERR_ISDIR,
        Error::NotEmpty => nfsstat3::NFS3ERR_NOTEMPTY,
        Error::ReadOnly => nfsstat3::NFS3ERR_ROFS,
        Error::NotPermitted => nfsstat3::NFS3ERR_PERM,
        Error::Access => nfsstat3::NFS3ERR_ACCES,
        Error::CrossDevice => nfsstat3::NFS3ERR_XDEV,
        Error::NameTooLong => nfsstat3::NFS3ERR_NAMETOOLONG,
        Error::Invalid => nfsstat3::NFS3ERR_INVAL,
        Error::BadType => nfsstat3::NFS3ERR_BADTYPE,
        Error::NotSupported => nfsstat3::NFS3ERR_NOTSUPP,
        Error::NoSpace => nfsstat3::NFS3ERR_NOSPC,
        Error::Quota => nfsstat3::NFS3ERR_DQUOT,
        Error::TooLarge => nfsstat3::NFS3ERR_FBIG,
        Error::TooManyLinks => nfsstat3::NFS3ERR_MLINK,
        Error::Busy => nfsstat3::NFS3ERR_JUKEBOX,
        _ => nfsstat3::NFS3ERR_IO,
    }
}
