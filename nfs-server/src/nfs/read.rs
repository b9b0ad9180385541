//! READ (RFC 1813, section 3.3.6): data of a file.

use super::attributes::PostOp;
use super::{Failure, Procedure};
use crate::call::Call;
use crate::handle::FileHandle;
use crate::limits::{TRANSFER_MAX, UNREAD_DATA_MIN};
use crate::view::{Patience, Span};
use crate::xdr::{Decode, Decoder, Encode, Encoder, Garbage};

pub(super) struct Read;

pub(super) struct Arguments<'a> {
    file: FileHandle<'a>,
    offset: u64,
    count: u32,
}

/// The data is sent from where it lies. The file's attributes are left out: reading does not change what the client
/// has cached.
pub(super) struct Done<'b> {
    data: Data<'b>,
    end: bool,
}

enum Data<'b> {
    Read(&'b [u8]),
    Found(Span),
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
        let (view, caller) = (&call.service.view, call.caller());
        // What has to come from a disk is read before the reply is begun.
        if call.patience == Patience::None
            && let Some(span) = view.span(&node, arguments.offset, count, UNREAD_DATA_MIN, caller)?
        {
            return Ok(Done { end: span.end, data: Data::Found(span) });
        }
        let read = view.read(&node, arguments.offset, &mut bulk[..count], caller, call.patience)?;
        Ok(Done { data: Data::Read(&bulk[..read.count]), end: read.end })
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
        let count = match &self.data {
            Data::Read(data) => data.len(),
            Data::Found(span) => span.count,
        };
        to.u32(count as u32);
        to.bool(self.end);
        match &self.data {
            Data::Read(data) => to.opaque_bulk(data),
            Data::Found(span) => to.opaque_span(span),
        }
    }
}
