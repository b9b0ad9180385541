//! The process that mounts views and starts programs in them, which takes root: this one, or loopbox's daemon.

#[cfg(target_os = "linux")]
use std::os::unix::fs::FileTypeExt;
#[cfg(target_os = "linux")]
use std::path::{Path, PathBuf};

use builder::shell::SessionUser;
use nix::unistd::geteuid;
use sandbox::Privilege;
use sandbox::backend::BackendKind;
#[cfg(target_os = "linux")]
use sandbox::backend::DaemonError;
#[cfg(target_os = "linux")]
use sandbox::daemon::Daemon;
use sandbox::jail::Spawner;
use sandbox::recovery::StateDir;

use crate::error::CommandError;
use crate::failures::RunError;
use crate::globals::Globals;
#[cfg(target_os = "linux")]
use crate::globals::STATE_DIR;
use crate::itself;

/// The process that mounts views and starts programs in them.
pub enum SessionHost {
    /// This process, which is root's.
    Own(Spawner),
    /// The daemon.
    #[cfg(target_os = "linux")]
    Daemon(Daemon),
}

impl SessionHost {
    /// This process if it is root's, and the daemon for everybody else.
    ///
    /// # Errors
    /// [`RunError::NotRoot`] where there is no daemon.
    #[cfg_attr(not(target_os = "linux"), allow(unused_variables, reason = "there is no daemon"))]
    pub fn find(globals: &Globals) -> Result<SessionHost, CommandError> {
        if geteuid().is_root() {
            return Ok(SessionHost::Own(Spawner::new(itself::program()?)));
        }
        #[cfg(target_os = "linux")]
        if globals.socket.metadata().is_ok_and(|metadata| metadata.file_type().is_socket()) {
            return Ok(SessionHost::Daemon(Daemon::at(&globals.socket)));
        }
        Err(RunError::NotRoot.into())
    }

    /// What a session is opened with.
    pub fn privilege(&self) -> Privilege<'_> {
        match self {
            SessionHost::Own(spawner) => Privilege::Own(spawner),
            #[cfg(target_os = "linux")]
            SessionHost::Daemon(daemon) => Privilege::Other(daemon),
        }
    }

    /// Refuses a backend that it does not have, before anything is made.
    ///
    /// # Errors
    /// The daemon has NFS alone.
    #[cfg_attr(not(target_os = "linux"), allow(unused_variables, reason = "there is no daemon"))]
    pub fn check_backend(&self, backend: BackendKind) -> Result<(), CommandError> {
        match self {
            SessionHost::Own(_) => Ok(()),
            #[cfg(target_os = "linux")]
            SessionHost::Daemon(_) if backend == BackendKind::Nfs => Ok(()),
            #[cfg(target_os = "linux")]
            SessionHost::Daemon(_) => Err(DaemonError::Backend.into()),
        }
    }

    /// Who a shell's session runs as.
    pub fn session_user(&self) -> SessionUser<'_> {
        match self {
            SessionHost::Own(_) => SessionUser::BuildUser,
            #[cfg(target_os = "linux")]
            SessionHost::Daemon(daemon) => SessionUser::Caller(daemon),
        }
    }

    /// Where this process notes what it could leave behind. What a session through the daemon leaves is for others to note.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn state(&self, globals: &Globals) -> Result<StateDir, CommandError> {
        let path = match self {
            SessionHost::Own(_) => globals.state_dir.clone(),
            #[cfg(target_os = "linux")]
            SessionHost::Daemon(_) if globals.state_dir != Path::new(STATE_DIR) => globals.state_dir.clone(),
            #[cfg(target_os = "linux")]
            SessionHost::Daemon(_) => own_state(),
        };
        Ok(StateDir::open(&path)?)
    }
}

/// A directory for this user alone.
#[cfg(target_os = "linux")]
fn own_state() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(directory) => PathBuf::from(directory).join("loopbox"),
        None => std::env::temp_dir().join(format!("loopbox-{}", geteuid())),
    }
}
