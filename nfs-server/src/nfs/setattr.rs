//! SETATTR (RFC 1813, section 3.3.2): changes attributes, if the file has not changed since the client looked.

use super::attributes::{Wcc, wire_time};
use super::status::Status;
use super::{Failure, Procedure};
use crate::call::Call;
use crate::handle::FileHandle;
use crate::view::{SetAttributes, Time};
use crate::xdr::{Decode, Decoder, Garbage};

pub(super) struct SetAttr;

pub(super) struct Arguments<'a> {
    file: FileHandle<'a>,
    set: SetAttributes,
    /// The time of last change that the file must have.
    guard: Option<Time>,
}

impl Procedure for SetAttr {
    type Arguments<'a> = Arguments<'a>;
    type Done<'b> = Wcc;
    type Failed = Wcc;

    fn call(call: &Call<'_>, arguments: Arguments<'_>, _: &mut [u8]) -> Result<Wcc, Failure<Wcc>> {
        let node = call.node(arguments.file)?;
        let file = call.service.view.writable_attributes(&node, &arguments.set, call.caller())?;
        if let Some(guard) = arguments.guard {
            let attributes = file.attributes()?;
            if wire_time(attributes.changed) != wire_time(guard) {
                let body = Wcc { before: Some(attributes.into()), after: Some(attributes) };
                return Err(Failure { status: Status::NotSynchronized, body });
            }
        }
        let before = call.pre_op(file.node());
        match file.set(&arguments.set, call.caller()) {
            Ok(attributes) => Ok(Wcc { before, after: Some(attributes) }),
            Err(error) => {
                let body = Wcc { before, after: file.attributes().ok() };
                Err(Failure { status: error.into(), body })
            }
        }
    }
}

impl<'a> Decode<'a> for Arguments<'a> {
    fn decode(from: &mut Decoder<'a>) -> Result<Arguments<'a>, Garbage> {
        Ok(Arguments {
            file: FileHandle::decode(from)?,
            set: SetAttributes::decode(from)?,
            guard: from.optional(Time::decode)?,
        })
    }
}
