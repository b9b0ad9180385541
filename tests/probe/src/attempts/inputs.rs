//! Changing what is not this build's: its inputs, and directories that it has not made.

use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use nix::unistd::{AccessFlags, access};

use super::{Answer, Attempt, ok};
use crate::report::errno;

pub const ATTEMPTS: &[Attempt] = &[
    ("opening an input to write", |scene| {
        errno(OpenOptions::new().write(true).open(scene.input.join("file"))).map(ok)
    }),
    ("emptying an input", |scene| errno(File::create(scene.input.join("file"))).map(ok)),
    ("access to write an input", |scene| access(&scene.input.join("file"), AccessFlags::W_OK).map(ok)),
    ("access to write a directory of an input", |scene| access(&scene.input, AccessFlags::W_OK).map(ok)),
    ("access to write the store", |_| access("/nix/store", AccessFlags::W_OK).map(ok)),
    ("access to write the root", |_| access("/", AccessFlags::W_OK).map(ok)),
    ("chmod of an input", |scene| {
        errno(fs::set_permissions(scene.input.join("file"), Permissions::from_mode(0o644))).map(ok)
    }),
    ("chown of an input", |scene| errno(chown(scene.input.join("file"), Some(1000), Some(100))).map(ok)),
    ("new times for an input", |scene| {
        let file = errno(File::open(scene.input.join("file")))?;
        errno(file.set_modified(std::time::SystemTime::now())).map(ok)
    }),
    ("removing a file of an input", |scene| errno(fs::remove_file(scene.input.join("file"))).map(ok)),
    ("a new file in an input", |scene| create(&scene.input)),
    ("removing an input", |scene| errno(fs::rename(&scene.input, scene.free("taken"))).map(ok)),
    ("removing an input's directory", |scene| errno(fs::remove_dir(&scene.input)).map(ok)),
    ("an input's name for a new directory", |scene| errno(fs::create_dir(&scene.input)).map(ok)),
    ("an input's name for a new link", |scene| errno(symlink("nowhere", &scene.input)).map(ok)),
    ("a lock on an input", |scene| {
        let file = errno(File::open(scene.input.join("file")))?;
        let shared = nix::fcntl::FlockArg::LockSharedNonblock;
        nix::fcntl::Flock::lock(file, shared).map_err(|(_, errno)| errno).map(ok)
    }),
    ("a path that is no input", |_| errno(fs::metadata("/nix/store/.links")).map(ok)),
    ("a new file in /", |_| create(Path::new("/"))),
    ("a new file in /etc", |_| create(Path::new("/etc"))),
    ("a new file in /dev", |_| create(Path::new("/dev"))),
    ("a new file in /nix", |_| create(Path::new("/nix"))),
    ("a new file in /proc", |_| create(Path::new("/proc"))),
    ("a new file in /nix/store", |_| {
        let path = Path::new("/nix/store/probe-new");
        errno(fs::write(path, ""))?;
        errno(fs::remove_file(path)).map(ok)
    }),
    ("a new directory as the output", |scene| {
        errno(fs::create_dir(&scene.output))?;
        let made = nix::sys::stat::lstat(&scene.output).map(|stat| crate::files::describe(&stat))?;
        errno(fs::remove_dir(&scene.output)).map(|()| made)
    }),
    ("changing /etc/passwd", |_| errno(OpenOptions::new().append(true).open("/etc/passwd")).map(ok)),
    ("chmod of /", |_| errno(fs::set_permissions("/", Permissions::from_mode(0o777))).map(ok)),
    ("chmod of /tmp", |_| errno(fs::set_permissions("/tmp", Permissions::from_mode(0o777))).map(ok)),
    ("chmod of /build", |_| errno(fs::set_permissions("/build", Permissions::from_mode(0o700))).map(ok)),
    ("removing /build", |_| errno(fs::rename("/build", "/elsewhere")).map(ok)),
    ("removing /dev/null", |_| errno(fs::remove_file("/dev/null")).map(ok)),
    ("writing to /dev/null", |_| errno(fs::write("/dev/null", "text")).map(ok)),
    ("writing to /dev/full", |_| errno(fs::write("/dev/full", "text")).map(ok)),
    ("a new terminal", |_| nix::pty::openpty(None, None).map(ok)),
    ("a terminal's owner", |_| {
        let pair = nix::pty::openpty(None, None)?;
        Ok(crate::files::describe(&nix::sys::stat::fstat(&pair.slave)?))
    }),
];

fn create(directory: &Path) -> Answer {
    errno(File::create(directory.join("probe-new"))).map(ok)
}
