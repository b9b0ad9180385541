//! What the crates nfs3_server and nfs3_types call what a view has.

use std::io::Cursor;

use nfs_server::view::{Attributes, Error, FileType, SetAttributes, SetTime, Time};
use nfs_server::{status_number, wire_time};
use nfs3_types::nfs3::{
    Nfs3Option, fattr3, ftype3, nfsstat3, nfstime3, sattr3, set_atime, set_mtime, specdata3,
};
use nfs3_types::xdr_codec::{Pack, Unpack};

/// What a view says, by the protocol's numbers: they are the same for everybody.
pub fn status(error: Error) -> nfsstat3 {
    let number = status_number(error).to_be_bytes();
    nfsstat3::unpack(&mut Cursor::new(number)).map_or(nfsstat3::NFS3ERR_SERVERFAULT, |(status, _)| status)
}

/// The file id is the number too: these crates know no other.
pub fn encode(id: u64, attributes: &Attributes) -> fattr3 {
    let time = |time: Time| {
        let (seconds, nseconds) = wire_time(time);
        nfstime3 { seconds, nseconds }
    };
    fattr3 {
        type_: match attributes.kind {
            FileType::Regular => ftype3::NF3REG,
            FileType::Directory => ftype3::NF3DIR,
            FileType::Symlink => ftype3::NF3LNK,
            FileType::BlockDevice => ftype3::NF3BLK,
            FileType::CharacterDevice => ftype3::NF3CHR,
            FileType::Fifo => ftype3::NF3FIFO,
            FileType::Socket => ftype3::NF3SOCK,
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

/// What SETATTR, CREATE and SYMLINK are to set.
pub fn decode(set: &sattr3) -> SetAttributes {
    let time = |time: nfstime3| SetTime::To(Time::new(time.seconds.into(), time.nseconds));
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

fn given<T: Pack + Unpack>(option: Nfs3Option<T>) -> Option<T> {
    match option {
        Nfs3Option::Some(value) => Some(value),
        Nfs3Option::None => None,
    }
}
