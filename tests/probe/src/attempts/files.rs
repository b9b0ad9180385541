//! What a file system lets a process do with files of its own.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use nix::fcntl::{FallocateFlags, Flock, FlockArg, RenameFlags, fallocate, renameat2};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;

use super::{Answer, Attempt, Scene, ok, text};
use crate::report::errno;
use crate::sys::{Word, call};

pub const ATTEMPTS: &[Attempt] = &[
    ("setxattr", |scene| set_attribute(libc::SYS_setxattr, scene, "setxattr")),
    ("lsetxattr", |scene| set_attribute(libc::SYS_lsetxattr, scene, "lsetxattr")),
    ("fsetxattr", |scene| {
        let file = open(&scene.file("fsetxattr")?)?;
        let (name, mut value) = (c"user.probe", *b"x");
        let fd = Word::Number(file.as_raw_fd().into());
        call(
            libc::SYS_fsetxattr,
            [fd, Word::Text(name), Word::Memory(&mut value), Word::Number(1), Word::Number(0)],
        )
        .map(ok)
    }),
    ("getxattr", |scene| get_attribute(libc::SYS_getxattr, &scene.file("getxattr")?)),
    ("lgetxattr", |scene| get_attribute(libc::SYS_lgetxattr, &scene.file("lgetxattr")?)),
    ("listxattr", |scene| list_attributes(libc::SYS_listxattr, &scene.file("listxattr")?)),
    ("llistxattr", |scene| list_attributes(libc::SYS_llistxattr, &scene.file("llistxattr")?)),
    ("removexattr", |scene| {
        let path = text(scene.file("removexattr")?)?;
        call(libc::SYS_removexattr, [Word::Text(&path), Word::Text(c"user.probe")]).map(ok)
    }),
    ("mknod of a character device", |scene| node(scene, "char", SFlag::S_IFCHR, makedev(1, 3))),
    ("mknod of a block device", |scene| node(scene, "block", SFlag::S_IFBLK, makedev(98, 0))),
    ("mknod of a socket", |scene| node(scene, "socket", SFlag::S_IFSOCK, 0)),
    ("mkfifo", |scene| mkfifo(&scene.free("fifo"), Mode::S_IRWXU).map(ok)),
    ("bind of a socket", |scene| errno(UnixListener::bind(scene.free("bound"))).map(ok)),
    ("symlink", |scene| errno(symlink("nowhere", scene.free("symlink"))).map(ok)),
    ("link", |scene| {
        let (file, link) = (scene.file("linked")?, scene.free("link"));
        errno(fs::hard_link(&file, link))?;
        Ok(format!("{} links", errno(file.metadata())?.nlink()))
    }),
    ("link of a symlink", |scene| {
        let one = scene.free("one-symlink");
        errno(symlink("nowhere", &one))?;
        errno(fs::hard_link(&one, scene.free("other-symlink"))).map(ok)
    }),
    ("link from the input", |scene| {
        errno(fs::hard_link(scene.input.join("file"), scene.free("from-input"))).map(ok)
    }),
    ("link to /tmp", |scene| errno(fs::hard_link(scene.file("to-tmp")?, "/tmp/linked")).map(ok)),
    ("rename to /tmp", |scene| errno(fs::rename(scene.file("renamed")?, "/tmp/renamed")).map(ok)),
    ("rename to the store", |scene| errno(fs::rename(scene.file("to-store")?, "/nix/store/renamed")).map(ok)),
    ("rename without replacing", |scene| exchange(scene, "noreplace", RenameFlags::RENAME_NOREPLACE)),
    ("rename by exchange", |scene| exchange(scene, "exchange", RenameFlags::RENAME_EXCHANGE)),
    ("a file without a name", |scene| {
        let mut open = OpenOptions::new();
        errno(open.write(true).custom_flags(libc::O_TMPFILE).open(&scene.place)).map(ok)
    }),
    ("allocating", |scene| {
        fallocate(&open(&scene.file("allocated")?)?, FallocateFlags::empty(), 0, 65536).map(ok)
    }),
    ("punching a hole", |scene| {
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        fallocate(&open(&scene.file("punched")?)?, flags, 0, 1).map(ok)
    }),
    ("a sparse file", |scene| {
        let path = scene.file("sparse")?;
        errno(open(&path)?.write_at(b"x", 1 << 20))?;
        Ok(if errno(path.metadata())?.blocks() < 512 { "sparse" } else { "full" }.into())
    }),
    ("locking a whole file", |scene| {
        Flock::lock(open(&scene.file("locked")?)?, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, errno)| errno)
            .map(ok)
    }),
    ("writing without the cache", |scene| {
        let mut options = OpenOptions::new();
        errno(options.write(true).custom_flags(libc::O_DIRECT).open(scene.file("direct")?)).map(ok)
    }),
    ("executing", |scene| {
        let path = scene.free("script");
        let mut options = OpenOptions::new();
        let mut script = errno(options.write(true).create_new(true).mode(0o755).open(&path))?;
        errno(script.write_all(format!("#!/proc/self/exe {}\n", crate::NOTHING).as_bytes()))?;
        drop(script);
        Ok(format!("{:?}", errno(std::process::Command::new(path).env_clear().status())?.code()))
    }),
    ("a long name", |scene| errno(File::create(scene.free(&"n".repeat(255)))).map(ok)),
    ("a name that is too long", |scene| errno(File::create(scene.free(&"n".repeat(256)))).map(ok)),
    ("a name that is not UTF-8", |scene| {
        use std::os::unix::ffi::OsStrExt;
        errno(File::create(scene.place.join(std::ffi::OsStr::from_bytes(b"\xff\xfe")))).map(ok)
    }),
    ("names by case", |scene| {
        scene.file("case")?;
        Ok(errno(scene.free("CASE").metadata().map(|_| "the same".into()))
            .unwrap_or_else(|_| "different".into()))
    }),
    ("times before 1970", |scene| set_time(scene, "old", -1)),
    ("times after 2038", |scene| set_time(scene, "late", 1 << 32)),
    ("exact times", |scene| {
        let path = scene.file("exact")?;
        let time = UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
        errno(open(&path)?.set_modified(time))?;
        Ok(errno(path.metadata())?.mtime_nsec().to_string())
    }),
    ("a removed file that is open", |scene| {
        let path = scene.file("removed")?;
        let file = open(&path)?;
        errno(fs::remove_file(&path))?;
        Ok(format!("{} links", errno(file.metadata())?.nlink()))
    }),
    ("removing a directory that is open", |scene| {
        let path = scene.free("open-directory");
        errno(fs::create_dir(&path))?;
        let _open = errno(File::open(&path))?;
        errno(fs::remove_dir(&path)).map(ok)
    }),
    ("flags of a file", |scene| {
        let file = open(&scene.file("flags")?)?;
        let mut flags = [0; 8];
        // FS_IOC_GETFLAGS of linux/fs.h.
        let words =
            [Word::Number(file.as_raw_fd().into()), Word::Number(0x8008_6601), Word::Memory(&mut flags)];
        call(libc::SYS_ioctl, words).map(ok)
    }),
    ("copying by reference", |scene| {
        let (from, to) = (open(&scene.file("cloned")?)?, open(&scene.file("clone")?)?);
        // FICLONE of linux/fs.h.
        let [to, request, from] = [to.as_raw_fd().into(), 0x4004_9409, i64::from(from.as_raw_fd())];
        call(libc::SYS_ioctl, [to, request, from].map(Word::Number)).map(ok)
    }),
    ("a handle of a file", |scene| {
        let path = text(scene.file("handle")?)?;
        let (mut handle, mut mount) = ([0; 136], [0; 4]);
        // The first word says how much room there is.
        handle[0] = 128;
        let here = Word::Number(libc::AT_FDCWD.into());
        let words =
            [here, Word::Text(&path), Word::Memory(&mut handle), Word::Memory(&mut mount), Word::Number(0)];
        call(libc::SYS_name_to_handle_at, words).map(ok)
    }),
];

fn open(path: &Path) -> nix::Result<File> {
    errno(OpenOptions::new().read(true).write(true).open(path))
}

fn set_attribute(number: libc::c_long, scene: &Scene, name: &str) -> Answer {
    let (path, mut value) = (text(scene.file(name)?)?, *b"x");
    let words = [
        Word::Text(&path),
        Word::Text(c"user.probe"),
        Word::Memory(&mut value),
        Word::Number(1),
        Word::Number(0),
    ];
    call(number, words).map(ok)
}

fn get_attribute(number: libc::c_long, path: &Path) -> Answer {
    let (path, mut value) = (text(path)?, [0; 16]);
    call(number, [Word::Text(&path), Word::Text(c"user.probe"), Word::Memory(&mut value), Word::Number(16)])
        .map(ok)
}

fn list_attributes(number: libc::c_long, path: &Path) -> Answer {
    let (path, mut names) = (text(path)?, [0; 256]);
    let length = call(number, [Word::Text(&path), Word::Memory(&mut names), Word::Number(256)])?;
    Ok(format!("{length} bytes"))
}

fn node(scene: &Scene, name: &str, kind: SFlag, device: u64) -> Answer {
    mknod(&scene.free(name), kind, Mode::S_IRWXU, device).map(ok)
}

fn exchange(scene: &Scene, name: &str, flags: RenameFlags) -> Answer {
    let (one, other) = (scene.file(name)?, scene.file(&format!("{name}-other"))?);
    renameat2(nix::fcntl::AT_FDCWD, &one, nix::fcntl::AT_FDCWD, &other, flags).map(ok)
}

fn set_time(scene: &Scene, name: &str, seconds: i64) -> Answer {
    let path = scene.file(name)?;
    let time = nix::sys::time::TimeSpec::new(seconds, 0);
    let follow = nix::sys::stat::UtimensatFlags::NoFollowSymlink;
    nix::sys::stat::utimensat(nix::fcntl::AT_FDCWD, &path, &time, &time, follow)?;
    Ok(errno(path.metadata())?.mtime().to_string())
}
