//! READDIRPLUS (RFC 1813, section 3.3.17): names in a directory with what they lead to.

use super::attributes::PostOp;
use super::readdir::{Done, Entries, list};
use super::{Failure, Procedure};
use crate::call::Call;
use crate::handle::FileHandle;
use crate::xdr::{Decode, Decoder, Encode, Encoder, Garbage, padding};

/// Bytes of an entry's attributes and handle, each with its mark that it is there.
const PLUS: usize = 4 + 84 + 4 + 4 + 32;

pub(super) struct ReadDirPlus;

pub(super) struct Arguments<'a> {
    directory: FileHandle<'a>,
    cookie: u64,
    /// Most bytes of the reply. The limit for names alone is not asked for: no client needs it kept.
    max_count: u32,
}

impl Procedure for ReadDirPlus {
    type Arguments<'a> = Arguments<'a>;
    type Done<'b> = Done<'b>;
    type Failed = PostOp;

    fn call<'b>(
        call: &Call<'_>,
        arguments: Arguments<'_>,
        bulk: &'b mut [u8],
    ) -> Result<Done<'b>, Failure<PostOp>> {
        let directory = call.node(arguments.directory)?;
        let mut entries = Entries::new(bulk, arguments.max_count);
        let mut full = false;
        let mut plus = Vec::with_capacity(PLUS);
        let end = list(call, &directory, arguments.cookie, &mut |listed| {
            let name = listed.name;
            let length = 4 + 8 + 4 + name.len() + padding(name.len()) + 8 + PLUS;
            let fits = entries.push(length, |entry| {
                entry.u64(listed.attributes.fileid);
                entry.opaque(name);
                entry.u64(listed.cookie);
                plus.clear();
                let mut encoder = Encoder::new(&mut plus);
                PostOp(Some(listed.attributes)).encode(&mut encoder);
                encoder.optional(Some(&call.handle(&listed.node)));
                entry.raw(&plus);
            });
            full = !fits;
            fits
        })?;
        entries.finish(call, &directory, end, full)
    }
}

impl<'a> Decode<'a> for Arguments<'a> {
    fn decode(from: &mut Decoder<'a>) -> Result<Arguments<'a>, Garbage> {
        let (directory, cookie) = (FileHandle::decode(from)?, from.u64()?);
        let _verifier = from.u64()?;
        let _names_count = from.u32()?;
        Ok(Arguments { directory, cookie, max_count: from.u32()? })
    }
}
