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
mod injected;
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

use crate::call::{Call, ProcedureEntry, Reply};
use crate::call_counters;
use crate::xdr::{Decode, Decoder, Encode, Encoder, Garbage};
pub use attributes::wire_time;
pub use status::number as status_number;
use status::{Failure, Status};

pub(crate) const PROGRAM: u32 = 100_003;
pub(crate) const VERSION: u32 = 3;

/// The procedures, each at its number.
pub(crate) const PROCEDURES: [ProcedureEntry; call_counters::PROCEDURES] = [
    ProcedureEntry { name: "NULL", idempotent: true, streams_payload: false, anonymous: true, run: null },
    idempotent::<getattr::GetAttr>("GETATTR"),
    non_idempotent::<setattr::SetAttr>("SETATTR"),
    idempotent::<lookup::Lookup>("LOOKUP"),
    idempotent::<access::Access>("ACCESS"),
    idempotent::<readlink::ReadLink>("READLINK"),
    idempotent::<read::Read>("READ"),
    streaming::<write::Write>("WRITE"),
    non_idempotent::<create::Create>("CREATE"),
    non_idempotent::<mkdir::MkDir>("MKDIR"),
    non_idempotent::<symlink::Symlink>("SYMLINK"),
    non_idempotent::<mknod::MkNod>("MKNOD"),
    non_idempotent::<remove::Remove>("REMOVE"),
    non_idempotent::<rmdir::RmDir>("RMDIR"),
    non_idempotent::<rename::Rename>("RENAME"),
    non_idempotent::<link::Link>("LINK"),
    idempotent::<readdir::ReadDir>("READDIR"),
    idempotent::<readdirplus::ReadDirPlus>("READDIRPLUS"),
    idempotent::<fsstat::FsStat>("FSSTAT"),
    idempotent::<fsinfo::FsInfo>("FSINFO"),
    idempotent::<pathconf::PathConf>("PATHCONF"),
    idempotent::<commit::Commit>("COMMIT"),
];

/// One procedure: its arguments, its result, and what it does.
trait Procedure {
    type Arguments<'a>: Decode<'a>;
    /// What follows `NFS3_OK`. May borrow from the bulk buffer.
    type Done<'b>: Encode;
    /// What follows any other status.
    type Failed: Encode + Default;

    fn call<'b>(
        call: &Call<'_>,
        arguments: Self::Arguments<'_>,
        bulk: &'b mut [u8],
    ) -> Result<Self::Done<'b>, Failure<Self::Failed>>;
}

/// A procedure that may be executed again when its call is retransmitted.
const fn idempotent<P: Procedure>(name: &'static str) -> ProcedureEntry {
    ProcedureEntry { name, idempotent: true, streams_payload: false, anonymous: false, run: run::<P> }
}

/// An idempotent procedure that starts before all of its payload was received.
const fn streaming<P: Procedure>(name: &'static str) -> ProcedureEntry {
    ProcedureEntry { streams_payload: true, ..idempotent::<P>(name) }
}

/// A procedure whose retransmitted call gets the first reply again.
const fn non_idempotent<P: Procedure>(name: &'static str) -> ProcedureEntry {
    ProcedureEntry { idempotent: false, ..idempotent::<P>(name) }
}

fn run<P: Procedure>(
    call: &Call<'_>,
    arguments: &mut Decoder<'_>,
    reply: &mut Encoder<'_>,
    bulk: &mut [u8],
) -> Result<Reply, Garbage> {
    match &call.service.faults {
        None => carry_out::<P>(call, arguments, reply, bulk),
        Some(faults) => injected::run::<P>(faults, call, arguments, reply, bulk),
    }
}

fn carry_out<P: Procedure>(
    call: &Call<'_>,
    arguments: &mut Decoder<'_>,
    reply: &mut Encoder<'_>,
    bulk: &mut [u8],
) -> Result<Reply, Garbage> {
    match P::call(call, P::Arguments::decode(arguments)?, bulk) {
        Ok(done) => {
            reply.u32(status::OK);
            done.encode(reply);
            Ok(Reply::Encoded)
        }
        Err(failure) => {
            reply.u32(failure.status as u32);
            failure.body.encode(reply);
            Ok(if failure.status == Status::Jukebox { Reply::WouldBlock } else { Reply::Encoded })
        }
    }
}

/// NULL (RFC 1813, section 3.3.0).
fn null(_: &Call<'_>, _: &mut Decoder<'_>, _: &mut Encoder<'_>, _: &mut [u8]) -> Result<Reply, Garbage> {
    Ok(Reply::Encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_for_the_procedures_of_the_table() {
        let names = PROCEDURES.map(|procedure| procedure.name.to_lowercase());
        assert_eq!(names, crate::faults::PROCEDURES);
    }
}
