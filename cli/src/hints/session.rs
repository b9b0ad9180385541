//! What to do about errors of sessions, and of builds in one.

use std::io::ErrorKind;

use builder::build::BuildError;
use sandbox::backend::BackendError;
use sandbox::conditions::ConditionReport;
use sandbox::jail::JailError;
use sandbox::{FarmError, SessionError};

use super::Any;
use crate::exit::{CANNOT_EXECUTE, NOT_FOUND};
use crate::{conditions, output};

/// The hint for one error, if it is one of these.
pub fn hint(error: &Any) -> Option<String> {
    error
        .downcast_ref()
        .and_then(jail)
        .or_else(|| error.downcast_ref().and_then(build))
        .or_else(|| error.downcast_ref().and_then(backend))
        .or_else(|| error.downcast_ref().and_then(farm))
        .or_else(|| error.downcast_ref().and_then(session))
        .or_else(|| no_entry_mode(error))
}

#[cfg(target_os = "macos")]
fn no_entry_mode(error: &Any) -> Option<String> {
    use sandbox::entry::probe::EnterError;
    matches!(error.downcast_ref(), Some(EnterError::NoMode(_))).then(|| {
        "'sudo loopbox doctor --verify' tries all that it takes; please report what it prints".into()
    })
}

#[cfg(not(target_os = "macos"))]
fn no_entry_mode(_error: &Any) -> Option<String> {
    None
}

/// The exit code of a program that did not come to be, if that is what the error says.
pub fn exit_code(error: &Any) -> Option<u8> {
    match (error.downcast_ref(), error.downcast_ref()) {
        (Some(JailError::Exec { .. }), _) => Some(CANNOT_EXECUTE),
        (_, Some(BuildError::Execute { error, .. })) if error.kind() == ErrorKind::NotFound => {
            Some(NOT_FOUND)
        }
        (_, Some(BuildError::Execute { .. })) => Some(CANNOT_EXECUTE),
        _ => None,
    }
}

fn jail(error: &JailError) -> Option<String> {
    let hint = match error {
        JailError::UserNamespace { .. } => {
            "'sysctl user.max_user_namespaces' has to be above zero; 'loopbox doctor' checks more"
        }
        JailError::WorkingDirectory { .. } => "--chdir names a directory in the view that the user may enter",
        JailError::Exec { source, .. } if source.kind() == ErrorKind::ArgumentListTooLong => TOO_LONG,
        JailError::SupervisorDied => "the kernel may have run out of memory: see 'dmesg'",
        _ => return None,
    };
    Some(hint.into())
}

fn session(error: &SessionError) -> Option<String> {
    match error {
        SessionError::NotStored { imposed } => Some(refused("the command", imposed)),
        _ => None,
    }
}

fn refused(of: &str, imposed: &ConditionReport) -> String {
    conditions::lines(of, imposed, imposed.quota.quota).join("; ")
}

fn build(error: &BuildError) -> Option<String> {
    match error {
        BuildError::Execute { error, .. } if error.kind() == ErrorKind::ArgumentListTooLong => {
            Some(format!("{TOO_LONG}; 'passAsFile' has Nix write long attributes to files"))
        }
        BuildError::Execute { error, program, .. } if error.kind() == ErrorKind::PermissionDenied => {
            Some(format!(
                "'ls -l {0}': a builder has to be a file that everybody may execute",
                output::name(program)
            ))
        }
        BuildError::Execute { error, program, .. } if error.raw_os_error() == Some(libc::ENOEXEC) => {
            Some(format!(
                "'file {0}': is it a program of this machine, or a script that begins with '#!'?",
                output::name(program)
            ))
        }
        BuildError::Execute { program, .. } => Some(format!(
            "a builder and all that it needs have to be inputs; '--sandbox-paths {}' shows a path of this machine",
            output::name(program)
        )),
        BuildError::NotStored { imposed } | BuildError::Injected(imposed) => {
            Some(refused("the build", imposed))
        }
        BuildError::Builder(failure) if failure.disk_full => {
            Some("the build may have failed for lack of free disk space".into())
        }
        BuildError::Builder(failure) if failure.kept.is_none() => {
            Some("'--keep-failed' keeps the directory that it was built in".into())
        }
        _ => None,
    }
}

fn backend(error: &BackendError) -> Option<String> {
    match error {
        BackendError::Unable { .. } => Some(OTHER_BACKEND.into()),
        BackendError::NoOwnRoot => {
            Some("leave out --backend; 'loopbox doctor' says how programs enter their views here".into())
        }
        _ => None,
    }
}

fn farm(error: &FarmError) -> Option<String> {
    match error {
        FarmError::Writable { .. } => Some(OTHER_BACKEND.into()),
        FarmError::Volume { .. } => Some(
            "have both on one volume, by TMPDIR or Nix's setting build-dir; on Linux '--scratch local' mounts it".into(),
        ),
        FarmError::Foreign { .. } => Some("move it away, then 'loopbox clean' removes the rest".into()),
        _ => None,
    }
}

/// What the kernel takes (execve(2)): `MAX_ARG_STRLEN` for one text, and a quarter of the stack's limit for all.
const TOO_LONG: &str = "the kernel takes at most 128 KiB for each argument and variable, and a quarter of 'ulimit -s' for all together";

const OTHER_BACKEND: &str = "'--backend nfs' shows it, and lets nobody write what is declared read-only";

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_builder_that_cannot_be_executed_is_hinted_at_by_the_reason() {
        let hint = |number| {
            let error = io::Error::from_raw_os_error(number);
            hint(&BuildError::Execute { program: "/b".into(), error, source: None }).unwrap_or_default()
        };
        assert!(hint(libc::E2BIG).starts_with(TOO_LONG) && hint(libc::E2BIG).contains("passAsFile"));
        assert!(hint(libc::EACCES).starts_with("'ls -l /b'"));
        assert!(hint(libc::ENOEXEC).starts_with("'file /b'"));
        assert!(hint(libc::ENOENT).contains("--sandbox-paths /b"));
        let error =
            JailError::Exec { program: "/b".into(), source: io::Error::from_raw_os_error(libc::E2BIG) };
        assert_eq!(super::hint(&error).as_deref(), Some(TOO_LONG));
    }
}
