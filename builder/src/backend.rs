//! How a view becomes a directory that a build can be put into.

use std::path::Path;
use std::sync::Arc;

use mounter::jail::Root;
use mounter::{MountOptions, Source};
use nfs_server::view::{OpenError, Sink, View, ViewSpec};
use nfs_server::{Calls, Peers, Server, ServerError, ServerOptions, Users};

/// A way to make views real.
pub trait Backend: Send + Sync {
    /// Makes a view real for a build of `uid`, at an empty directory that only root can enter.
    ///
    /// # Errors
    /// When the view or what serves it cannot be made.
    fn realise(
        &self,
        view: &ViewSpec,
        uid: u32,
        at: &Path,
        sink: Arc<dyn Sink>,
    ) -> Result<Box<dyn Realised>, BackendError>;
}

/// A view that is real for as long as this lives.
pub trait Realised: Send {
    /// What the jail makes its root.
    fn root(&self) -> Root;

    /// The view, to look at what the build would find in it.
    fn view(&self) -> &View;

    /// Ends it, once nobody uses it any more, and says how it was used.
    fn end(self: Box<Self>) -> Calls;
}

/// Why a view could not be made real.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The view could not be opened.
    #[error("cannot open the view")]
    View(#[from] OpenError),
    /// The view could not be served.
    #[error("cannot serve the view")]
    Serve(#[from] ServerError),
}

/// Serves views over NFS to this machine's own client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nfs;

struct Served {
    view: Arc<View>,
    server: Server,
    root: Root,
}

impl Backend for Nfs {
    fn realise(
        &self,
        view: &ViewSpec,
        uid: u32,
        at: &Path,
        sink: Arc<dyn Sink>,
    ) -> Result<Box<dyn Realised>, BackendError> {
        let view = Arc::new(View::open(view, Some(sink))?);
        let options = ServerOptions { users: Users::Only(vec![uid]), peers: Peers::KernelOnly, secret: None };
        let server = Server::start(Arc::clone(&view), options)?;
        let source = Source { addr: server.addr(), export: server.export().to_owned() };
        let root = Root::Nfs { source, options: MountOptions::default(), mount_point: at.into() };
        Ok(Box::new(Served { view, server, root }))
    }
}

impl Realised for Served {
    fn root(&self) -> Root {
        self.root.clone()
    }

    fn view(&self) -> &View {
        &self.view
    }

    fn end(self: Box<Self>) -> Calls {
        self.server.stop()
    }
}
