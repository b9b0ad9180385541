//! RMDIR (RFC 1813, section 3.3.13): an empty directory.

use super::arguments::DirOp;
use super::attributes::Wcc;
use super::{Failure, Procedure};
use crate::call::Call;

pub(super) struct RmDir;

impl Procedure for RmDir {
    type Arguments<'a> = DirOp<'a>;
    type Done<'b> = Wcc;
    type Failed = Wcc;

    fn call(call: &Call<'_>, what: DirOp<'_>, _: &mut [u8]) -> Result<Wcc, Failure<Wcc>> {
        let directory = call.writable_names(&what)?;
        call.change(&directory, what.name, || directory.remove_directory(what.name, call.caller()))
            .map(|((), wcc)| wcc)
    }
}
