//! What to do about errors of entering a view, and of builds in one.

use std::io::ErrorKind;

use builder::backend::BackendError;
use builder::build::BuildError;
use mounter::farm::FarmError;
use mounter::jail::JailError;

use super::Any;
use crate::failure::{CANNOT_EXECUTE, NOT_FOUND};

/// The hint for one error, if it is one of these.
pub fn hint(error: &Any) -> Option<String> {
    error
        .downcast_ref()
        .and_then(jail)
        .or_else(|| error.downcast_ref().and_then(build))
        .or_else(|| error.downcast_ref().and_then(backend))
        .or_else(|| error.downcast_ref().and_then(farm))
        .or_else(|| no_way(error))
}

#[cfg(target_os = "macos")]
fn no_way(error: &Any) -> Option<String> {
    use builder::entering::EnterError;
    matches!(error.downcast_ref(), Some(EnterError::NoWay(_))).then(|| {
        "'sudo loopbox doctor --verify' tries all that it takes; please report what it prints".into()
    })
}

#[cfg(not(target_os = "macos"))]
fn no_way(_error: &Any) -> Option<String> {
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
            "'sysctl user.max_user_namespaces' has to be above zero; 'loopbox doctor' looks further"
        }
        JailError::WorkingDirectory { .. } => "--chdir names a directory in the view that the user may enter",
        JailError::SupervisorDied => "was it the kernel, out of memory? 'dmesg' would tell",
        _ => return None,
    };
    Some(hint.into())
}

fn build(error: &BuildError) -> Option<String> {
    match error {
        BuildError::Execute { program, .. } => Some(format!(
            "a builder and all that it needs have to be inputs; '--sandbox-paths {}' shows a path of this machine",
            program.display()
        )),
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
        _ => None,
    }
}

fn farm(error: &FarmError) -> Option<String> {
    match error {
        FarmError::Writable { .. } => Some(OTHER_BACKEND.into()),
        FarmError::Foreign { .. } => Some("move it away, then 'loopbox clean' takes the rest".into()),
        _ => None,
    }
}

const OTHER_BACKEND: &str = "'--backend nfs' shows it, and lets nobody write it";
