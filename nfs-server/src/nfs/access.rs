//! ACCESS (RFC 1813, section 3.3.4): the caller's permissions on a file.

use super::attributes::PostOp;
use super::{Failure, Procedure};
use crate::call::Call;
use crate::handle::FileHandle;
use crate::view::{AccessMask, Attributes, FileType};
use crate::xdr::{Decode, Decoder, Encode, Encoder, Garbage};

const READ: u32 = 0x01;
const LOOKUP: u32 = 0x02;
const MODIFY: u32 = 0x04;
const EXTEND: u32 = 0x08;
const DELETE: u32 = 0x10;
const EXECUTE: u32 = 0x20;

pub(super) struct Access;

pub(super) struct Arguments<'a> {
    node: FileHandle<'a>,
    asked: u32,
}

pub(super) struct Done {
    attributes: Attributes,
    granted: u32,
}

impl Procedure for Access {
    type Arguments<'a> = Arguments<'a>;
    type Done<'b> = Done;
    type Failed = PostOp;

    fn call(call: &Call<'_>, arguments: Arguments<'_>, _: &mut [u8]) -> Result<Done, Failure<PostOp>> {
        let view = &call.service.view;
        let node = call.node(arguments.node)?;
        let attributes = view.attributes(&node)?;
        let (write, execute) = match attributes.kind {
            FileType::Directory => (MODIFY | EXTEND | DELETE, LOOKUP),
            _ => (MODIFY | EXTEND, EXECUTE),
        };
        let mut granted = 0;
        for (mask, bits) in
            [(AccessMask::Read, READ), (AccessMask::Write, write), (AccessMask::Execute, execute)]
        {
            if arguments.asked & bits != 0 && view.may(&node, call.caller(), mask)? {
                granted |= bits;
            }
        }
        Ok(Done { attributes, granted: granted & arguments.asked })
    }
}

impl<'a> Decode<'a> for Arguments<'a> {
    fn decode(from: &mut Decoder<'a>) -> Result<Arguments<'a>, Garbage> {
        Ok(Arguments { node: FileHandle::decode(from)?, asked: from.u32()? })
    }
}

impl Encode for Done {
    fn encode(&self, to: &mut Encoder<'_>) {
        PostOp(Some(self.attributes)).encode(to);
        to.u32(self.granted);
    }
}
