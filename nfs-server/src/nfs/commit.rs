//! COMMIT (RFC 1813, section 3.3.21): written data reaches the disk.

use super::attributes::Wcc;
use super::{Failure, Procedure};
use crate::call::Call;
use crate::handle::FileHandle;
use crate::xdr::{Decode, Decoder, Encode, Encoder, Garbage};

/// `writeverf3`, constant: it changes only when a server may have lost written data, and the host's page cache outlives
/// this server.
pub(super) const VERIFIER: u64 = 1;

pub(super) struct Commit;

pub(super) struct Arguments<'a> {
    file: FileHandle<'a>,
}

pub(super) struct Done(Wcc);

impl Procedure for Commit {
    type Arguments<'a> = Arguments<'a>;
    type Done<'b> = Done;
    type Failed = Wcc;

    fn call(call: &Call<'_>, arguments: Arguments<'_>, _: &mut [u8]) -> Result<Done, Failure<Wcc>> {
        let file = call.writable(arguments.file)?;
        let before = call.pre_op(file.node());
        file.commit(call.caller(), call.blocking)?;
        Ok(Done(Wcc { before, after: file.attributes().ok() }))
    }
}

impl<'a> Decode<'a> for Arguments<'a> {
    fn decode(from: &mut Decoder<'a>) -> Result<Arguments<'a>, Garbage> {
        let file = FileHandle::decode(from)?;
        // Always all of the file is committed, not the range asked for.
        let (_offset, _count) = (from.u64()?, from.u32()?);
        Ok(Arguments { file })
    }
}

impl Encode for Done {
    fn encode(&self, to: &mut Encoder<'_>) {
        self.0.encode(to);
        to.u64(VERIFIER);
    }
}
