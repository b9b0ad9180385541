//! The programs that Nix's settings name to be run before and after a build: `pre-build-hook`, `post-build-hook`, and
//! `diff-hook` when a build was done again and came out otherwise.

mod pre_build;

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};

use sandbox::jail::User;

use crate::output::OutputMismatch;
use crate::store::{SettingsError, Store};
use crate::store_path::StorePath;

pub use pre_build::HookOutputError;
pub(crate) use pre_build::pre_build;

/// What the hooks of all builds of one run share.
#[derive(Debug, Default)]
pub struct Hooks {
    /// Held while the `post-build-hook` runs: for one build at a time, as in Nix.
    post_build: Mutex<()>,
}

/// Why a hook did not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HookError {
    /// It could not be started, or not be heard.
    #[error("cannot run {program:?}")]
    Run {
        /// The program.
        program: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// It ended with a status other than 0.
    #[error("program {program:?} {}", in_words(*.status))]
    Failed {
        /// The program.
        program: PathBuf,
        /// Its exit status.
        status: ExitStatus,
    },
    /// What it asks for cannot be done.
    #[error("cannot do what {program:?} asks for")]
    Output {
        /// The program.
        program: PathBuf,
        /// The underlying error.
        source: HookOutputError,
    },
    /// The settings that it is given could not be had.
    #[error("cannot find out the settings that {program:?} is given")]
    Settings {
        /// The program.
        program: PathBuf,
        /// The underlying error.
        source: SettingsError,
    },
}

impl Hooks {
    /// Tells the `post-build-hook` what has been built, as the one who runs loopbox; `line` hears what it says.
    ///
    /// # Errors
    /// When it cannot be run, or fails.
    pub(crate) fn post_build(
        &self,
        program: &Path,
        store: &Store,
        derivation: &StorePath,
        outputs: &BTreeSet<StorePath>,
        line: impl FnMut(&str),
    ) -> Result<(), HookError> {
        let settings = |source| HookError::Settings { program: program.into(), source };
        let paths: Vec<String> =
            outputs.iter().map(|path| store.locate(path).display().to_string()).collect();
        let mut command = Command::new(program);
        command.env("DRV_PATH", store.locate(derivation)).env("OUT_PATHS", paths.join(" "));
        if std::env::var_os("NIX_CONFIG").is_none() {
            command.env("NIX_CONFIG", store.settings_as_text().map_err(settings)?);
        }
        let _alone = self.post_build.lock().unwrap_or_else(PoisonError::into_inner);
        heard(program, command, line)
    }
}

/// Shows the `diff-hook` an output and what it became, as the build user.
///
/// # Errors
/// When it cannot be run, or fails.
pub(crate) fn diff(
    program: &Path,
    output: &OutputMismatch,
    derivation: &Path,
    build: &Path,
    user: &User,
    line: impl FnMut(&str),
) -> Result<(), HookError> {
    let mut command = Command::new(program);
    command.arg(&output.path).args(&output.kept).arg(derivation).arg(build);
    command.uid(user.uid).gid(user.gid).current_dir("/");
    heard(program, command, line)
}

/// Runs a program to its end. Both of its streams are one, as they would be on a terminal.
fn heard(program: &Path, mut command: Command, mut line: impl FnMut(&str)) -> Result<(), HookError> {
    let failed = |source| HookError::Run { program: program.into(), source };
    let (reader, writer) = io::pipe().map_err(failed)?;
    let stderr = writer.try_clone().map_err(failed)?;
    let mut child = command.stdin(Stdio::null()).stdout(writer).stderr(stderr).spawn().map_err(failed)?;
    // It holds ends of the pipe, and only when all of them are closed has everything been heard.
    drop(command);
    for bytes in BufReader::new(reader).split(b'\n') {
        line(&String::from_utf8_lossy(&bytes.map_err(failed)?));
    }
    let status = child.wait().map_err(failed)?;
    if status.success() { Ok(()) } else { Err(HookError::Failed { program: program.into(), status }) }
}

fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with exit code {code}"),
        (None, signal) => {
            let signal = signal.unwrap_or_default();
            format!("failed due to signal {signal} ({})", sandbox::jail::signal_text(signal))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_heard_on_both_streams_and_its_failure_is_told() {
        let mut lines = Vec::new();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo one; echo two >&2; printf three; exit 7"]);
        let error =
            heard(Path::new("/bin/sh"), command, |line| lines.push(line.to_owned())).expect_err("it fails");
        assert_eq!(error.to_string(), "program \"/bin/sh\" failed with exit code 7");
        assert_eq!(lines, ["one", "two", "three"]);
    }
}
