//! Views served over NFS to this machine's own client.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use mounter::jail::{LocalPlace, Root};
use mounter::{Identity, MountOptions, Network, Source};
use nfs_server::view::{OpenError, View, ViewOptions, ViewSpec};

use super::{Backend, BackendError, ProvisionRequest, Provisioned, ResourceUsage, ViewSummary};
use crate::access::Recording;
use crate::cancel::Cancel;
use crate::local;
use crate::server::{ServerProcess, ServerSetup, ServerSummary};

/// Serves views over NFS to this machine's own client.
#[derive(Clone, Debug, Default)]
pub struct Nfs {
    /// How the client mounts them.
    pub options: MountOptions,
}

struct NfsView {
    spec: ViewSpec,
    /// Opened when somebody asks: what serves it is another process's.
    view: OnceCell<View>,
    server: ServerProcess,
    root: Root,
    local: Vec<LocalPlace>,
    /// Where it listens: kept for whoever mounts.
    _network: Network,
}

impl Backend for Nfs {
    fn provision(&self, request: ProvisionRequest<'_>) -> Result<Box<dyn Provisioned>, BackendError> {
        let network = Network::new()?;
        let ProvisionRequest { view, user, at, record, spawner, serve, asked_from } = request;
        let status = record.status();
        let setup = ServerSetup { view, user, options: serve, status: &status, asked_from };
        let server = ServerProcess::start(spawner, &network, setup)?;
        let source =
            Source { addr: server.addr(), export: server.export().to_owned(), namespace: network.path() };
        record.serves(&source)?;
        // A client may otherwise know a file by the list of a directory, and never ask for it.
        let nordirplus = serve.recording == Recording::Found;
        let options = MountOptions { nordirplus, ..self.options.clone() };
        let root = Root::Nfs { source, options, mount_point: at.into() };
        let local = places(view, serve.local, server.identities());
        let (spec, view) = (view.clone(), OnceCell::new());
        Ok(Box::new(NfsView { spec, view, server, root, local, _network: network }))
    }

    /// A client's descriptors are of its mount. Those of the host's files are the server's, whose process has ended, and
    /// carries out no call any more.
    fn exposes_host_files(&self) -> bool {
        false
    }

    fn mount_options(&self) -> Option<&MountOptions> {
        Some(&self.options)
    }
}

impl Provisioned for NfsView {
    fn root(&self) -> Root {
        self.root.clone()
    }

    fn view(&self) -> Result<&View, OpenError> {
        if let Some(view) = self.view.get() {
            return Ok(view);
        }
        // The program may have set the modes of its scratches meanwhile.
        let options = ViewOptions { prepares_scratches: false, ..ViewOptions::default() };
        let view = View::open_with(&self.spec, options)?;
        Ok(self.view.get_or_init(|| view))
    }

    fn local(&self) -> Vec<LocalPlace> {
        self.local.clone()
    }

    fn runs(&self, program: &Path) {
        self.server.runs(program);
    }

    fn gone(&self) -> Option<&Cancel> {
        Some(self.server.gone())
    }

    fn end(self: Box<Self>) -> Result<ViewSummary, BackendError> {
        let ServerSummary { calls, accesses, imposed } = self.server.stop()?;
        Ok(ViewSummary {
            usage: ResourceUsage {
                nfs_calls: calls,
                mounts: 1 + self.local.len() as u64,
                ..ResourceUsage::default()
            },
            accesses,
            imposed,
        })
    }
}

/// What the jail mounts over scratches.
fn places(view: &ViewSpec, at: &[PathBuf], identities: &[Option<Identity>]) -> Vec<LocalPlace> {
    let place = |(at, identity): (&PathBuf, &Option<Identity>)| {
        let source = local::source(view, at)?;
        Some(LocalPlace { at: at.clone(), source: source.into(), identity: (*identity)? })
    };
    at.iter().zip(identities).filter_map(place).collect()
}
