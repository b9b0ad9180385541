//! LOOKUP (RFC 1813, section 3.3.3): a name in a directory.

use super::arguments::DirOp;
use super::attributes::PostOp;
use super::{Failure, Procedure};
use crate::call::Call;
use crate::handle::SignedHandle;
use crate::service::Service;
use crate::view::{Attributes, Error};
use crate::xdr::{Encode, Encoder};

pub(super) struct Lookup;

/// The directory's attributes are left out: the client has them, and they would cost a system call each time.
pub(super) struct Done {
    handle: SignedHandle,
    attributes: Attributes,
}

impl Procedure for Lookup {
    type Arguments<'a> = DirOp<'a>;
    type Done<'b> = Done;
    type Failed = PostOp;

    fn call(call: &Call<'_>, what: DirOp<'_>, _: &mut [u8]) -> Result<Done, Failure<PostOp>> {
        let directory = call.node(what.directory)?;
        let Service { view, silly, .. } = call.service;
        let found = view.lookup(&directory, what.name, call.caller());
        if matches!(found, Ok(_) | Err(Error::NotFound)) {
            silly.looked_up(view, &directory, what.name, found.is_ok());
        }
        let (node, attributes) = found?;
        Ok(Done { handle: call.handle(&node), attributes })
    }
}

impl Encode for Done {
    fn encode(&self, to: &mut Encoder<'_>) {
        self.handle.encode(to);
        PostOp(Some(self.attributes)).encode(to);
        PostOp(None).encode(to);
    }
}
