//! A control group for each session (cgroups(7)): the kernel shares the processors evenly between sessions, however many
//! processes each of them has.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use mounter::unguessable;

/// Where the control groups of version 2 are.
const MOUNTED: &str = "/sys/fs/cgroup";

/// Set to 1 by systemd at a group that is a service's own to divide (`Delegate=`, systemd.resource-control(5)).
const DELEGATED: &str = "trusted.delegate";

/// What the names of sessions' groups begin with.
const NAME: &str = "session";

/// A group that belongs to this daemon, and in which it makes others.
#[derive(Debug)]
pub(super) struct ControlGroups(PathBuf);

/// The group of one session.
#[derive(Debug)]
pub(super) struct ControlGroup {
    path: PathBuf,
    directory: File,
}

impl ControlGroups {
    /// Those below the group that the service manager has given to this service, with a group in it for the daemon itself;
    /// nothing if it has not. Groups that sessions of other daemons have left are removed.
    pub fn delegated() -> Option<ControlGroups> {
        match delegated_to(&fs::read_to_string("/proc/self/cgroup").unwrap_or_default()) {
            Ok(path) => {
                let groups = ControlGroups(path);
                groups.sweep();
                Some(groups)
            }
            Err(error) => {
                tracing::info!("sessions have no control groups of their own: {error}");
                None
            }
        }
    }

    /// A new one, for the next session; none if the machine has too many of them.
    pub fn create(&self) -> Option<ControlGroup> {
        let path = self.0.join(unguessable(NAME));
        let open = || File::options().read(true).custom_flags(libc::O_DIRECTORY).open(&path);
        match fs::create_dir(&path).and_then(|()| open()) {
            Ok(directory) => Some(ControlGroup { path, directory }),
            Err(error) => {
                tracing::warn!("a session has no control group of its own: {error}");
                None
            }
        }
    }

    /// Removes the groups of sessions that have ended: the kernel keeps those that have processes.
    fn sweep(&self) {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| is_session(&entry.file_name())) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

impl ControlGroup {
    /// Removes it, once it has no process any more; whether it is gone.
    pub fn remove(&self) -> bool {
        match fs::remove_dir(&self.path) {
            Err(error) => error.kind() == io::ErrorKind::NotFound,
            Ok(()) => true,
        }
    }
}

impl AsFd for ControlGroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// The directory of the group that was given to a process of these groups (proc_pid_cgroup(5)), which divides processors then.
fn delegated_to(own: &str) -> io::Result<PathBuf> {
    let path = parent_of(own).ok_or_else(|| io::Error::other("the daemon is in none of version 2"))?;
    let delegated = Path::new(MOUNTED).join(path);
    let mut value = [0; 1];
    match rustix::fs::getxattr(&delegated, DELEGATED, &mut value) {
        Ok(1) if value == *b"1" => {}
        _ => return Err(io::Error::other("the service manager has delegated none to it")),
    }
    fs::write(delegated.join("cgroup.subtree_control"), "+cpu")?;
    Ok(delegated)
}

/// The group above that of a process, as a relative path.
fn parent_of(own: &str) -> Option<&Path> {
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Path::new(own).parent().filter(|parent| !parent.as_os_str().is_empty())
}

fn is_session(name: &OsStr) -> bool {
    name.to_str().and_then(|name| name.strip_prefix(NAME)).is_some_and(|rest| rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::{delegated_to, is_session, parent_of};

    #[test]
    fn the_group_above_is_found_in_version_2_alone() {
        let systemd = "1:name=systemd:/a/b\n0::/system.slice/loopbox.service/daemon\n";
        assert_eq!(parent_of(systemd), Some("system.slice/loopbox.service".as_ref()));
        for none in ["0::/\n", "0::/init.scope\n", "1:cpu:/a/b\n", ""] {
            assert_eq!(parent_of(none), None, "{none:?}");
        }
    }

    #[test]
    fn what_nobody_has_delegated_is_left_alone() {
        let error = delegated_to("0::/nobody.slice/loopbox.service/daemon\n").unwrap_err();
        assert_eq!(error.to_string(), "the service manager has delegated none to it");
    }

    #[test]
    fn sessions_have_names_of_their_own() {
        assert!(is_session("session-00ff".as_ref()));
        assert!(!is_session("session".as_ref()) && !is_session("daemon".as_ref()));
    }
}
