//! WRITE (RFC 1813, section 3.3.7): data into a file, straight from the receive buffer, or from the socket as it comes.

use std::os::fd::BorrowedFd;

use super::attributes::Wcc;
use super::commit::VERIFIER;
use super::status::Status;
use super::{Failure, Procedure};
use crate::call::{Behind, Call};
use crate::handle::FileHandle;
use crate::limits::TRANSFER_MAX;
use crate::view::{Error, Payload};
use crate::xdr::{Decode, Decoder, Encode, Encoder, Garbage};

const UNSTABLE: u32 = 0;
const FILE_SYNC: u32 = 2;

pub(super) struct Write;

pub(super) struct Arguments<'a> {
    file: FileHandle<'a>,
    offset: u64,
    count: u32,
    stable: u32,
    /// What of the data is here.
    data: &'a [u8],
    /// Bytes of it that were not received yet.
    behind: usize,
}

/// Data of which the end may still be on its way.
struct Data<'a> {
    here: &'a [u8],
    behind: Option<(&'a dyn Behind, usize)>,
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
        let Arguments { data, behind, .. } = arguments;
        if data.len() + behind != arguments.count as usize || arguments.stable > FILE_SYNC {
            return Err(Status::Invalid.into());
        }
        let data = Data { here: data, behind: call.behind.map(|from| (from, behind)) };
        let file = call.writable(arguments.file)?;
        let before = call.pre_op(file.node());
        let sync = arguments.stable != UNSTABLE;
        let written = file.write(arguments.offset, data, sync, call.caller(), call.blocking)?;
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
        let (data, behind) = from.opaque_partial(TRANSFER_MAX)?;
        Ok(Arguments { file, offset, count, stable, data, behind })
    }
}

impl Payload for Data<'_> {
    fn len(&self) -> usize {
        self.here.len() + self.behind.map_or(0, |(_, count)| count)
    }

    fn put(self, file: BorrowedFd<'_>, offset: u64) -> Result<usize, Error> {
        let count = self.here.put(file, offset)?;
        match self.behind {
            Some((from, behind)) if count == self.here.len() => {
                match from.put(file, offset + count as u64, behind) {
                    Ok(more) => Ok(count + more),
                    // What was written stays written; the next request meets the error itself.
                    Err(_) if count > 0 => Ok(count),
                    Err(error) => Err(error),
                }
            }
            _ => Ok(count),
        }
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
