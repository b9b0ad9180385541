//! FSINFO (RFC 1813, section 3.3.19): what the server can do.

use super::attributes::PostOp;
use super::{Failure, Procedure};
use crate::call::Call;
use crate::handle::FileHandle;
use crate::limits::{READDIR_REPLY_MAX, TRANSFER_MAX};
use crate::xdr::{Encode, Encoder};

/// Transfers in multiples of this are best: a page.
const TRANSFER_MULTIPLE: u32 = 4096;

/// `FSF3_LINK`, `FSF3_SYMLINK`, `FSF3_HOMOGENEOUS` and `FSF3_CANSETTIME`.
const PROPERTIES: u32 = 0x01 | 0x02 | 0x08 | 0x10;

pub(super) struct FsInfo;

pub(super) struct Done {
    attributes: PostOp,
    max_file_size: u64,
}

impl Procedure for FsInfo {
    type Arguments<'a> = FileHandle<'a>;
    type Done<'b> = Done;
    type Failed = PostOp;

    fn call(call: &Call<'_>, root: FileHandle<'_>, _: &mut [u8]) -> Result<Done, Failure<PostOp>> {
        let node = call.node(root)?;
        Ok(Done { attributes: call.post_op(&node), max_file_size: call.service.view.max_file_size(&node) })
    }
}

impl Encode for Done {
    fn encode(&self, to: &mut Encoder<'_>) {
        self.attributes.encode(to);
        for _read_then_write in 0..2 {
            to.u32(TRANSFER_MAX as u32);
            to.u32(TRANSFER_MAX as u32);
            to.u32(TRANSFER_MULTIPLE);
        }
        to.u32(READDIR_REPLY_MAX as u32);
        to.u64(self.max_file_size);
        to.u32(0); // seconds and
        to.u32(1); // nanoseconds between two times that a file can have
        to.u32(PROPERTIES);
    }
}
