//! READ (RFC 1813, section 3.3.6): data of a file.

use super::attributes::PostOp;
use super::{Failure, Procedure};
use crate::call::Call;
use crate::handle::FileHandle;
use crate::limits::{SENDFILE_MIN, TRANSFER_MAX};
use crate::view::{Blocking, FileSegment};
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
    eof: bool,
}

enum Data<'b> {
    Copied(&'b [u8]),
    Segment(FileSegment),
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
        if call.blocking == Blocking::Never
            && let Some(segment) = view.segment(&node, arguments.offset, count, SENDFILE_MIN, caller)?
        {
            call.service.counters.count_read(segment.count);
            return Ok(Done { eof: segment.eof, data: Data::Segment(segment) });
        }
        let read = view.read(&node, arguments.offset, &mut bulk[..count], caller, call.blocking)?;
        call.service.counters.count_read(read.count);
        Ok(Done { data: Data::Copied(&bulk[..read.count]), eof: read.eof })
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
            Data::Copied(data) => data.len(),
            Data::Segment(segment) => segment.count,
        };
        to.u32(count as u32);
        to.bool(self.eof);
        match &self.data {
            Data::Copied(data) => to.opaque_bulk(data),
            Data::Segment(segment) => to.opaque_segment(segment),
        }
    }
}
