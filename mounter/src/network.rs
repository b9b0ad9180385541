//! A network namespace for one server and its client.
//!
//! The kernel's NFS client connects again whenever its connection breaks, and trusts whoever has the server's port by
//! then. Any user may bind a port of the machine's loopback address once it is free; in a network namespace that nobody
//! else can enter there is nobody who could. A socket stays in the namespace that it was made in, and so does the client
//! of a mount (`fs/nfs/fs_context.c`), whatever namespaces the processes are in that use them.

use std::io;
use std::path::PathBuf;

pub use system::Network;
#[cfg(target_os = "linux")]
pub(crate) use system::within;

/// The namespace could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a network namespace for a server and its mount")]
pub struct NetworkError(#[from] io::Error);

#[cfg(target_os = "linux")]
mod system {
    use std::fs::File;
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
    use std::path::Path;

    use defences::Defence;
    use nix::sched::{CloneFlags, setns, unshare};

    use super::{NetworkError, PathBuf, io};
    use crate::sys;

    /// The namespace of the calling thread (namespaces(7)).
    const OWN: &str = "/proc/thread-self/ns/net";

    /// A network namespace with nothing but a loopback interface. It lasts as long as this, or a socket or a mount that
    /// was made in it.
    #[derive(Debug)]
    pub struct Network {
        namespace: File,
    }

    impl AsFd for Network {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.namespace.as_fd()
        }
    }

    impl Network {
        /// Makes a new namespace.
        ///
        /// # Errors
        /// What unshare(2) says, or that the interface stays down.
        pub fn new() -> Result<Network, NetworkError> {
            if !Defence::ServerNetwork.stands() {
                return Ok(Network { namespace: File::open(OWN)? });
            }
            let make = || sys::loopback_up().and_then(|()| File::open(OWN));
            Ok(Network { namespace: elsewhere(|| unshare(CloneFlags::CLONE_NEWNET), make)?? })
        }

        /// A path to it for setns(2), good while this lives: for [`crate::Source`], and so for other processes of root.
        #[must_use]
        pub fn path(&self) -> Option<PathBuf> {
            Some(format!("/proc/{}/fd/{}", std::process::id(), self.namespace.as_raw_fd()).into())
        }

        /// Runs a closure with this thread in the namespace: sockets and threads that it makes are in the namespace too.
        ///
        /// # Errors
        /// If the namespace cannot be entered or left.
        pub fn within<T>(&self, action: impl FnOnce() -> T) -> Result<T, NetworkError> {
            Ok(elsewhere(|| setns(&self.namespace, CloneFlags::CLONE_NEWNET), action)?)
        }
    }

    /// Runs a closure with this thread in the namespace at a path.
    pub(crate) fn within<T>(path: &Path, action: impl FnOnce() -> T) -> io::Result<T> {
        let namespace = File::open(path)?;
        elsewhere(|| setns(namespace, CloneFlags::CLONE_NEWNET), action)
    }

    /// Namespaces are a thread's own. A thread made for this alone would take longer than all else here.
    fn elsewhere<T>(enter: impl FnOnce() -> nix::Result<()>, action: impl FnOnce() -> T) -> io::Result<T> {
        let own = File::open(OWN)?;
        enter()?;
        let done = action();
        setns(own, CloneFlags::CLONE_NEWNET)?;
        Ok(done)
    }

    #[cfg(test)]
    mod tests {
        use std::net::{Ipv4Addr, TcpListener, TcpStream};

        use super::*;

        #[test]
        fn a_port_in_it_is_reached_from_within_and_from_nowhere_else() {
            if !nix::unistd::geteuid().is_root() {
                println!("not tried: only root makes network namespaces");
                return;
            }
            let network = Network::new().unwrap();
            let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let listener = network.within(listen).unwrap();
            let address = listener.local_addr().unwrap();
            assert!(TcpStream::connect(address).is_err());
            assert!(network.within(|| TcpStream::connect(address)).unwrap().is_ok());
            assert!(within(&network.path().unwrap(), || TcpStream::connect(address)).unwrap().is_ok());
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::{NetworkError, PathBuf};

    /// The machine's own network: other systems have one alone.
    #[derive(Debug)]
    pub struct Network(());

    impl Network {
        /// Does nothing.
        ///
        /// # Errors
        /// None.
        pub fn new() -> Result<Network, NetworkError> {
            Ok(Network(()))
        }

        /// None: it is where everything is.
        #[must_use]
        pub fn path(&self) -> Option<PathBuf> {
            None
        }

        /// Runs the closure.
        ///
        /// # Errors
        /// None.
        pub fn within<T>(&self, action: impl FnOnce() -> T) -> Result<T, NetworkError> {
            Ok(action())
        }
    }
}
