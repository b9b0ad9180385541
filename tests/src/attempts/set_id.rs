//! Making programs that run as somebody else, and devices.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::{Mode, SFlag, makedev, mknod, umask};

use super::{Attempt, Gain, Target, errno};

const REFUSED: &[Errno] = &[Errno::EPERM];
/// The bits of mode that make a program run as its owner or group.
const SET_ID: u32 = 0o6000;

/// They work in the scratch, where everything else may be made.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt { name: "chmod 4755", run: |target| chmod(target, 0o4755), refusals: REFUSED },
    Attempt { name: "chmod 2755", run: |target| chmod(target, 0o2755), refusals: REFUSED },
    Attempt { name: "fchmod 6711", run: fchmod, refusals: REFUSED },
    Attempt { name: "chmod 2755 of a directory", run: chmod_directory, refusals: REFUSED },
    Attempt { name: "open with 4755", run: open, refusals: REFUSED },
    Attempt { name: "mkdir with 2755", run: mkdir, refusals: REFUSED },
    Attempt {
        name: "being root",
        run: |_| Ok(Gain::when(nix::unistd::geteuid().is_root() != nix::unistd::getuid().is_root())),
        refusals: REFUSED,
    },
    Attempt {
        name: "a pipe with 4755",
        run: |target| node(target, SFlag::S_IFIFO, 0, 0o4755),
        refusals: REFUSED,
    },
    Attempt {
        name: "a character device",
        run: |target| node(target, SFlag::S_IFCHR, makedev(1, 1), 0o600),
        refusals: REFUSED,
    },
    Attempt {
        name: "a block device",
        run: |target| node(target, SFlag::S_IFBLK, makedev(98, 0), 0o600),
        refusals: REFUSED,
    },
];

fn new(target: &Target, name: &str) -> PathBuf {
    let path = target.scratch.join(name);
    // An earlier attempt's.
    let _ = fs::remove_file(&path);
    let _ = fs::remove_dir(&path);
    path
}

fn file(target: &Target) -> nix::Result<(PathBuf, File)> {
    let path = new(target, "set-id");
    errno(File::create_new(&path)).map(|file| (path, file))
}

fn gained(path: &Path) -> nix::Result<Gain> {
    errno(path.symlink_metadata()).map(|meta| Gain::when(meta.mode() & SET_ID != 0))
}

fn chmod(target: &Target, mode: u32) -> nix::Result<Gain> {
    let (path, _) = file(target)?;
    errno(fs::set_permissions(&path, Permissions::from_mode(mode)))?;
    gained(&path)
}

fn fchmod(target: &Target) -> nix::Result<Gain> {
    let (path, file) = file(target)?;
    errno(file.set_permissions(Permissions::from_mode(0o6711)))?;
    gained(&path)
}

fn chmod_directory(target: &Target) -> nix::Result<Gain> {
    let path = new(target, "set-id-directory");
    errno(fs::create_dir(&path))?;
    errno(fs::set_permissions(&path, Permissions::from_mode(0o2755)))?;
    gained(&path)
}

fn open(target: &Target) -> nix::Result<Gain> {
    let path = new(target, "set-id");
    umask(Mode::empty());
    errno(OpenOptions::new().write(true).create_new(true).mode(0o4755).open(&path))?;
    gained(&path)
}

/// The kernel itself takes the bits away here.
fn mkdir(target: &Target) -> nix::Result<Gain> {
    let path = new(target, "set-id-directory");
    errno(DirBuilder::new().mode(0o2755).create(&path))?;
    gained(&path)
}

fn node(target: &Target, kind: SFlag, device: u64, mode: u32) -> nix::Result<Gain> {
    let path = new(target, "set-id");
    mknod(&path, kind, Mode::from_bits_retain(mode), device)?;
    if kind == SFlag::S_IFIFO { gained(&path) } else { Ok(Gain::Host) }
}
