//! What to do about errors of entering a view, and of builds in one.

use builder::build::BuildError;
use mounter::jail::JailError;

use super::Any;

/// The hint for one error, if it is one of these.
pub fn hint(error: &Any) -> Option<String> {
    error.downcast_ref().and_then(jail).or_else(|| error.downcast_ref().and_then(build))
}

/// Whether the program is there and cannot be executed.
pub fn is_failed_exec(error: &Any) -> bool {
    matches!(error.downcast_ref(), Some(JailError::Exec { .. }))
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
