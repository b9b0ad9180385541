//! Views served over NFS to this machine's own client.

use std::sync::Arc;

use mounter::jail::Root;
use mounter::{MountOptions, Network, Source};
use nfs_server::view::View;
use nfs_server::{Peers, Server, ServerOptions, Users};

use super::{Backend, BackendError, Realised, Spent, Wish};

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
    fn realise(&self, wish: Wish<'_>) -> Result<Box<dyn Realised>, BackendError> {
        let view = Arc::new(View::open(wish.view, wish.sink)?);
        let options = ServerOptions::new(Users::Only(vec![wish.user.uid]), Peers::KernelOnly);
        let network = Network::new()?;
        let server = network.within(|| Server::start(Arc::clone(&view), options))??;
        let source =
            Source { addr: server.addr(), export: server.export().to_owned(), namespace: network.path() };
        wish.note.serves(&source)?;
        let root = Root::Nfs { source, options: self.options.clone(), mount_point: wish.at.into() };
        Ok(Box::new(Served { view, server, root, _network: network }))
    }

    /// A client's descriptors are of its mount. Those of the host's files are the server's, which has closed them all when
    /// it has stopped, and carries out no call any more.
    fn exposes_host_files(&self) -> bool {
        false
    }
}

impl Realised for Served {
    fn root(&self) -> Root {
        self.root.clone()
    }

    fn view(&self) -> &View {
        &self.view
    }

    fn end(self: Box<Self>) -> Result<Spent, BackendError> {
        Ok(Spent { nfs_calls: self.server.stop(), mounts: 1, ..Spent::default() })
    }
}
