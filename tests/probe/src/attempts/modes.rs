//! Programs that would run as somebody else: every call that could make one.

use std::fs::{self, DirBuilder, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, mknod, umask};

use super::{Answer, Attempt, Scene, text};
use crate::report::errno;
use crate::sys::{Word, call};

const HERE: Word<'static> = Word::Number(libc::AT_FDCWD as i64);

pub const ATTEMPTS: &[Attempt] = &[
    ("chmod 4755", |scene| chmod(scene, 0o4755)),
    ("chmod 2755", |scene| chmod(scene, 0o2755)),
    ("chmod 1755", |scene| chmod(scene, 0o1755)),
    ("chmod 0777", |scene| chmod(scene, 0o777)),
    ("chmod 2755 of a directory", |scene| {
        let path = scene.free("directory");
        errno(fs::create_dir(&path))?;
        errno(fs::set_permissions(&path, fs::Permissions::from_mode(0o2755)))?;
        mode(&path)
    }),
    ("fchmod 4755", |scene| {
        let path = scene.file("fchmod")?;
        let file = errno(OpenOptions::new().write(true).open(&path))?;
        call(libc::SYS_fchmod, [Word::Number(file.as_raw_fd().into()), Word::Number(0o4755)])?;
        mode(&path)
    }),
    ("fchmodat 4755", |scene| {
        let path = scene.file("fchmodat")?;
        call(libc::SYS_fchmodat, [HERE, Word::Text(&text(&path)?), Word::Number(0o4755)])?;
        mode(&path)
    }),
    ("fchmodat2 4755", |scene| {
        let path = scene.file("fchmodat2")?;
        let words = [HERE, Word::Text(&text(&path)?), Word::Number(0o4755), Word::Number(0)];
        call(libc::SYS_fchmodat2, words)?;
        mode(&path)
    }),
    ("open with 4755", |scene| {
        let path = scene.free("open");
        umask(Mode::empty());
        errno(OpenOptions::new().write(true).create_new(true).mode(0o4755).open(&path))?;
        mode(&path)
    }),
    ("mkdir with 2755", |scene| {
        let path = scene.free("mkdir");
        errno(DirBuilder::new().mode(0o2755).create(&path))?;
        mode(&path)
    }),
    ("mknod of a file with 4755", |scene| {
        let path = scene.free("mknod");
        mknod(&path, SFlag::S_IFREG, Mode::from_bits_retain(0o4755), 0)?;
        mode(&path)
    }),
    ("chown to oneself", |scene| {
        let path = scene.file("chown")?;
        let file = errno(OpenOptions::new().write(true).open(&path))?;
        let owner = errno(file.metadata())?;
        errno(fchown(&file, Some(owner.uid()), Some(owner.gid()))).map(|()| "ok".into())
    }),
    ("chown to root", |scene| {
        let path = scene.file("chown-root")?;
        errno(std::os::unix::fs::chown(path, Some(0), Some(0))).map(|()| "ok".into())
    }),
    ("chown to nobody", |scene| {
        let path = scene.file("chown-nobody")?;
        errno(std::os::unix::fs::chown(path, Some(65534), Some(65534))).map(|()| "ok".into())
    }),
];

fn chmod(scene: &Scene, bits: u32) -> Answer {
    let path = scene.file(&format!("chmod-{bits:o}"))?;
    errno(fs::set_permissions(&path, fs::Permissions::from_mode(bits)))?;
    mode(&path)
}

fn mode(path: &Path) -> Answer {
    Ok(format!("{:04o}", errno(path.symlink_metadata())?.mode() & 0o7777))
}
