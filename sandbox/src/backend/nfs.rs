//! Views served over NFS to this machine's own client.

use std::sync::Arc;

use mounter::jail::Root;
use mounter::{MountOptions, Network, Source};
use nfs_server::view::View;
use nfs_server::{Peers, Server, ServerOptions, Users};

use super::{Backend, BackendError, ProvisionRequest, Provisioned, ResourceUsage};

/// Serves views over NFS to this machine's own client.
#[derive(Clone, Debug, Default)]
pub struct Nfs {
    /// How the client mounts them.
    pub options: MountOptions,
}

struct Served {
    view: Arc<View>,
    server: Server,
    root: Root,
    /// Where it listens: kept for whoever mounts.
    _network: Network,
}

impl Backend for Nfs {
    fn provision(&self, request: ProvisionRequest<'_>) -> Result<Box<dyn Provisioned>, BackendError> {
        let view = Arc::new(View::open(request.view, request.observer)?);
        let options = ServerOptions::new(Users::Only(vec![request.user.uid]), Peers::KernelOnly);
        let network = Network::new()?;
        let server = network.within(|| Server::start(Arc::clone(&view), options))??;
        let source =
            Source { addr: server.addr(), export: server.export().to_owned(), namespace: network.path() };
        request.record.serves(&source)?;
        let root = Root::Nfs { source, options: self.options.clone(), mount_point: request.at.into() };
        Ok(Box::new(Served { view, server, root, _network: network }))
    }

    /// A client's descriptors are of its mount. Those of the host's files are the server's, which has closed them all when
    /// it has stopped, and carries out no call any more.
    fn exposes_host_files(&self) -> bool {
        false
    }
}

impl Provisioned for Served {
    fn root(&self) -> Root {
        self.root.clone()
    }

    fn view(&self) -> &View {
        &self.view
    }

    fn end(self: Box<Self>) -> Result<ResourceUsage, BackendError> {
        Ok(ResourceUsage { nfs_calls: self.server.stop(), mounts: 1, ..ResourceUsage::default() })
    }
}
