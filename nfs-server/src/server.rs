//! The server: a loopback socket, and a thread for each connection to it.

mod listener;
mod log_limit;
mod peer;

use std::collections::HashMap;
use std::io::{self, PipeReader, PipeWriter};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use defences::Defence;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use parking_lot::{Condvar, Mutex};

pub use listener::Listener;
use log_limit::LogLimit;
pub use peer::Peers;

use crate::call_counts::CallCounts;
use crate::connection;
use crate::faults::{Fault, FaultInjector, InjectedFault};
use crate::handle::HandleKey;
use crate::limits::{ACCEPT_RETRY_MILLISECONDS, CLIENT_CLOSE_TIMEOUT, CONNECTIONS_MAX};
use crate::service::{Service, Users};
use crate::silly::SillyNames;
use crate::slow_calls::{SlowCall, SlowCalls};
use crate::view::View;

/// How a view is served.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The users whose calls are accepted.
    pub users: Users,
    /// The peers whose connections are accepted.
    pub peers: Peers,
    /// The key of handles and of the export path; a random one when `None`.
    pub handle_key: Option<HandleKey>,
    /// How the client names files that are deleted while open.
    pub silly_names: SillyNames,
    /// Whether the slowest calls are remembered.
    pub times_calls: bool,
    /// What calls are to fail with on purpose.
    pub faults: Vec<Fault>,
}

impl ServerOptions {
    /// A new key, and the client of this system.
    #[must_use]
    pub fn new(users: Users, peers: Peers) -> ServerOptions {
        ServerOptions {
            users,
            peers,
            handle_key: None,
            silly_names: SillyNames::default(),
            times_calls: false,
            faults: Vec::new(),
        }
    }
}

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// getrandom(2) failed.
    #[error("cannot get random numbers from the system")]
    Random(#[source] io::Error),
    /// socket(2), bind(2) or listen(2) failed.
    #[error("cannot listen on a port of 127.0.0.1")]
    Listen(#[source] io::Error),
    /// The kernel's connections cannot be told from those of other programs.
    #[error("cannot tell the kernel's connections from those of other programs: {0}")]
    Peers(String),
    /// A thread or a pipe could not be created.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// A view being served. Dropping it ends every connection: unmount first.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Closed to stop the accepting thread.
    wake: Option<PipeWriter>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    service: Service,
    peers: peer::PeerCheck,
    log_limit: LogLimit,
    connections: Mutex<Connections>,
    /// A connection ended.
    ended: Condvar,
}

#[derive(Default)]
struct Connections {
    next: u64,
    open: HashMap<u64, TcpStream>,
    threads: Vec<JoinHandle<()>>,
    stopped: bool,
}

impl Server {
    /// Serves a view on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Those of [`Listener::new`], and if the system has no random numbers or no thread.
    pub fn start(view: Arc<View>, options: ServerOptions) -> Result<Server, ServerError> {
        Server::start_on(Listener::new(options.peers)?, view, options)
    }

    /// Serves a view on a socket, whose peers count in place of those of the options.
    ///
    /// # Errors
    /// If the system has no random numbers or no thread.
    pub fn start_on(
        listener: Listener,
        view: Arc<View>,
        options: ServerOptions,
    ) -> Result<Server, ServerError> {
        let Listener { socket, address, peers } = listener;
        let handle_key = match options.handle_key {
            Some(handle_key) => handle_key,
            None => HandleKey::random().map_err(ServerError::Random)?,
        };
        let slow_calls = options.times_calls.then(SlowCalls::new);
        let (woken, wake) = io::pipe().map_err(ServerError::Thread)?;
        let shared = Arc::new(Shared {
            service: Service::new(
                view,
                handle_key,
                options.users,
                options.silly_names,
                slow_calls,
                options.faults,
            ),
            peers,
            log_limit: LogLimit::default(),
            connections: Mutex::default(),
            ended: Condvar::new(),
        });
        let accepting = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("nfs-accept".into())
                .spawn(move || accept(&shared, &socket, &woken))
                .map_err(ServerError::Thread)?
        };
        Ok(Server { address, shared, wake: Some(wake), accepting: Some(accepting) })
    }

    /// The address of both the NFS and the MOUNT service.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The path to mount. It is a secret: whoever may connect and knows it gets the root's handle.
    #[must_use]
    pub fn export(&self) -> &str {
        &self.shared.service.export
    }

    /// The calls so far.
    #[must_use]
    pub fn calls(&self) -> CallCounts {
        CallCounts::of(&self.shared.service.counters)
    }

    /// The slowest calls so far, the slowest first; none unless they were to be remembered.
    #[must_use]
    pub fn slowest_calls(&self) -> Vec<SlowCall> {
        self.shared.service.slow_calls.as_ref().map(SlowCalls::list).unwrap_or_default()
    }

    /// How often each fault was injected so far.
    #[must_use]
    pub fn injected(&self) -> Vec<InjectedFault> {
        self.shared.service.faults.as_ref().map(FaultInjector::injected).unwrap_or_default()
    }

    /// Closes all connections and all files of the view, and joins all threads.
    ///
    /// A client may remove its silly-renamed files after its unmount, and closes its connection then. It is waited for, up
    /// to two seconds; what it leaves is removed.
    pub fn stop(mut self) -> CallCounts {
        self.end();
        self.calls()
    }

    fn end(&mut self) {
        let view = &self.shared.service.view;
        let unfinished = view.has_deleted_files() && !self.shared.are_closed_within(CLIENT_CLOSE_TIMEOUT);
        drop(self.wake.take());
        if let Some(accepting) = self.accepting.take() {
            // A panic was reported when it happened.
            let _ = accepting.join();
        }
        let threads = self.shared.close_connections();
        for thread in threads {
            let _ = thread.join();
        }
        if unfinished {
            view.remove_deleted_files();
        }
        view.close();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Takes connections until the other end of `woken` is closed.
fn accept(shared: &Arc<Shared>, listener: &TcpListener, woken: &PipeReader) {
    loop {
        let mut waiting =
            [PollFd::new(listener.as_fd(), PollFlags::POLLIN), PollFd::new(woken.as_fd(), PollFlags::POLLIN)];
        if nix::poll::poll(&mut waiting, PollTimeout::NONE).is_err() {
            // EINTR or ENOMEM.
            continue;
        }
        if waiting[1].revents().is_some_and(|events| !events.is_empty()) {
            return;
        }
        match listener.accept() {
            Ok((stream, peer)) => shared.admit(stream, peer),
            // ECONNABORTED, EMFILE and the like: go on.
            Err(error) => {
                tracing::debug!(%error, "accept failed");
                if is_shortage(&error) {
                    // The connection is still pending: do not spin, but stop when told to.
                    let _ = nix::poll::poll(&mut waiting[1..], PollTimeout::from(ACCEPT_RETRY_MILLISECONDS));
                }
            }
        }
    }
}

/// Whether descriptors, buffers or memory are exhausted.
fn is_shortage(error: &io::Error) -> bool {
    use nix::errno::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM))
}

impl Shared {
    fn admit(self: &Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
        let own = stream.local_addr();
        let admitted = own.map_err(|_| "it has ended").and_then(|own| self.peers.admits(peer, own));
        if let Err(reason) = admitted {
            self.service.counters.refuse();
            if let Some(untold) = self.log_limit.tell() {
                tracing::warn!(%peer, reason, untold, "refused a connection");
            }
        } else if let Err(error) = self.start(stream)
            && let Some(untold) = self.log_limit.tell()
        {
            tracing::warn!(%peer, %error, untold, "cannot serve a connection");
        }
    }

    fn start(self: &Arc<Shared>, stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        let mut connections = self.connections.lock();
        connections.threads.retain(|thread| !thread.is_finished());
        let full = connections.open.len() >= CONNECTIONS_MAX && Defence::Connections.stands();
        if connections.stopped || full {
            return Err(io::Error::other("too many connections"));
        }
        let id = connections.next;
        connections.next += 1;
        connections.open.insert(id, stream.try_clone()?);
        let shared = Arc::clone(self);
        let thread = std::thread::Builder::new().name("nfs-connection".into()).spawn(move || {
            let _open = ConnectionGuard { shared: &shared, id };
            if let Err(error) = connection::serve(&shared.service, &stream) {
                tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended");
            }
        });
        match thread {
            Ok(thread) => connections.threads.push(thread),
            Err(error) => {
                connections.open.remove(&id);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Waits until the peers have closed all connections; false after `time`.
    fn are_closed_within(&self, time: Duration) -> bool {
        let mut connections = self.connections.lock();
        let open = |connections: &mut Connections| !connections.open.is_empty();
        !self.ended.wait_while_for(&mut connections, open, time).timed_out()
    }

    fn close_connections(&self) -> Vec<JoinHandle<()>> {
        let mut connections = self.connections.lock();
        connections.stopped = true;
        for stream in connections.open.values() {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        std::mem::take(&mut connections.threads)
    }
}

/// Removes a connection from the list when its thread ends.
struct ConnectionGuard<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for ConnectionGuard<'_> {
    fn drop(&mut self) {
        self.shared.connections.lock().open.remove(&self.id);
        self.shared.ended.notify_all();
    }
}
