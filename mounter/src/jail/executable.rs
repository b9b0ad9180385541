//! This program as a jail runs it: so that nobody inside can change the host's file of it.
//!
//! The first process inside is a copy of the supervisor until it becomes the program, and the program may be a script
//! for `/proc/self/exe`, with a loader of its own choice: it then has this program open. As user 0, or as the user whose
//! file it is, it could write to it or make it set-id (CVE-2019-5736). So it is executed from a read-only mount that is
//! nowhere to be found. That costs two calls; a copy in memory would take as long as copying the file, each time.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use defences::Defence;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use rustix::fs::{MemfdFlags, SealFlags};

use crate::sys;

/// An open file to execute.
pub(super) struct Executable(OwnedFd);

impl Executable {
    /// The program's file by itself, which nobody can change through what is executed.
    pub fn of(program: &Path) -> io::Result<Executable> {
        let file = nix::fcntl::open(program, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
        if !Defence::OwnProgram.stands() {
            return Ok(Executable(file));
        }
        match sys::clone_mount(file.as_fd(), sys::READ_ONLY | sys::NO_DEVICES) {
            Ok(mount) => Ok(Executable(mount)),
            // What is on no mount of this namespace cannot be mounted: a file in memory, or one of another namespace.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Executable::copy(program),
            Err(error) => Err(error),
        }
    }

    /// A copy in memory that can be read and executed only.
    fn copy(program: &Path) -> io::Result<Executable> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Linux 6.3 may be set to make none that can be executed, unless that is asked for; older ones do not know the flag.
        let memory = rustix::fs::memfd_create("loopbox", flags | MemfdFlags::EXEC)
            .or_else(|_| rustix::fs::memfd_create("loopbox", flags))?;
        let mut copy = File::from(memory);
        io::copy(&mut File::open(program)?, &mut copy)?;
        let all = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&copy, all)?;
        // Nothing is executed that somebody has open to write.
        let path = path_of(&copy);
        Ok(Executable(nix::fcntl::open(&path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?))
    }

    /// Where this process, and a child of it until it executes something, finds it.
    pub fn path(&self) -> PathBuf {
        path_of(&self.0)
    }
}

fn path_of(file: &impl AsRawFd) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::process::Command;

    use super::*;

    /// Another test that starts a program at this moment has what was copied open to write for as long as it forks.
    fn runs(executable: &Executable) -> bool {
        let run = || Command::new(executable.path()).arg0("true").status();
        let ran = std::iter::repeat_with(run)
            .find(|ran| !ran.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ExecutableFileBusy));
        ran.unwrap().unwrap().success()
    }

    fn errno<T>(result: io::Result<T>) -> Option<i32> {
        result.err().and_then(|error| error.raw_os_error())
    }

    use std::os::unix::process::CommandExt;

    #[test]
    fn what_is_executed_cannot_be_changed_though_its_file_can() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("program");
        std::fs::copy("/bin/true", &file).unwrap();
        let executable = Executable::of(&file).unwrap();
        assert!(runs(&executable));
        let set_id = PermissionsExt::from_mode(0o4755);
        assert_eq!(errno(std::fs::set_permissions(executable.path(), set_id)), Some(libc::EROFS));
        assert_eq!(errno(OpenOptions::new().write(true).open(executable.path())), Some(libc::EROFS));
        OpenOptions::new().write(true).open(&file).unwrap();
    }

    #[test]
    fn a_copy_is_executed_and_its_bytes_stay() {
        let executable = Executable::copy("/bin/true".as_ref()).unwrap();
        assert!(runs(&executable));
        assert_eq!(
            errno(OpenOptions::new().write(true).open(executable.path()).and_then(|mut file| {
                use std::io::Write;
                file.write_all(b"x")
            })),
            Some(libc::EPERM)
        );
        assert_ne!(
            std::fs::metadata(executable.path()).unwrap().ino(),
            std::fs::metadata("/bin/true").unwrap().ino()
        );
    }

    /// As when loopbox itself was started from memory.
    #[test]
    fn what_no_mount_shows_is_copied() {
        let copy = Executable::copy("/bin/true".as_ref()).unwrap();
        assert!(runs(&Executable::of(&copy.path()).unwrap()));
    }

    #[test]
    fn a_file_that_is_gone_can_still_be_executed() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("program");
        std::fs::copy("/bin/true", &file).unwrap();
        let open = File::open(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(runs(&Executable::of(&path_of(&open)).unwrap()));
    }
}
