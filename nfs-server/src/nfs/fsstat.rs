//! FSSTAT (RFC 1813, section 3.3.18): how full the file system is.

use super::attributes::PostOp;
use super::{Failure, Procedure};
use crate::call::Call;
use crate::handle::FileHandle;
use crate::view::{Amount, Space};
use crate::xdr::{Encode, Encoder};

pub(super) struct FsStat;

pub(super) struct Done {
    attributes: PostOp,
    space: Space,
}

impl Procedure for FsStat {
    type Arguments<'a> = FileHandle<'a>;
    type Done<'b> = Done;
    type Failed = PostOp;

    fn call(call: &Call<'_>, root: FileHandle<'_>, _: &mut [u8]) -> Result<Done, Failure<PostOp>> {
        let node = call.node(root)?;
        Ok(Done { attributes: call.post_op(&node), space: call.service.view.space(&node)? })
    }
}

impl Encode for Done {
    fn encode(&self, to: &mut Encoder<'_>) {
        let Space { bytes, inodes } = self.space;
        self.attributes.encode(to);
        for Amount { total, free, available } in [bytes, inodes] {
            to.u64(total);
            to.u64(free);
            to.u64(available);
        }
        to.u32(0); // seconds for which this holds: it may change at once
    }
}
