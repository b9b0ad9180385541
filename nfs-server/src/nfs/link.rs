//! LINK (RFC 1813, section 3.3.15): a further name of a file.

use super::arguments::DirOp;
use super::attributes::{PostOp, Wcc};
use super::{Failure, Procedure};
use crate::call::Call;
use crate::handle::FileHandle;
use crate::xdr::{Decode, Decoder, Encode, Encoder, Garbage};

pub(super) struct Link;

pub(super) struct Arguments<'a> {
    file: FileHandle<'a>,
    place: DirOp<'a>,
}

/// Attributes of the file, and `wcc_data` of the directory.
#[derive(Default)]
pub(super) struct LinkWcc {
    file: PostOp,
    directory: Wcc,
}

impl Procedure for Link {
    type Arguments<'a> = Arguments<'a>;
    type Done<'b> = LinkWcc;
    type Failed = LinkWcc;

    fn call(call: &Call<'_>, arguments: Arguments<'_>, _: &mut [u8]) -> Result<LinkWcc, Failure<LinkWcc>> {
        let Arguments { file, place } = arguments;
        let file = call.node(file)?;
        let directory = call.writable_names(&place)?;
        match call.change(&directory, place.name, || directory.link(&file, place.name, call.caller())) {
            Ok((attributes, wcc)) => Ok(LinkWcc { file: PostOp(Some(attributes)), directory: wcc }),
            Err(Failure { status, body: directory }) => {
                Err(Failure { status, body: LinkWcc { file: call.post_op(&file), directory } })
            }
        }
    }
}

impl<'a> Decode<'a> for Arguments<'a> {
    fn decode(from: &mut Decoder<'a>) -> Result<Arguments<'a>, Garbage> {
        Ok(Arguments { file: FileHandle::decode(from)?, place: DirOp::decode(from)? })
    }
}

impl Encode for LinkWcc {
    fn encode(&self, to: &mut Encoder<'_>) {
        self.file.encode(to);
        self.directory.encode(to);
    }
}
