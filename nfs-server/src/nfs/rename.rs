//! RENAME (RFC 1813, section 3.3.14): another name, perhaps in another directory.

use super::arguments::DirOp;
use super::attributes::Wcc;
use super::status::Status;
use super::{Failure, Procedure};
use crate::call::Call;
use crate::view::Attributes;
use crate::xdr::{Decode, Decoder, Encode, Encoder, Garbage};

pub(super) struct Rename;

pub(super) struct Arguments<'a> {
    from: DirOp<'a>,
    to: DirOp<'a>,
}

/// `wcc_data` of the two directories.
#[derive(Default)]
pub(super) struct RenameWcc {
    from: Wcc,
    to: Wcc,
}

impl Procedure for Rename {
    type Arguments<'a> = Arguments<'a>;
    type Done<'b> = RenameWcc;
    type Failed = RenameWcc;

    fn call(
        call: &Call<'_>,
        arguments: Arguments<'_>,
        _: &mut [u8],
    ) -> Result<RenameWcc, Failure<RenameWcc>> {
        let Arguments { from, to } = arguments;
        let (source, target) = (call.node(from.directory)?, call.node(to.directory)?);
        // Before anything is said of read-only places: a program that hears of another device copies.
        if !call.service.view.same_entry(&source, &target) {
            return Err(Status::CrossDevice.into());
        }
        let source = call.service.view.writable_names(&source, from.name, call.caller())?;
        let target = call.service.view.writable_names(&target, to.name, call.caller())?;
        let (source_before, target_before) = (call.pre_op(source.node()), call.pre_op(target.node()));
        let result = {
            let is_silly = |file: &Attributes| call.service.silly.is_silly(source.node(), to.name, file);
            source.rename(from.name, &target, to.name, call.caller(), &is_silly)
        };
        let both = RenameWcc {
            from: Wcc { before: source_before, after: source.attributes().ok() },
            to: Wcc { before: target_before, after: target.attributes().ok() },
        };
        match result {
            Ok(()) => Ok(both),
            Err(error) => {
                source.refused(from.name, error);
                Err(Failure { status: error.into(), body: both })
            }
        }
    }
}

impl<'a> Decode<'a> for Arguments<'a> {
    fn decode(from: &mut Decoder<'a>) -> Result<Arguments<'a>, Garbage> {
        Ok(Arguments { from: DirOp::decode(from)?, to: DirOp::decode(from)? })
    }
}

impl Encode for RenameWcc {
    fn encode(&self, to: &mut Encoder<'_>) {
        self.from.encode(to);
        self.to.encode(to);
    }
}
