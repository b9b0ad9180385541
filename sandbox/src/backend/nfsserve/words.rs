//! What the crate calls what a view has.

use std::io::Cursor;

use nfs_server::view::{Attributes, Error, FileType, SetAttributes, SetTime, Time};
use nfs_server::{status_number, wire_time};
use nfsserve::nfs::{
    fattr3, fileid3, ftype3, nfsstat3, nfstime3, sattr3, set_atime, set_gid3, set_mode3, set_mtime,
    set_size3, set_uid3, specdata3,
};
use nfsserve::xdr::XDR;

/// The one file system of a view.
const FSID: u64 = 1;

/// The bits of a mode that a client may set: permissions, sticky and set-id bits, of which a view refuses the last.
const MODE: u32 = 0o7777;

/// What a view says, by the protocol's numbers: they are the same for everybody.
pub(super) fn status(error: Error) -> nfsstat3 {
    let mut status = nfsstat3::NFS3ERR_SERVERFAULT;
    match status.deserialize(&mut Cursor::new(status_number(error).to_be_bytes())) {
        Ok(()) => status,
        Err(_) => nfsstat3::NFS3ERR_SERVERFAULT,
    }
}

/// The file id is the number too: the crate knows no other.
pub(super) fn attributes(id: fileid3, from: &Attributes) -> fattr3 {
    let time = |time: Time| {
        let (seconds, nseconds) = wire_time(time);
        nfstime3 { seconds, nseconds }
    };
    fattr3 {
        ftype: match from.kind {
            FileType::Regular => ftype3::NF3REG,
            FileType::Directory => ftype3::NF3DIR,
            FileType::Symlink => ftype3::NF3LNK,
            FileType::BlockDevice => ftype3::NF3BLK,
            FileType::CharacterDevice => ftype3::NF3CHR,
            FileType::Fifo => ftype3::NF3FIFO,
            FileType::Socket => ftype3::NF3SOCK,
        },
        mode: from.mode,
        nlink: from.links,
        uid: from.uid,
        gid: from.gid,
        size: from.size,
        used: from.used,
        rdev: specdata3 { specdata1: from.device.0, specdata2: from.device.1 },
        fsid: FSID,
        fileid: id,
        atime: time(from.accessed),
        mtime: time(from.modified),
        ctime: time(from.changed),
    }
}

/// What SETATTR, CREATE and SYMLINK are to set.
pub(super) fn settings(set: &sattr3) -> SetAttributes {
    let time = |time: nfstime3| SetTime::To(Time::new(time.seconds.into(), time.nseconds));
    SetAttributes {
        mode: match set.mode {
            set_mode3::mode(mode) => Some(mode & MODE),
            set_mode3::Void => None,
        },
        uid: match set.uid {
            set_uid3::uid(uid) => Some(uid),
            set_uid3::Void => None,
        },
        gid: match set.gid {
            set_gid3::gid(gid) => Some(gid),
            set_gid3::Void => None,
        },
        size: match set.size {
            set_size3::size(size) => Some(size),
            set_size3::Void => None,
        },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_view_says_has_the_number_of_the_protocol() {
        let said = [Error::NotFound, Error::ReadOnly, Error::TooManyLinks, Error::WouldBlock].map(status);
        let numbers = said.map(|status| status as u32);
        assert_eq!(numbers, [2, 30, 31, 10008]);
    }
}
