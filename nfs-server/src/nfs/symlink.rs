//! SYMLINK (RFC 1813, section 3.3.10): a symbolic link.

use super::arguments::{Created, DirOp};
use super::attributes::Wcc;
use super::{Failure, Procedure};
use crate::call::Call;
use crate::limits::TRANSFER_MAX;
use crate::view::{NewNode, SetAttributes};
use crate::xdr::{Decode, Decoder, Garbage};

pub(super) struct Symlink;

pub(super) struct Arguments<'a> {
    place: DirOp<'a>,
    set: SetAttributes,
    target: &'a [u8],
}

impl Procedure for Symlink {
    type Arguments<'a> = Arguments<'a>;
    type Done<'b> = Created;
    type Failed = Wcc;

    fn call(call: &Call<'_>, arguments: Arguments<'_>, _: &mut [u8]) -> Result<Created, Failure<Wcc>> {
        let Arguments { place, target, .. } = arguments;
        // A link has no mode of its own; Linux clients send the one that all links show.
        let set = SetAttributes { mode: None, ..arguments.set };
        call.make(&place, |directory| {
            directory.make(place.name, NewNode::Symlink(target), &set, call.caller())
        })
    }
}

impl<'a> Decode<'a> for Arguments<'a> {
    fn decode(from: &mut Decoder<'a>) -> Result<Arguments<'a>, Garbage> {
        Ok(Arguments {
            place: DirOp::decode(from)?,
            set: SetAttributes::decode(from)?,
            // Too long a text is refused as such, not as a malformed call.
            target: from.opaque(TRANSFER_MAX)?,
        })
    }
}
