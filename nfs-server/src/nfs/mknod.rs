//! MKNOD (RFC 1813, section 3.3.11): a named pipe or a socket. Devices are refused: a view declares its own.

use super::arguments::{Created, DirOp};
use super::attributes::Wcc;
use super::status::Status;
use super::{Failure, Procedure};
use crate::call::Call;
use crate::view::{NewNode, SetAttributes};
use crate::xdr::{Decode, Decoder, Garbage};

const BLOCK_DEVICE: u32 = 3;
const CHARACTER_DEVICE: u32 = 4;
const SOCKET: u32 = 6;
const FIFO: u32 = 7;

pub(super) struct MkNod;

pub(super) struct Arguments<'a> {
    place: DirOp<'a>,
    what: Result<NewNode<'static>, Status>,
    set: SetAttributes,
}

impl Procedure for MkNod {
    type Arguments<'a> = Arguments<'a>;
    type Done<'b> = Created;
    type Failed = Wcc;

    fn call(call: &Call<'_>, arguments: Arguments<'_>, _: &mut [u8]) -> Result<Created, Failure<Wcc>> {
        let Arguments { place, what, set } = arguments;
        let what = what?;
        call.make(&place, |directory| directory.make(place.name, what, &set, call.caller()))
    }
}

impl<'a> Decode<'a> for Arguments<'a> {
    fn decode(from: &mut Decoder<'a>) -> Result<Arguments<'a>, Garbage> {
        let place = DirOp::decode(from)?;
        let what = match from.u32()? {
            BLOCK_DEVICE | CHARACTER_DEVICE => Err(Status::NotOwner),
            SOCKET => Ok(NewNode::Socket),
            FIFO => Ok(NewNode::Fifo),
            _ => Err(Status::BadType),
        };
        // Other types carry no attributes, and devices are refused before theirs matter.
        let set = if what.is_ok() { SetAttributes::decode(from)? } else { SetAttributes::default() };
        Ok(Arguments { place, what, set })
    }
}
