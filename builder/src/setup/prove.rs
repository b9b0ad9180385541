//! A derivation that says what its root directory is, built as everything else is.

use std::ffi::OsString;
use std::path::Path;

use crate::store::{CommandError, Programs, Settings};

/// What it needs of the machine.
const SHELL: &str = "/bin/sh";

/// The kind of file system that a view is.
const EXPECTED: &str = "nfs";

/// Nix did not build it, or not in a view.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// Builds see no shell.
    #[error("a trial takes a shell, and Nix's setting 'sandbox-paths' shows builds no {SHELL}")]
    NoShell,
    /// Nix failed.
    #[error("a trial could not be built")]
    Build(#[from] CommandError),
    /// What it made cannot be read.
    #[error("cannot read {path:?}, which a trial has made")]
    Read {
        /// The file.
        path: String,
        /// The I/O error.
        source: std::io::Error,
    },
    /// Somebody else ran it.
    #[error("a trial was built, and not in a view: its root directory was of the kind {0:?}")]
    NoView(String),
}

/// Builds a derivation that nobody has built before. Its path.
///
/// # Errors
/// [`ProofError`].
pub fn prove(settings: &Settings) -> Result<String, ProofError> {
    let shown = |path: &String| path.split('=').next() == Some(SHELL);
    if !settings.sandbox_paths.iter().any(shown) {
        return Err(ProofError::NoShell);
    }
    let expression = expression(&sandbox::unguessable("loopbox-setup"));
    let words = ["--no-out-link", "--expr", &expression].map(OsString::from);
    let printed = Programs::default().ask("nix-build", words)?;
    let path = String::from_utf8_lossy(&printed).trim_end().to_owned();
    let made = std::fs::read_to_string(Path::new(&path));
    match made.map_err(|source| ProofError::Read { path: path.clone(), source })?.trim_end() {
        EXPECTED => Ok(path),
        other => Err(ProofError::NoView(other.into())),
    }
}

/// The last mount at the root directory is what is there.
fn expression(name: &str) -> String {
    let script = "while read -r device at kind rest; do test $at = / && root=$kind; done < /proc/self/mounts; echo $root > $out";
    format!(
        "derivation {{ name = \"{name}\"; system = builtins.currentSystem; builder = \"{SHELL}\"; args = [ \"-c\" \"{script}\" ]; }}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_shell_nothing_is_tried() {
        let settings = Settings { sandbox_paths: vec!["/bin/shell=/x".into()], ..Settings::default() };
        assert!(matches!(prove(&settings), Err(ProofError::NoShell)));
    }

    #[test]
    fn the_expression_has_no_quotes_of_its_own_within() {
        assert_eq!(expression("name").matches('"').count(), 8);
    }
}
