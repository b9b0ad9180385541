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
    /// How writable directories (/tmp, a build directory) are reached: local, as this machine's own file system; nfs, as
    /// everything else; or farm, in a farm of hard links itself [default: local on Linux; on macOS as the view is]
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
    /// Over NFS, where the backend serves nothing; in a farm that it does not make.
    pub fn scratches(&self) -> Result<Scratches, UsageError> {
        let why = match self.scratch {
            Some(Scratches::Nfs) if self.backend.backend().mount_options().is_none() => "serves nothing",
            Some(Scratches::Farm) if self.backend != BackendKind::Hardlink => "makes no farm of hard links",
            scratch => return Ok(scratch.unwrap_or_default()),
        };
        let scratches = self.scratch.unwrap_or_default();
        let message = format!("--scratch {scratches}: the backend '{}' {why}", self.backend);
        Err(UsageError { message, hints: vec!["Leave out --backend or --scratch.".into()] })
    }
}
