//! The `pre-build-hook`: asked for each derivation, before its view is made, what else of the host to show.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::HookError;
use crate::plan::{SandboxPath, SandboxPathError};

/// What a hook can ask for, by its older name too.
const COMMANDS: [&str; 2] = ["extra-sandbox-paths", "extra-chroot-dirs"];

/// Why what a hook has printed is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HookOutputError {
    /// It asks for something that is not known.
    #[error("unknown pre-build hook command '{command}'")]
    Command {
        /// What it asks for.
        command: String,
    },
    /// It asks for a path that cannot be shown.
    #[error("the pre-build hook asks for a path that cannot be shown")]
    Path(#[from] SandboxPathError),
}

/// Runs the hook, as the one who runs loopbox, with the derivation and the directory that is to become the root. `line`
/// hears what it says on its error output.
pub(crate) fn pre_build(
    program: &Path,
    derivation: &Path,
    root: &Path,
    line: impl FnMut(&str),
) -> Result<Vec<SandboxPath>, HookError> {
    let failed = |source: io::Error| HookError::Run { program: program.into(), source };
    let mut hook = Command::new(program);
    hook.arg(derivation).arg(root).stdin(Stdio::null());
    let output = hook.output().map_err(failed)?;
    String::from_utf8_lossy(&output.stderr).lines().for_each(line);
    if !output.status.success() {
        return Err(HookError::Failed { program: program.into(), status: output.status });
    }
    parse_output(&output.stdout).map_err(|source| HookError::Output { program: program.into(), source })
}

/// Reads a command, the paths after it, a line each, and the empty line after those. What no line ends is not read, as
/// in Nix.
fn parse_output(printed: &[u8]) -> Result<Vec<SandboxPath>, HookOutputError> {
    let mut paths = Vec::new();
    let mut lines =
        printed.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    while let Some(command) = lines.next() {
        if !COMMANDS.iter().any(|known| known.as_bytes() == command) {
            return Err(HookOutputError::Command { command: String::from_utf8_lossy(command).into_owned() });
        }
        for line in lines.by_ref().take_while(|line| !line.is_empty()) {
            let (target, source) = match line.iter().position(|byte| *byte == b'=') {
                Some(at) => (&line[..at], &line[at + 1..]),
                None => (line, line),
            };
            let path = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
            paths.push(SandboxPath::new(&path(target), &path(source))?);
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(printed: &str) -> Result<Vec<String>, String> {
        let show = |path: SandboxPath| format!("{}={}", path.target.display(), path.source.display());
        let parse_output = parse_output(printed.as_bytes());
        parse_output.map(|paths| paths.into_iter().map(show).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn paths_follow_a_command_until_an_empty_line() {
        let printed = "extra-sandbox-paths\n/a\n/b=/c=d\n\nextra-chroot-dirs\n/e?\n";
        assert_eq!(read(printed).unwrap(), ["/a=/a", "/b=/c=d", "/e?=/e?"]);
        assert_eq!(read("").unwrap(), [""; 0]);
    }

    #[test]
    fn what_no_line_ends_is_not_read() {
        assert_eq!(read("extra-sandbox-paths\n/a\n/b").unwrap(), ["/a=/a"]);
    }

    #[test]
    fn unknown_commands_and_paths_that_leave_the_root_are_refused() {
        assert_eq!(read("paths\n/a\n").unwrap_err(), "unknown pre-build hook command 'paths'");
        for path in ["a", "/..", "/", "/a=b", "/=/etc"] {
            let error = read(&format!("extra-sandbox-paths\n{path}\n")).unwrap_err();
            assert_eq!(error, "the pre-build hook asks for a path that cannot be shown", "{path}");
        }
    }
}
