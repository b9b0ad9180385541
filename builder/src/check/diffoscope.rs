//! diffoscope(1), which looks into files of many kinds: archives, programs, databases.

use std::io::{self, PipeReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, User, geteuid};
use sandbox::cancel::Cancel;
use sandbox::program::which;

/// How long it may take for one output. Ours is shown if it takes longer.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Bytes of what it says that are shown: some thousand lines.
const TEXT_MAX: u64 = 64 << 10;
/// Its exit status if there are differences.
const DIFFERS: i32 = 1;
/// A user that has nothing, as on most systems, where none has this name.
const NOBODY: u32 = 65534;

/// The program.
#[derive(Debug)]
pub struct Diffoscope {
    program: PathBuf,
    timeout: Duration,
}

/// Why it shows nothing.
#[derive(Debug, thiserror::Error)]
pub enum DiffoscopeError {
    /// It could not be run or heard.
    #[error("cannot run {program:?}")]
    Run {
        /// The program.
        program: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// It ended with a status that says neither "the same" nor "different".
    #[error("{program:?} failed ({status})")]
    Failed {
        /// The program.
        program: PathBuf,
        /// Its exit status.
        status: ExitStatus,
    },
    /// It was killed.
    #[error("{program:?} took more than {} s", timeout.as_secs())]
    TooLong {
        /// The program.
        program: PathBuf,
        /// How long it may take.
        timeout: Duration,
    },
}

impl Diffoscope {
    /// The one in PATH, if there is one.
    pub fn find() -> Option<Diffoscope> {
        let program = which("diffoscope".as_ref()).ok()?;
        Some(Diffoscope { program, timeout: TIMEOUT })
    }

    /// What it says of two trees in a directory, which everybody may enter: it reads what a build has made, so it is executed as
    /// a user that has nothing, if by root.
    ///
    /// # Errors
    /// It cannot be run, fails, or takes too long.
    pub fn compare(
        &self,
        directory: &Path,
        [before, now]: [&str; 2],
        cancel: &Cancel,
    ) -> Result<String, DiffoscopeError> {
        let program = || self.program.clone();
        let failed = |source| DiffoscopeError::Run { program: program(), source };
        let (heard, said) = io::pipe().map_err(failed)?;
        let mut command = Command::new(&self.program);
        command.args(["--text", "-"]).arg(Path::new(".").join(before)).arg(Path::new(".").join(now));
        command.current_dir(directory).env_remove("HOME").env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::null()).stdout(said).stderr(Stdio::null()).process_group(0);
        if geteuid().is_root() {
            let nobody = User::from_name("nobody").ok().flatten();
            let (uid, gid) = nobody.map_or((NOBODY, NOBODY), |user| (user.uid.as_raw(), user.gid.as_raw()));
            command.uid(uid).gid(gid);
        }
        let child = command.spawn().map_err(failed)?;
        // It holds an end of the pipe.
        drop(command);
        let DiffoscopeOutput { text, status, killed } =
            self.read_output(child, heard, cancel).map_err(failed)?;
        if killed {
            return Err(DiffoscopeError::TooLong { program: program(), timeout: self.timeout });
        }
        let is_cut = text.len() as u64 == TEXT_MAX;
        if !is_cut && status.code() != Some(DIFFERS) {
            return Err(DiffoscopeError::Failed { program: program(), status });
        }
        let text = String::from_utf8_lossy(&text);
        Ok(if is_cut { format!("{text}\n[the rest is not shown]") } else { text.trim_end().to_owned() })
    }

    /// Hears it until it ends or has said too much, and kills it with all that it has started if that takes too long.
    fn read_output(
        &self,
        mut child: Child,
        from: PipeReader,
        cancel: &Cancel,
    ) -> io::Result<DiffoscopeOutput> {
        let group = Pid::from_raw(child.id().cast_signed());
        let kill = move || {
            // It may have ended.
            let _ = killpg(group, Signal::SIGKILL);
        };
        let _stoppable = cancel.on_cancel(kill);
        let (ended, waiting) = mpsc::channel::<()>();
        let timeout = self.timeout;
        let timer = thread::spawn(move || {
            let killed = waiting.recv_timeout(timeout) == Err(RecvTimeoutError::Timeout);
            if killed {
                kill();
            }
            killed
        });
        let mut text = Vec::new();
        let read = from.take(TEXT_MAX).read_to_end(&mut text);
        let status = child.wait();
        drop(ended);
        let killed = timer.join().unwrap_or_default();
        read?;
        Ok(DiffoscopeOutput { text, status: status?, killed })
    }
}

/// What it printed, and how it ended.
struct DiffoscopeOutput {
    text: Vec<u8>,
    status: ExitStatus,
    killed: bool,
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Instant;

    use super::*;

    /// What a program says that does this, in a directory that has `before` and `now`.
    fn said(script: &str, timeout: Duration) -> Result<String, DiffoscopeError> {
        let place = tempfile::tempdir().unwrap();
        let program = place.path().join("diffoscope");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        for (name, mode) in [("diffoscope", 0o755), ("", 0o711)] {
            fs::set_permissions(place.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::write(place.path().join("before"), "one\n").unwrap();
        fs::write(place.path().join("now"), "two\n").unwrap();
        Diffoscope { program, timeout }.compare(place.path(), ["before", "now"], &Cancel::default())
    }

    #[test]
    fn it_is_given_both_and_has_no_power() {
        let text = said("echo $*; cat before now; echo; echo user $(id -u); exit 1", TIMEOUT).unwrap();
        let uid = if geteuid().is_root() { NOBODY } else { geteuid().as_raw() };
        assert_eq!(text, format!("--text - ./before ./now\none\ntwo\n\nuser {uid}"));
    }

    #[test]
    fn what_fails_or_finds_nothing_shows_nothing() {
        for script in ["echo trouble; exit 2", "exit 0", "kill -9 $$"] {
            let error = said(script, TIMEOUT).unwrap_err();
            assert!(matches!(error, DiffoscopeError::Failed { .. }), "{script}: {error}");
        }
    }

    #[test]
    fn it_is_killed_when_it_takes_too_long_with_what_it_has_started() {
        let began = Instant::now();
        let error = said("sleep 600 & sleep 600", Duration::from_millis(200)).unwrap_err();
        assert!(matches!(error, DiffoscopeError::TooLong { .. }), "{error}");
        assert!(began.elapsed() < Duration::from_secs(300));
    }

    #[test]
    fn no_more_is_heard_than_somebody_reads() {
        let text = said("while :; do echo more; done", TIMEOUT).unwrap();
        let (shown, end) = text.split_at(TEXT_MAX as usize);
        assert!(shown.starts_with("more\nmore\n"));
        assert_eq!(end, "\n[the rest is not shown]");
    }
}
