//! The kernel's NFS client behind one mount, and its switch.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use defences::Defence;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, major, minor};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

/// How long a client whose mount is gone may take for the calls that it still has to send: a few over the loopback, with room
/// for a machine under load. It takes longer only where somebody holds a file of the mount.
const ENDING_MAX: Duration = Duration::from_secs(1);

/// How often it is asked whether it has ended; nothing tells of that.
const ENDING_INTERVAL: Duration = Duration::from_millis(1);

/// The first Linux with a switch for each client, by its own name; others may have it too.
const FIRST_WITH_SWITCH: [u32; 2] = [6, 5];

/// The client of a mount.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    /// `/sys/fs/nfs/MAJOR:MINOR/shutdown`, open (`fs/nfs/sysfs.c`); Linux has it since 6.5.
    switch: Option<Arc<File>>,
}

impl Client {
    /// The client of the mount with this root, asked for in the network namespace that it was mounted in.
    pub(crate) fn of(root: &File) -> Client {
        match switch(root) {
            Ok(switch) => Client { switch: Some(Arc::new(switch)) },
            Err(error) => {
                tracing::debug!(%error, "the client of a mount cannot be shut down");
                Client::default()
            }
        }
    }

    /// Whether it can be shut down.
    pub(crate) fn has_switch(&self) -> bool {
        self.switch.is_some()
    }

    /// Its switch, if it has one.
    pub(crate) fn switch(&self) -> Option<&File> {
        self.switch.as_deref()
    }

    /// Lets a client whose mount is gone send what it still has to, such as the removal of files that were deleted while they
    /// were open, and shuts it down if it is still there then.
    pub(crate) fn end(&self) {
        let start = Instant::now();
        while !self.has_ended() && start.elapsed() < ENDING_MAX {
            thread::sleep(ENDING_INTERVAL);
        }
        self.shut_down();
    }

    /// Whether the kernel has no such client any more. Its switch refuses every number but 1.
    fn has_ended(&self) -> bool {
        self.switch.as_ref().is_none_or(|switch| {
            (&**switch).write_all(b"0").is_err_and(|error| error.raw_os_error() == Some(libc::ENODEV))
        })
    }

    /// Ends every call that waits for the server, and every call to come, with EIO, for good: nothing is sent to
    /// anybody any more. Where the mount is still in use somewhere, that is the end of its use.
    pub(crate) fn shut_down(&self) {
        if let Some(switch) = self.switch.as_ref().filter(|_| Defence::EndedClients.stands())
            && let Err(error) = (&**switch).write_all(b"1")
            // The kernel has no client any more: nobody uses the mount.
            && error.raw_os_error() != Some(libc::ENODEV)
        {
            tracing::warn!("cannot shut a client down: {error}");
        }
    }
}

/// Whether this kernel's clients should have a switch, by its version: only a mount shows whether they do.
pub(crate) fn switch_is_expected() -> bool {
    nix::sys::utsname::uname()
        .is_ok_and(|name| version(&name.release().to_string_lossy()) >= FIRST_WITH_SWITCH)
}

/// The first two numbers of a release; a part that is none counts as 0.
fn version(release: &str) -> [u32; 2] {
    let mut parts =
        release.split(|letter: char| !letter.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    [(); 2].map(|()| parts.next().unwrap_or(0))
}

/// Only a sysfs that was mounted in the same network namespace shows it.
fn switch(root: &File) -> io::Result<File> {
    let device = root.metadata()?.dev();
    let context = fsopen("sysfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let sysfs = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    let path = format!("fs/nfs/{}:{}/shutdown", major(device), minor(device));
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    Ok(File::from(openat(&sysfs, path.as_str(), flags, Mode::empty())?))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_version_of_a_release_is_its_first_two_numbers() {
        assert_eq!(
            ["6.1.176", "6.18-rc3", "10.0.1-2-amd64", "odd"].map(version),
            [[6, 1], [6, 18], [10, 0], [0, 0]]
        );
    }
}
