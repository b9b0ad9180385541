//! PATHCONF (RFC 1813, section 3.3.20): limits of names and links.

use super::attributes::PostOp;
use super::{Failure, Procedure};
use crate::call::Call;
use crate::handle::FileHandle;
use crate::view::NAME_MAX;
use crate::xdr::{Encode, Encoder};

/// Links that a file may have: ext4's limit. Where the host allows fewer, it says so when the link is made.
const LINK_MAX: u32 = 65_000;

pub(super) struct PathConf;

pub(super) struct Done {
    node: PostOp,
    case_sensitive: bool,
}

impl Procedure for PathConf {
    type Arguments<'a> = FileHandle<'a>;
    type Done<'b> = Done;
    type Failed = PostOp;

    fn call(call: &Call<'_>, node: FileHandle<'_>, _: &mut [u8]) -> Result<Done, Failure<PostOp>> {
        let node = call.node(node)?;
        Ok(Done { node: call.post_op(&node), case_sensitive: call.service.view.case_sensitive(&node) })
    }
}

impl Encode for Done {
    fn encode(&self, to: &mut Encoder<'_>) {
        self.node.encode(to);
        to.u32(LINK_MAX);
        to.u32(NAME_MAX as u32);
        to.bool(true); // names that are too long are refused, not cut
        to.bool(true); // only root gives files away
        to.bool(!self.case_sensitive); // whether names that differ in case only are the same
        to.bool(true); // they keep their case
    }
}
