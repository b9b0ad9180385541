//! Starting supervisors: on Linux by a process that forks them, elsewhere each as a program of its own.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::{JailError, KillError, Stdio3};

/// Starts the supervisors of jails: this very binary, in sessions of their own.
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

    /// Starts a supervisor with the program's streams, which are closed here then.
    pub(super) fn spawn(&self, stdio: Stdio3, control: &UnixStream) -> Result<Supervisor, JailError> {
        self.start(stdio, control)
            .map_err(|source| JailError::Launch { program: self.loopbox.clone(), source })
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
        self.kill_all_of(uid).map_err(|source| KillError::Kill { uid, source })
    }
}

#[cfg(target_os = "linux")]
pub(super) use forked::Supervisor;
#[cfg(not(target_os = "linux"))]
pub(super) use spawned::Supervisor;

#[cfg(target_os = "linux")]
mod forked {
    use std::sync::PoisonError;

    use super::{Spawner, Stdio3, UnixStream, io};
    use crate::jail::fork_server::ForkServer;
    use crate::jail::handle::Handle;

    /// A supervisor; a child of the process that forked it, which reaps it.
    #[derive(Debug)]
    pub struct Supervisor(Handle);

    impl Spawner {
        #[allow(clippy::needless_pass_by_value, reason = "the caller must not keep the streams open")]
        pub(super) fn start(&self, stdio: Stdio3, control: &UnixStream) -> io::Result<Supervisor> {
            Ok(Supervisor(Handle::from(self.ask(|server| server.fork(&stdio, control))?)))
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

    impl Supervisor {
        /// Waits for its end.
        pub fn wait(&mut self) -> io::Result<()> {
            self.0.wait();
            Ok(())
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod spawned {
    use std::os::fd::AsRawFd;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    use super::{Spawner, Stdio3, UnixStream, io};
    use crate::jail::WORD;
    use crate::sys;

    /// A supervisor; a child of this process.
    #[derive(Debug)]
    pub struct Supervisor(Child);

    impl Spawner {
        pub(super) fn start(&self, stdio: Stdio3, control: &UnixStream) -> io::Result<Supervisor> {
            let mut command = Command::new(&self.loopbox);
            command
                .arg0("loopbox")
                .arg(WORD)
                .arg(control.as_raw_fd().to_string())
                .env_clear()
                .current_dir("/");
            command.stdin(stdio.stdin).stdout(stdio.stdout).stderr(stdio.stderr);
            sys::in_own_session_with(&mut command, control.as_raw_fd());
            Ok(Supervisor(command.spawn()?))
        }

        #[allow(clippy::unused_self, reason = "elsewhere it asks a process")]
        pub(super) fn kill_all_of(&self, uid: u32) -> io::Result<()> {
            crate::jail::users::kill_all_of(uid)
        }
    }

    impl Supervisor {
        /// Waits for its end.
        pub fn wait(&mut self) -> io::Result<()> {
            self.0.wait().map(drop)
        }
    }
}
