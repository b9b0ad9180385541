//! Starting supervisors: on Linux by a process that forks them, elsewhere each as a program of its own.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::{JailError, Stdio3};

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
        /// A server that was killed, or that cannot fork, is replaced once.
        #[allow(clippy::needless_pass_by_value, reason = "the caller must not keep the streams open")]
        pub(super) fn start(&self, stdio: Stdio3, control: &UnixStream) -> io::Result<Supervisor> {
            let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
            let forked = match server.as_ref().map(|server| server.fork(&stdio, control)) {
                Some(Ok(forked)) => forked,
                _ => server.insert(ForkServer::start(&self.loopbox)?).fork(&stdio, control)?,
            };
            Ok(Supervisor(Handle::from(forked)))
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
    }

    impl Supervisor {
        /// Waits for its end.
        pub fn wait(&mut self) -> io::Result<()> {
            self.0.wait().map(drop)
        }
    }
}
