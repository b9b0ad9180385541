//! NFS version 3 (RFC 1813): the table of its 22 procedures.
//!
//! Each procedure is a file below `nfs/`, with typed arguments and a typed result; [`run`] is the one place where
//! they are decoded and encoded.

mod access;
mod arguments;
mod attributes;
mod commit;
mod create;
mod fsinfo;
mod fsstat;
mod getattr;
mod link;
mod lookup;
mod mkdir;
mod mknod;
mod pathconf;
mod read;
mod readdir;
mod readdirplus;
mod readlink;
mod remove;
mod rename;
mod rmdir;
mod setattr;
mod status;
mod symlink;
mod write;

use crate::call::{Call, Ended, Entry};
use crate::call_counters;
use crate::xdr::{Decode, Decoder, Encode, Encoder, Garbage};
pub use status::number as status_number;
use status::{Failure, Status};

pub(crate) const PROGRAM: u32 = 100_003;
pub(crate) const VERSION: u32 = 3;

/// The procedures, each at its number.
pub(crate) const PROCEDURES: [Entry; call_counters::PROCEDURES] = [
    Entry { name: "NULL", once: false, early: false, anonymous: true, run: null },
    always::<getattr::GetAttr>("GETATTR"),
    once::<setattr::SetAttr>("SETATTR"),
    always::<lookup::Lookup>("LOOKUP"),
    always::<access::Access>("ACCESS"),
    always::<readlink::ReadLink>("READLINK"),
    always::<read::Read>("READ"),
    early::<write::Write>("WRITE"),
    once::<create::CreateMode>("CREATE"),
    once::<mkdir::MkDir>("MKDIR"),
    once::<symlink::Symlink>("SYMLINK"),
    once::<mknod::MkNod>("MKNOD"),
    once::<remove::Remove>("REMOVE"),
    once::<rmdir::RmDir>("RMDIR"),
    once::<rename::Rename>("RENAME"),
    once::<link::Link>("LINK"),
    always::<readdir::ReadDir>("READDIR"),
    always::<readdirplus::ReadDirPlus>("READDIRPLUS"),
    always::<fsstat::FsStat>("FSSTAT"),
    always::<fsinfo::FsInfo>("FSINFO"),
    always::<pathconf::PathConf>("PATHCONF"),
    always::<commit::Commit>("COMMIT"),
];

/// One procedure: what it takes, what it gives, what it does.
trait Procedure {
    type Arguments<'a>: Decode<'a>;
    /// What follows `NFS3_OK`. It may lie in the bulk buffer.
    type Done<'b>: Encode;
    /// What follows any other status.
    type Failed: Encode;

    fn call<'b>(
        call: &Call<'_>,
        arguments: Self::Arguments<'_>,
        bulk: &'b mut [u8],
    ) -> Result<Self::Done<'b>, Failure<Self::Failed>>;
}

/// A procedure that may be carried out again when its call is repeated.
const fn always<P: Procedure>(name: &'static str) -> Entry {
    Entry { name, once: false, early: false, anonymous: false, run: run::<P> }
}

/// The same of one that takes the end of its arguments as it comes.
const fn early<P: Procedure>(name: &'static str) -> Entry {
    Entry { early: true, ..always::<P>(name) }
}

/// A procedure whose repeated call gets the first one's reply.
const fn once<P: Procedure>(name: &'static str) -> Entry {
    Entry { once: true, ..always::<P>(name) }
}

fn run<P: Procedure>(
    call: &Call<'_>,
    arguments: &mut Decoder<'_>,
    reply: &mut Encoder<'_>,
    bulk: &mut [u8],
) -> Result<Ended, Garbage> {
    match P::call(call, P::Arguments::decode(arguments)?, bulk) {
        Ok(done) => {
            reply.u32(status::OK);
            done.encode(reply);
            Ok(Ended::Done)
        }
        Err(failure) => {
            reply.u32(failure.status as u32);
            failure.body.encode(reply);
            Ok(if failure.status == Status::Jukebox { Ended::Busy } else { Ended::Done })
        }
    }
}

/// NULL (RFC 1813, section 3.3.0): shows that somebody is there.
fn null(_: &Call<'_>, _: &mut Decoder<'_>, _: &mut Encoder<'_>, _: &mut [u8]) -> Result<Ended, Garbage> {
    Ok(Ended::Done)
}
