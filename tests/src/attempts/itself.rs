//! Changing the program that runs the view, by way of a process that has it open (CVE-2019-5736).
//!
//! The command is a script for `/proc/self/exe`, so that loopbox itself is executed in the view, by a loader that keeps
//! it open and starts this program.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::linkat;

use super::{Attempt, Gain, Target, errno};

const REFUSED: &[Errno] = &[Errno::EROFS, Errno::EPERM, Errno::EACCES, Errno::ETXTBSY, Errno::EXDEV];

/// Each finds the open program, and is not carried out without one: that would be an answer for nothing.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt { name: "making it set-id", run: |_| set_id(), refusals: REFUSED },
    Attempt {
        name: "giving it away",
        run: |_| errno(chown(kept()?, Some(0), Some(0))).map(|()| Gain::Host),
        refusals: REFUSED,
    },
    Attempt { name: "changing its times", run: |_| set_times(), refusals: REFUSED },
    Attempt {
        name: "opening it to write",
        run: |_| errno(OpenOptions::new().write(true).open(kept()?)).map(|_| Gain::Host),
        refusals: REFUSED,
    },
    Attempt {
        name: "cutting it off",
        run: |_| nix::unistd::truncate(&kept()?, 0).map(|()| Gain::Host),
        refusals: REFUSED,
    },
    Attempt { name: "another name for it", run: link, refusals: REFUSED },
    Attempt { name: "what any process executes", run: |_| by_process(), refusals: REFUSED },
];

/// The path of the program that the loader has left open.
fn kept() -> nix::Result<PathBuf> {
    let mut found = Err(Errno::ENOENT);
    for descriptor in errno(fs::read_dir("/proc/self/fd"))? {
        let path = errno(descriptor)?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
        if number.is_some_and(|number| number > 2) && path.metadata().is_ok_and(|meta| meta.is_file()) {
            found = Ok(path);
        }
    }
    found
}

fn set_id() -> nix::Result<Gain> {
    errno(fs::set_permissions(kept()?, Permissions::from_mode(0o4755))).map(|()| Gain::Host)
}

fn set_times() -> nix::Result<Gain> {
    let time = TimeSpec::new(1, 0);
    utimensat(AT_FDCWD, &kept()?, &time, &time, UtimensatFlags::FollowSymlink).map(|()| Gain::Host)
}

fn link(target: &Target) -> nix::Result<Gain> {
    let name = target.scratch.join("linked");
    linkat(AT_FDCWD, &kept()?, AT_FDCWD, &name, AtFlags::AT_SYMLINK_FOLLOW).map(|()| Gain::Host)
}

/// The view's own programs are read-only too.
fn by_process() -> nix::Result<Gain> {
    let mut last = Errno::ENOENT;
    for process in errno(fs::read_dir("/proc"))? {
        let process = errno(process)?.path();
        let mapped = fs::read_dir(process.join("map_files")).into_iter().flatten().flatten();
        for file in mapped.map(|entry| entry.path()).chain([process.join("exe")]) {
            match errno(fs::set_permissions(&file, Permissions::from_mode(0o4755))) {
                Ok(()) => return Ok(Gain::Host),
                // Nobody but the machine's root may follow what is mapped.
                Err(Errno::ENOENT) => {}
                Err(errno) => last = errno,
            }
        }
    }
    Err(last)
}
