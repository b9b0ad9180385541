//! FSSTAT (RFC 1813, section 3.3.18): how full the file system is.

use nix::sys::statvfs::Statvfs;

use super::attributes::PostOp;
use super::{Failure, Procedure};
use crate::call::Call;
use crate::handle::FileHandle;
use crate::xdr::{Encode, Encoder};

pub(super) struct FsStat;

pub(super) struct Done {
    attributes: PostOp,
    file_system: Statvfs,
}

impl Procedure for FsStat {
    type Arguments<'a> = FileHandle<'a>;
    type Done<'b> = Done;
    type Failed = PostOp;

    fn call(call: &Call<'_>, root: FileHandle<'_>, _: &mut [u8]) -> Result<Done, Failure<PostOp>> {
        let node = call.node(root)?;
        Ok(Done { attributes: call.post_op(&node), file_system: call.service.view.file_system(&node)? })
    }
}

impl Encode for Done {
    #[allow(
        clippy::unnecessary_cast,
        clippy::useless_conversion,
        reason = "the fields' widths differ between systems"
    )]
    fn encode(&self, to: &mut Encoder<'_>) {
        let fs = &self.file_system;
        let bytes = |blocks: u64| blocks.saturating_mul(fs.fragment_size() as u64);
        self.attributes.encode(to);
        to.u64(bytes(fs.blocks() as u64));
        to.u64(bytes(fs.blocks_free() as u64));
        to.u64(bytes(fs.blocks_available() as u64));
        to.u64(fs.files() as u64);
        to.u64(fs.files_free() as u64);
        to.u64(fs.files_available() as u64);
        to.u32(0); // seconds for which this holds: it may change at once
    }
}
