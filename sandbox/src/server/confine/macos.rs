//! On macOS the process stays root: where there are no process namespaces, what is left of a build is killed by its user,
//! and the server must not be.

use nfs_server::view::{Credentials, ViewSpec};

use super::Confined;
use crate::server::Rights;

/// Nobody else.
pub(super) fn becomes(_: &Credentials) -> Option<Credentials> {
    None
}

/// Changes nothing.
#[allow(clippy::unnecessary_wraps, reason = "as on Linux")]
pub(super) fn confine(_: &Rights, _: &ViewSpec) -> Result<(), Confined> {
    Ok(())
}
