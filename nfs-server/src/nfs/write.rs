//! WRITE (RFC 1813, section 3.3.7): data to a file, from the receive buffer or spliced from the socket.

use super::attributes::Wcc;
use super::commit::VERIFIER;
use super::status::Status;
use super::{Failure, Procedure};
use crate::call::Call;
use crate::handle::FileHandle;
use crate::limits::TRANSFER_MAX;
use crate::payload::Payload;
use crate::view::WriteSource;
use crate::xdr::{Decode, Decoder, Encode, Encoder, Garbage};

const UNSTABLE: u32 = 0;
const FILE_SYNC: u32 = 2;

pub(super) struct Write;

pub(super) struct Arguments<'a> {
    file: FileHandle<'a>,
    offset: u64,
    count: u32,
    stable: u32,
    data: Payload<'a>,
}

pub(super) struct Done {
    file: Wcc,
    count: u32,
    committed: u32,
}

impl Procedure for Write {
    type Arguments<'a> = Arguments<'a>;
    type Done<'b> = Done;
    type Failed = Wcc;

    fn call(call: &Call<'_>, arguments: Arguments<'_>, _: &mut [u8]) -> Result<Done, Failure<Wcc>> {
        if arguments.data.len() != arguments.count as usize || arguments.stable > FILE_SYNC {
            return Err(Status::Invalid.into());
        }
        let file = call.writable(arguments.file)?;
        let before = call.pre_op(file.node());
        let sync = arguments.stable != UNSTABLE;
        let written = file.write(arguments.offset, arguments.data, sync, call.caller(), call.blocking)?;
        call.service.counters.count_written(written.count);
        Ok(Done {
            file: Wcc { before, after: Some(written.attributes) },
            count: written.count as u32,
            committed: if written.durable { FILE_SYNC } else { UNSTABLE },
        })
    }
}

impl<'a> Decode<'a> for Arguments<'a> {
    fn decode(from: &mut Decoder<'a>) -> Result<Arguments<'a>, Garbage> {
        let (file, offset, count, stable) =
            (FileHandle::decode(from)?, from.u64()?, from.u32()?, from.u32()?);
        Ok(Arguments { file, offset, count, stable, data: from.payload(TRANSFER_MAX)? })
    }
}

impl Encode for Done {
    fn encode(&self, to: &mut Encoder<'_>) {
        self.file.encode(to);
        to.u32(self.count);
        to.u32(self.committed);
        to.u64(VERIFIER);
    }
}
