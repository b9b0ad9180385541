//! Views served by the crate nfsserve: a backend to compare with, and not one to trust.
//!
//! It talks to every process of this machine, takes each for the build's user, and leaves out a part of the protocol
//! (docs/backends.md).

mod adapter;
mod words;

use std::io;
use std::sync::{Arc, Once};
use std::time::Duration;

use mounter::jail::Root;
use mounter::{MountOptions, Network, Source};
use nfs_server::HandleKey;
use nfs_server::view::{AccessObserver, OpenError, View};
use nfsserve::tcp::{NFSTcp, NFSTcpListener};
use tokio::runtime::Runtime;

use super::inode_view::InodeView;
use super::{Backend, BackendError, ProvisionRequest, Provisioned, ResourceUsage, ViewSummary};
use crate::access::{AccessLog, Recording};
use adapter::Adapter;
use mounter::jail::User;

/// Where it listens: any free port.
const ANY_PORT: &str = "127.0.0.1:0";

/// How long its threads may take to end what they do, once nobody asks any more.
const LAST_CALLS: Duration = Duration::from_secs(5);

static WARN: Once = Once::new();

/// Serves views by nfsserve to this machine's own client, and to whoever else asks.
#[derive(Clone, Debug, Default)]
pub struct Nfsserve {
    /// How the client mounts them.
    pub options: MountOptions,
}

/// nfsserve, which serves for as long as this lives.
pub struct Server {
    runtime: Option<Runtime>,
    source: Source,
}

struct NfsserveView {
    view: Arc<View>,
    server: Server,
    root: Root,
    accesses: Arc<AccessLog>,
    _network: Network,
}

impl Server {
    /// Serves a view. Whoever asks is taken for `user`.
    ///
    /// # Errors
    /// When there are no threads to be had, or no port.
    pub fn start(view: Arc<View>, user: User) -> io::Result<Server> {
        let runtime = Runtime::new()?;
        let adapter = Adapter(InodeView::new(view, user));
        let mut listener = runtime.block_on(NFSTcpListener::bind(ANY_PORT, adapter))?;
        // It keeps nobody out, since the crate tells whoever asks. But what is mounted is told apart by its name.
        let export = HandleKey::random()?.export_path();
        listener.with_export_name(&export);
        let source = Source {
            addr: (listener.get_listen_ip(), listener.get_listen_port()).into(),
            export,
            namespace: None,
        };
        runtime.spawn(async move {
            let ended = listener.handle_forever().await;
            tracing::warn!(?ended, "nfsserve takes no more connections");
        });
        Ok(Server { runtime: Some(runtime), source })
    }

    /// Where it listens, for MOUNT too.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(LAST_CALLS);
        }
    }
}

impl Backend for Nfsserve {
    fn provision(&self, request: ProvisionRequest<'_>) -> Result<Box<dyn Provisioned>, BackendError> {
        WARN.call_once(|| tracing::warn!("every process on this machine can use what nfsserve serves"));
        let accesses = Arc::new(AccessLog::new(request.serve.recording));
        let observer = (request.serve.recording != Recording::Nothing)
            .then(|| Arc::clone(&accesses) as Arc<dyn AccessObserver>);
        let view = Arc::new(View::open(request.view, observer)?);
        // What the build makes is its own then. The crate does not say who calls.
        let network = Network::new()?;
        let server = network.within(|| Server::start(Arc::clone(&view), request.user.clone()))?;
        let server = server.map_err(BackendError::Nfsserve)?;
        let source = Source { namespace: network.path(), ..server.source().clone() };
        request.record.serves(&source)?;
        let root = Root::Nfs { source, options: self.options.clone(), mount_point: request.at.into() };
        Ok(Box::new(NfsserveView { view, server, root, accesses, _network: network }))
    }
}

impl Provisioned for NfsserveView {
    fn root(&self) -> Root {
        self.root.clone()
    }

    fn view(&self) -> Result<&View, OpenError> {
        Ok(&self.view)
    }

    fn end(self: Box<Self>) -> Result<ViewSummary, BackendError> {
        drop(self.server);
        // It does not count calls.
        let usage = ResourceUsage { mounts: 1, ..ResourceUsage::default() };
        Ok(ViewSummary { usage, accesses: self.accesses.take(&self.view), ..ViewSummary::default() })
    }
}
