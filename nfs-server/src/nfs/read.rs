//! READ (RFC 1813, section 3.3.6): data of a file.

use super::attributes::PostOp;
use super::{Failure, Procedure};
use crate::call::Call;
use crate::handle::FileHandle;
use crate::limits::TRANSFER_MAX;
use crate::xdr::{Decode, Decoder, Encode, Encoder, Garbage};

pub(super) struct Read;

pub(super) struct Arguments<'a> {
    file: FileHandle<'a>,
    offset: u64,
    count: u32,
}

/// The data lies where it was read to and is sent from there. The file's attributes are left out: reading does not
/// change what the client has cached, and they would cost a system call.
pub(super) struct Done<'b> {
    data: &'b [u8],
    end: bool,
}

impl Procedure for Read {
    type Arguments<'a> = Arguments<'a>;
    type Done<'b> = Done<'b>;
    type Failed = PostOp;

    fn call<'b>(
        call: &Call<'_>,
        arguments: Arguments<'_>,
        bulk: &'b mut [u8],
    ) -> Result<Done<'b>, Failure<PostOp>> {
        let count = usize::try_from(arguments.count).unwrap_or(TRANSFER_MAX).min(TRANSFER_MAX);
        let node = call.node(arguments.file)?;
        let read = call.service.view.read(&node, arguments.offset, &mut bulk[..count], call.caller())?;
        Ok(Done { data: &bulk[..read.count], end: read.end })
    }
}

impl<'a> Decode<'a> for Arguments<'a> {
    fn decode(from: &mut Decoder<'a>) -> Result<Arguments<'a>, Garbage> {
        Ok(Arguments { file: FileHandle::decode(from)?, offset: from.u64()?, count: from.u32()? })
    }
}

impl Encode for Done<'_> {
    fn encode(&self, to: &mut Encoder<'_>) {
        PostOp(None).encode(to);
        to.u32(self.data.len() as u32);
        to.bool(self.end);
        to.opaque_bulk(self.data);
    }
}
