//! GETATTR (RFC 1813, section 3.3.1): the attributes of a node.

use super::{Failure, Procedure};
use crate::call::Call;
use crate::handle::FileHandle;
use crate::view::Attributes;

pub(super) struct GetAttr;

impl Procedure for GetAttr {
    type Arguments<'a> = FileHandle<'a>;
    type Done<'b> = Attributes;
    type Failed = ();

    fn call(call: &Call<'_>, file: FileHandle<'_>, _: &mut [u8]) -> Result<Attributes, Failure<()>> {
        Ok(call.service.view.attributes(&call.node(file)?)?)
    }
}
