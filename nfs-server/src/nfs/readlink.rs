//! READLINK (RFC 1813, section 3.3.5): the text of a symbolic link.

use super::attributes::PostOp;
use super::{Failure, Procedure};
use crate::call::Call;
use crate::handle::FileHandle;
use crate::xdr::{Encode, Encoder};

pub(super) struct ReadLink;

pub(super) struct Done {
    attributes: PostOp,
    target: Vec<u8>,
}

impl Procedure for ReadLink {
    type Arguments<'a> = FileHandle<'a>;
    type Done<'b> = Done;
    type Failed = PostOp;

    fn call(call: &Call<'_>, link: FileHandle<'_>, _: &mut [u8]) -> Result<Done, Failure<PostOp>> {
        let node = call.node(link)?;
        let target = call.service.view.read_link(&node)?;
        Ok(Done { attributes: call.post_op(&node), target })
    }
}

impl Encode for Done {
    fn encode(&self, to: &mut Encoder<'_>) {
        self.attributes.encode(to);
        to.opaque(&self.target);
    }
}
