//! MKDIR (RFC 1813, section 3.3.9): a directory.

use super::arguments::{Created, DirOp};
use super::attributes::Wcc;
use super::{Failure, Procedure};
use crate::call::Call;
use crate::view::{NewNode, SetAttributes};
use crate::xdr::{Decode, Decoder, Garbage};

pub(super) struct MkDir;

pub(super) struct Arguments<'a> {
    place: DirOp<'a>,
    set: SetAttributes,
}

impl Procedure for MkDir {
    type Arguments<'a> = Arguments<'a>;
    type Done<'b> = Created;
    type Failed = Wcc;

    fn call(call: &Call<'_>, arguments: Arguments<'_>, _: &mut [u8]) -> Result<Created, Failure<Wcc>> {
        let Arguments { place, set } = arguments;
        call.make(&place, |directory| directory.make(place.name, NewNode::Directory, &set, call.caller()))
    }
}

impl<'a> Decode<'a> for Arguments<'a> {
    fn decode(from: &mut Decoder<'a>) -> Result<Arguments<'a>, Garbage> {
        Ok(Arguments { place: DirOp::decode(from)?, set: SetAttributes::decode(from)? })
    }
}
