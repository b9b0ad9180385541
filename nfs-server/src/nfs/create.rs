//! CREATE (RFC 1813, section 3.3.8): a regular file.

use super::arguments::{DirOp, Made};
use super::attributes::Wcc;
use super::{Failure, Procedure};
use crate::call::Call;
use crate::view::{self, SetAttributes};
use crate::xdr::{Decode, Decoder, Garbage};

pub(super) struct CreateMode;

pub(super) struct Arguments<'a> {
    place: DirOp<'a>,
    how: view::CreateMode,
    set: SetAttributes,
}

impl Procedure for CreateMode {
    type Arguments<'a> = Arguments<'a>;
    type Done<'b> = Made;
    type Failed = Wcc;

    fn call(call: &Call<'_>, arguments: Arguments<'_>, _: &mut [u8]) -> Result<Made, Failure<Wcc>> {
        let Arguments { place, how, set } = arguments;
        call.make(&place, |directory| directory.create(place.name, how, &set, call.caller()))
    }
}

impl<'a> Decode<'a> for Arguments<'a> {
    fn decode(from: &mut Decoder<'a>) -> Result<Arguments<'a>, Garbage> {
        let place = DirOp::decode(from)?;
        let (how, set) = match from.u32()? {
            0 => (view::CreateMode::Unchecked, SetAttributes::decode(from)?),
            1 => (view::CreateMode::Guarded, SetAttributes::decode(from)?),
            2 => (view::CreateMode::Exclusive(from.fixed()?), SetAttributes::default()),
            _ => return Err(Garbage),
        };
        Ok(Arguments { place, how, set })
    }
}
