//! REMOVE (RFC 1813, section 3.3.12): the name of anything but a directory.

use super::arguments::DirOp;
use super::attributes::Wcc;
use super::{Failure, Procedure};
use crate::call::Call;

pub(super) struct Remove;

impl Procedure for Remove {
    type Arguments<'a> = DirOp<'a>;
    type Done<'b> = Wcc;
    type Failed = Wcc;

    fn call(call: &Call<'_>, what: DirOp<'_>, _: &mut [u8]) -> Result<Wcc, Failure<Wcc>> {
        if let Some(directory) = call.service.handle_key.verify(what.directory)
            && call.service.view.release_orphan(directory, what.name)
        {
            // The last close of a file whose directory went before it.
            return Ok(Wcc::default());
        }
        let directory = call.writable_names(&what)?;
        call.change(&directory, what.name, || directory.remove(what.name, call.caller())).map(|((), wcc)| wcc)
    }
}
