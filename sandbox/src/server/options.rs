//! What is asked of whoever serves a view.

use std::path::PathBuf;

use nfs_server::view::ViewVariation;

use crate::access::Recording;
use crate::conditions::Conditions;

/// How a view is served. A backend that does not serve it takes no notice.
#[derive(Clone, Copy, Debug)]
pub struct ServeOptions<'a> {
    /// What is remembered of what the view is asked for.
    pub recording: Recording,
    /// What the view shows otherwise than it is.
    pub variation: ViewVariation,
    /// Its scratches that are to be the machine's own.
    pub local: &'a [PathBuf],
    /// What is made harder than it has to be. Only loopbox's own server can.
    pub conditions: &'a Conditions,
}

impl Default for ServeOptions<'_> {
    fn default() -> Self {
        let (recording, variation) = (Recording::Nothing, ViewVariation::default());
        ServeOptions { recording, variation, local: &[], conditions: Conditions::none() }
    }
}
