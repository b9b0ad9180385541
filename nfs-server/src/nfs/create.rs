//! CREATE (RFC 1813, section 3.3.8): a regular file.

use super::arguments::{Created, DirOp};
use super::attributes::Wcc;
use super::{Failure, Procedure};
use crate::call::Call;
use crate::exclusive_creates::Verifier;
use crate::view::{Attributes, CreateMode, Error, Node, SetAttributes, Writable};
use crate::xdr::{Decode, Decoder, Garbage};

/// What an exclusively created file gets; the client sets its attributes with SETATTR afterwards.
const EXCLUSIVE: SetAttributes = SetAttributes { mode: Some(0o600), ..SetAttributes::NONE };

pub(super) struct Create;

pub(super) struct Arguments<'a> {
    place: DirOp<'a>,
    how: CreateHow,
}

/// `createhow3`.
enum CreateHow {
    Unchecked(SetAttributes),
    Guarded(SetAttributes),
    Exclusive(Verifier),
}

impl Procedure for Create {
    type Arguments<'a> = Arguments<'a>;
    type Done<'b> = Created;
    type Failed = Wcc;

    fn call(call: &Call<'_>, arguments: Arguments<'_>, _: &mut [u8]) -> Result<Created, Failure<Wcc>> {
        let Arguments { place, how } = arguments;
        let (name, caller) = (place.name, call.caller());
        call.make(&place, |directory| match how {
            CreateHow::Unchecked(set) => directory.create(name, CreateMode::Unchecked, &set, caller),
            CreateHow::Guarded(set) => directory.create(name, CreateMode::Guarded, &set, caller),
            CreateHow::Exclusive(verifier) => exclusive(call, directory, name, verifier),
        })
    }
}

/// Creates a file, or finds the one that was created with the same verifier.
fn exclusive(
    call: &Call<'_>,
    directory: &Writable<'_>,
    name: &[u8],
    verifier: Verifier,
) -> Result<(Node, Attributes), Error> {
    let creates = &call.service.exclusive;
    match directory.create(name, CreateMode::Guarded, &EXCLUSIVE, call.caller()) {
        Ok(made) => {
            creates.insert(made.0.id(), verifier);
            Ok(made)
        }
        Err(Error::Exists) => {
            let found = call.service.view.lookup(directory.node(), name, call.caller()).ok();
            found.filter(|(node, _)| creates.contains(node.id(), verifier)).ok_or(Error::Exists)
        }
        Err(error) => Err(error),
    }
}

impl<'a> Decode<'a> for Arguments<'a> {
    fn decode(from: &mut Decoder<'a>) -> Result<Arguments<'a>, Garbage> {
        let place = DirOp::decode(from)?;
        let how = match from.u32()? {
            0 => CreateHow::Unchecked(SetAttributes::decode(from)?),
            1 => CreateHow::Guarded(SetAttributes::decode(from)?),
            2 => CreateHow::Exclusive(from.fixed()?),
            _ => return Err(Garbage),
        };
        Ok(Arguments { place, how })
    }
}
