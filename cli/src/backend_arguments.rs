//! Words that say how a view becomes a directory.

use sandbox::Scratches;
use sandbox::backend::BackendKind;

use crate::failures::UsageError;

/// Words of the commands that let a backend be chosen.
#[derive(Debug, clap::Args)]
pub struct BackendArguments {
    /// How the view becomes a directory: nfs, hardlink or bind
    #[arg(long, value_name = "NAME", default_value_t)]
    pub backend: BackendKind,
    /// How writable directories (/tmp, a build directory) are reached: local, as this machine's own file system, or
    /// nfs, as everything else [default: local on Linux, nfs on macOS]
    #[arg(long, value_name = "KIND")]
    scratch: Option<Scratches>,
}

impl BackendArguments {
    /// Whether somebody has said how scratches are reached.
    #[cfg(target_os = "linux")]
    pub fn has_scratches(&self) -> bool {
        self.scratch.is_some()
    }

    /// Whether somebody wants them to be this machine's own.
    pub fn wants_local(&self) -> bool {
        self.scratch == Some(Scratches::Local)
    }

    /// How scratches are reached.
    ///
    /// # Errors
    /// Over NFS, where the backend serves nothing.
    pub fn scratches(&self) -> Result<Scratches, UsageError> {
        if self.scratch == Some(Scratches::Nfs) && self.backend.backend().mount_options().is_none() {
            let message = format!("--scratch nfs: the backend '{}' serves nothing", self.backend);
            return Err(UsageError { message, hints: vec!["Leave out --backend or --scratch.".into()] });
        }
        Ok(self.scratch.unwrap_or_default())
    }
}
