//! A view for every process of this machine, mounted at a place that they all see.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use mounter::options::Changes;
use mounter::{Mount, MountError, MountOptions, Network, NetworkError, Source};
use nfs_server::view::{OpenError, View, ViewSpec};
use nfs_server::{Peers, Server, ServerError, ServerOptions, Users};

use crate::recovery::{RunRecord, StateError};

/// A view that is served and mounted. Dropping it unmounts it, by force if need be.
pub struct HostMount {
    // The server has to answer until the mount is gone.
    mount: Option<Mount>,
    server: Server,
    network: Network,
}

/// Why a view could not be mounted for the machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostMountError {
    /// The view could not be opened.
    #[error(transparent)]
    View(#[from] OpenError),
    /// The server has no network of its own.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The view could not be served.
    #[error(transparent)]
    Serve(#[from] ServerError),
    /// It could not be mounted.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// Where it is could not be recorded.
    #[error(transparent)]
    Record(#[from] StateError),
    /// Nothing would end its client if this process were killed.
    #[error("cannot start the guard of the mount")]
    Guard(#[source] io::Error),
}

impl HostMount {
    /// Serves a view to this machine's own client, whoever its users are, and mounts it at a directory. `changes` says
    /// who else changes what it shows. The record is told where the kernel says that the mount is.
    ///
    /// # Errors
    /// The step that failed; nothing is left then.
    pub fn new(
        view: &ViewSpec,
        at: &Path,
        changes: Changes,
        record: &mut RunRecord,
    ) -> Result<HostMount, HostMountError> {
        let view = Arc::new(View::open(view, None)?);
        let options = ServerOptions::new(Users::Any, Peers::KernelOnly);
        let network = Network::new()?;
        let server = network.within(|| Server::start(view, options))??;
        let source =
            Source { addr: server.addr(), export: server.export().into(), namespace: network.path() };
        let mount = Mount::new(&source, at, &MountOptions { changes, ..MountOptions::default() })?;
        record.mounted_at(mount.at())?;
        Ok(HostMount { mount: Some(mount), server, network })
    }

    /// Where it is, in the kernel's words: on a volume that takes several spellings of a name for the same, perhaps not
    /// the one that was asked for.
    #[must_use]
    pub fn at(&self) -> &Path {
        self.mount.as_ref().map_or(Path::new(""), Mount::at)
    }

    /// Where it is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.addr()
    }

    /// Lets others unmount it: from now on this handle does not keep the mount in use.
    pub fn share(&mut self) {
        self.mount.iter_mut().for_each(Mount::share);
    }

    /// Starts a process that ends the mount's client when this one is killed: `program`, this very binary.
    ///
    /// # Errors
    /// When it cannot be started.
    #[cfg(target_os = "linux")]
    pub fn start_guard(&self, program: &Path) -> Result<Option<mounter::guard::Guard>, HostMountError> {
        let start = |mount: &Mount| mount.start_guard(program).transpose();
        self.mount.as_ref().and_then(start).transpose().map_err(HostMountError::Guard)
    }

    /// Waits until somebody else has unmounted it, or until `stop` can be read from.
    ///
    /// # Errors
    /// If the system does not tell of mounts.
    pub fn wait_until_gone(&self, stop: BorrowedFd<'_>) -> Result<(), MountError> {
        self.mount.as_ref().map_or(Ok(()), |mount| mount.wait_until_gone(stop))
    }

    /// Writes back what the client still holds, unmounts, and stops serving.
    ///
    /// # Errors
    /// Those of [`Mount::unmount`]. The mount is gone all the same.
    pub fn unmount(mut self) -> Result<(), MountError> {
        let unmounted = self.mount.take().map_or(Ok(()), Mount::unmount);
        self.server.stop();
        unmounted
    }

    /// Stops serving what somebody else has unmounted.
    pub fn forget(mut self) {
        self.mount.take().into_iter().for_each(Mount::forget);
        self.server.stop();
    }

    /// Connects to the server as any other program of this machine could that is in its network.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub fn connect(&self) -> io::Result<TcpStream> {
        let address = self.address();
        self.network.within(|| TcpStream::connect(address)).map_err(io::Error::other)?
    }
}
