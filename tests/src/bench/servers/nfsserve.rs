//! The crate nfsserve on a view, as the backend of that name has it.

use std::sync::Arc;

use anyhow::{Context, Result};
use nfs_server::view::View;
use sandbox::backend::nfsserve::Server;

use super::{Address, root};

/// Serves until `ready` returns.
pub fn serve(view: Arc<View>, ready: impl FnOnce(&Address) -> Result<()>) -> Result<()> {
    let server = Server::start(view, root()).context("cannot listen")?;
    let port = server.source().addr.port();
    ready(&Address { nfs: port, mount: port, export: server.source().export.clone() })
}
