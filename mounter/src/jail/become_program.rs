//! What the first process inside does alike on every system: it starts a session, and ends as the program or with a
//! report.

use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::process;

use defences::Defence;

use super::control::{self, SetupReport};
use super::{JailError, JailSpec};

/// Exit status of a process that did not execute the program. It is not shown: the error is reported before.
const NEVER_EXECUTED: i32 = 127;

/// A program with its arguments and its environment, as the kernel takes them.
pub(super) struct ExecArgs {
    pub program: CString,
    pub argv: Vec<CString>,
    pub env: Vec<CString>,
}

/// Reports the step that failed through the channel, whose end otherwise says that all went well.
pub(super) fn or_report(taken: Result<Infallible, JailError>, channel: &UnixStream) -> ! {
    let error = match taken {
        Ok(never) => match never {},
        Err(error) => error,
    };
    // If the supervisor is gone, there is nobody to tell.
    let _ = control::send(channel, &SetupReport::Failed(error));
    process::exit(NEVER_EXECUTED)
}

/// Starts a new session, if the program is to have one, with its controlling terminal.
pub(super) fn start_session(spec: &JailSpec) -> Result<(), JailError> {
    if spec.new_session && Defence::OwnSession.stands() {
        nix::unistd::setsid().map_err(|errno| JailError::Session { source: errno.into() })?;
        if spec.terminal {
            let stdin = rustix::stdio::stdin();
            rustix::process::ioctl_tiocsctty(stdin)
                .map_err(|errno| JailError::Session { source: errno.into() })?;
        }
    }
    Ok(())
}

/// Executes the program by `exec`, which returns only on failure.
pub(super) fn execute(
    spec: &JailSpec,
    exec: impl FnOnce(&ExecArgs) -> io::Error,
) -> Result<Infallible, JailError> {
    let executed = image(spec).map(|image| exec(&image));
    let source = executed.unwrap_or_else(|error| error);
    Err(JailError::Exec { program: spec.program.clone(), source })
}

fn image(spec: &JailSpec) -> io::Result<ExecArgs> {
    let text = |text: &OsStr| CString::new(text.as_bytes()).map_err(io::Error::from);
    let mut env = Vec::with_capacity(spec.env.len());
    for (name, value) in &spec.env {
        let mut line = name.clone();
        line.push("=");
        line.push(value);
        env.push(text(&line)?);
    }
    let argv = spec.argv.iter().map(|word| text(word)).collect::<io::Result<_>>()?;
    Ok(ExecArgs { program: text(spec.program.as_os_str())?, argv, env })
}
