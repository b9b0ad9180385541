//! From a fork of the supervisor to the program on macOS, one step after the other.

use std::convert::Infallible;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process;

use nix::sys::stat::{Mode, umask};

use super::sys;
use crate::jail::become_program::{execute, or_report, start_session};
use crate::jail::limits::limit;
use crate::jail::{JailError, JailSpec, Mac, Root, SpawnRequest, Task};

/// Takes the steps; a failed one is reported through the channel, whose end otherwise says that all went well.
pub(super) fn become_program(request: &SpawnRequest, mac: &Mac, task: Task, channel: &UnixStream) -> ! {
    or_report(take_steps(request, mac, task, channel), channel)
}

fn take_steps(
    SpawnRequest { root, spec, .. }: &SpawnRequest,
    mac: &Mac,
    task: Task,
    channel: &UnixStream,
) -> Result<Infallible, JailError> {
    start_session(spec)?;
    // Below another root its files may not be found.
    sys::load_sandbox().map_err(|source| JailError::Arrange { what: "load libsandbox".into(), source })?;
    change_root(root, mac)?;
    // Nix's builders too are where they start before they are confined.
    nix::unistd::chdir(&spec.cwd)
        .map_err(|errno| JailError::WorkingDirectory { path: spec.cwd.clone(), source: errno.into() })?;
    // One profile only: a process that has one cannot be given another.
    let profile = mac.profile.text(port(root));
    sys::enter_sandbox(&profile).map_err(|said| JailError::Sandbox { said })?;
    become_user(spec)?;
    limit(&spec.limits)?;
    umask(Mode::from_bits_truncate(spec.umask as _));
    if spec.own_task {
        // Its end says that all is set up.
        channel.shutdown(Shutdown::Both).map_err(|source| JailError::Control { source })?;
        process::exit(task(&spec.argv));
    }
    execute(spec, |image| sys::exec(image, mac.architecture))
}

/// No descriptor of a directory stays open: by one, the program could leave its root again.
fn change_root(root: &Root, mac: &Mac) -> Result<(), JailError> {
    if !mac.mode.changes_root() {
        return Ok(());
    }
    let root = root.path();
    nix::unistd::chdir(&*root)
        .and_then(|()| nix::unistd::chroot(&*root))
        .and_then(|()| nix::unistd::chdir("/"))
        .map_err(|errno| JailError::Pivot { path: root.to_path_buf(), source: errno.into() })
}

/// The port that the view is served at.
fn port(root: &Root) -> Option<u16> {
    match root {
        Root::Nfs { source, .. } => Some(source.addr.port()),
        Root::Places(_) | Root::Directory(_) => None,
    }
}

/// The kernel takes the first of the groups for the process's own, so that there is always one.
fn become_user(spec: &JailSpec) -> Result<(), JailError> {
    let (uid, gid) = (spec.user.uid, spec.user.gid);
    let mut groups = vec![gid];
    groups.extend(&spec.user.groups);
    let changed = sys::set_groups(&groups)
        .and_then(|()| Ok(nix::unistd::setgid(gid.into())?))
        .and_then(|()| Ok(nix::unistd::setuid(uid.into())?));
    changed.map_err(|source| JailError::Ids { uid, gid, source })
}
