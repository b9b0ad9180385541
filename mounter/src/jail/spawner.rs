//! Starting supervisors and servers: on Linux by a process that forks them, elsewhere each as a program of its own.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use defences::Defence;

use super::{JailError, KillError, StdioFds};
use crate::Network;

/// Starts the supervisors of jails and the servers of their views: this very binary, in sessions of their own.
#[derive(Debug)]
pub struct Spawner {
    loopbox: PathBuf,
    #[cfg(target_os = "linux")]
    server: std::sync::Mutex<Option<super::fork_server::ForkServer>>,
}

impl Spawner {
    /// Starts nothing yet. `loopbox` is this binary.
    #[must_use]
    pub fn new(loopbox: PathBuf) -> Spawner {
        Spawner {
            loopbox,
            #[cfg(target_os = "linux")]
            server: std::sync::Mutex::default(),
        }
    }

    /// Asks a process that forks for this one already.
    #[cfg(target_os = "linux")]
    pub(super) fn of(server: super::fork_server::ForkServer) -> Spawner {
        // Should that process be killed, another one is started from the file that this one runs from.
        Spawner { loopbox: "/proc/self/exe".into(), server: std::sync::Mutex::new(Some(server)) }
    }

    /// Starts an attendant for a connection, with its end of a socket from which it reads its configuration, and in a control
    /// group (cgroups(7)) with all that it starts, if one is given. It goes on when this process has ended.
    ///
    /// # Errors
    /// [`JailError::Launch`].
    #[cfg(target_os = "linux")]
    pub fn spawn_attendant(
        &self,
        connection: &UnixStream,
        config: &UnixStream,
        group: Option<BorrowedFd<'_>>,
    ) -> Result<AttendantProcess, JailError> {
        let process = self
            .start_attendant(connection, config, group)
            .map_err(|source| JailError::Launch { program: self.loopbox.clone(), source })?;
        Ok(AttendantProcess(process))
    }

    /// Starts a supervisor with the program's streams, which are closed here then.
    pub(super) fn spawn(&self, stdio: StdioFds, control: &UnixStream) -> Result<Spawned, JailError> {
        self.start(stdio, control)
            .map_err(|source| JailError::Launch { program: self.loopbox.clone(), source })
    }

    /// Starts a process that serves a view in a network of its own, with this end of a control socket; and with another
    /// root directory than this process's, if one is given (Linux).
    ///
    /// # Errors
    /// [`JailError::Launch`].
    pub fn spawn_server(
        &self,
        control: &UnixStream,
        network: &Network,
        root: Option<BorrowedFd<'_>>,
    ) -> Result<ServerProcess, JailError> {
        let process = self
            .start_server(control, network, root)
            .map_err(|source| JailError::Launch { program: self.loopbox.clone(), source })?;
        Ok(ServerProcess { process, ended: false })
    }

    /// Sends SIGKILL to every process of the user `uid` on this machine, from a process that has become this user.
    ///
    /// Once is enough: the kernel signals all of them while no process can be added to its list, and a fork that was
    /// under way fails. On macOS, what they leave in System V memory is removed too.
    ///
    /// # Errors
    /// If it is root, or if the user cannot be impersonated.
    pub fn kill_user(&self, uid: u32) -> Result<(), KillError> {
        if uid == 0 {
            return Err(KillError::Root);
        }
        if !Defence::KilledUser.stands() {
            return Ok(());
        }
        self.kill_all_of(uid).map_err(|source| KillError::Kill { uid, source })
    }
}

/// A process that attends to a connection, whatever becomes of this.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub struct AttendantProcess(Spawned);

#[cfg(target_os = "linux")]
impl AttendantProcess {
    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.has_ended()
    }
}

/// A process that serves a view. Dropping it kills the process.
#[derive(Debug)]
pub struct ServerProcess {
    process: Spawned,
    ended: bool,
}

impl ServerProcess {
    /// Waits for its end.
    ///
    /// # Errors
    /// Those of waitpid(2).
    pub fn wait(mut self) -> io::Result<()> {
        self.ended = true;
        self.process.wait()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if !self.ended {
            // It may have ended already.
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

#[cfg(target_os = "linux")]
pub(super) use forked::Spawned;
#[cfg(not(target_os = "linux"))]
pub(super) use spawned::Spawned;

#[cfg(target_os = "linux")]
mod forked {
    use std::os::fd::AsFd;
    use std::sync::PoisonError;

    use super::{BorrowedFd, Network, Spawner, StdioFds, UnixStream, io};
    use crate::child::Handle;
    use crate::jail::fork_server::ForkServer;

    /// A process; a child of the one that forked it, which reaps it.
    #[derive(Debug)]
    pub struct Spawned(Handle);

    impl Spawner {
        #[allow(clippy::needless_pass_by_value, reason = "the caller must not keep the streams open")]
        pub(super) fn start(&self, stdio: StdioFds, control: &UnixStream) -> io::Result<Spawned> {
            Ok(Spawned(Handle::from(self.ask(|server| server.fork(&stdio, control))?)))
        }

        pub(super) fn start_server(
            &self,
            control: &UnixStream,
            network: &Network,
            root: Option<BorrowedFd<'_>>,
        ) -> io::Result<Spawned> {
            let fork = |server: &ForkServer| server.fork_server(control, network.as_fd(), root);
            Ok(Spawned(Handle::from(self.ask(fork)?)))
        }

        pub(super) fn start_attendant(
            &self,
            connection: &UnixStream,
            config: &UnixStream,
            group: Option<BorrowedFd<'_>>,
        ) -> io::Result<Spawned> {
            let fork = |server: &ForkServer| server.fork_attendant(connection.as_fd(), config.as_fd(), group);
            Ok(Spawned(Handle::from(self.ask(fork)?)))
        }

        pub(super) fn kill_all_of(&self, uid: u32) -> io::Result<()> {
            self.ask(|server| server.kill_user(uid))
        }

        /// A server that was killed, or that cannot fork, is replaced once.
        fn ask<T>(&self, ask: impl Fn(&ForkServer) -> io::Result<T>) -> io::Result<T> {
            let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
            match server.as_ref().map(&ask) {
                Some(Ok(answer)) => Ok(answer),
                _ => ask(server.insert(ForkServer::start(&self.loopbox)?)),
            }
        }
    }

    impl Spawned {
        /// Waits for its end.
        pub fn wait(&mut self) -> io::Result<()> {
            self.0.wait();
            Ok(())
        }

        pub fn kill(&mut self) -> io::Result<()> {
            self.0.kill()
        }

        pub fn has_ended(&self) -> bool {
            self.0.has_ended(nix::poll::PollTimeout::ZERO)
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod spawned {
    use std::os::fd::AsRawFd;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    use super::{BorrowedFd, Network, Spawner, StdioFds, UnixStream, io};
    use crate::jail::{SERVER, WORD};
    use crate::sys;

    /// A process; a child of this one.
    #[derive(Debug)]
    pub struct Spawned(Child);

    impl Spawner {
        pub(super) fn start(&self, stdio: StdioFds, control: &UnixStream) -> io::Result<Spawned> {
            let mut command = self.command(control);
            command.stdin(stdio.stdin).stdout(stdio.stdout).stderr(stdio.stderr);
            Ok(Spawned(command.spawn()?))
        }

        pub(super) fn start_server(
            &self,
            control: &UnixStream,
            _: &Network,
            root: Option<BorrowedFd<'_>>,
        ) -> io::Result<Spawned> {
            if root.is_some() {
                return Err(io::ErrorKind::Unsupported.into());
            }
            let mut command = self.command(control);
            command.arg(SERVER).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            Ok(Spawned(command.spawn()?))
        }

        fn command(&self, control: &UnixStream) -> Command {
            let mut command = Command::new(&self.loopbox);
            command
                .arg0("loopbox")
                .arg(WORD)
                .arg(control.as_raw_fd().to_string())
                .env_clear()
                .current_dir("/");
            sys::in_own_session_with(&mut command, control.as_raw_fd());
            command
        }

        #[allow(clippy::unused_self, reason = "elsewhere it asks a process")]
        pub(super) fn kill_all_of(&self, uid: u32) -> io::Result<()> {
            crate::jail::mac::users::kill_all_of(uid)
        }
    }

    impl Spawned {
        /// Waits for its end.
        pub fn wait(&mut self) -> io::Result<()> {
            self.0.wait().map(drop)
        }

        pub fn kill(&mut self) -> io::Result<()> {
            self.0.kill()
        }
    }
}
