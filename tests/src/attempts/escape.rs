//! Reaching files and processes of the host that the view does not show.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::{Pid, chdir, chroot};
use walkdir::WalkDir;

use super::{Attempt, Gain, Target, errno};
use crate::sys;

const HIDDEN: &[Errno] = &[Errno::ENOENT];
/// Descriptors of the standard streams.
const STREAMS: [&str; 3] = ["0", "1", "2"];

/// `secret` is an absolute path of the host.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt { name: "the path itself", run: |target| read(&target.secret), refusals: HIDDEN },
    Attempt { name: ".. from the root", run: |target| read(&up("/", target)), refusals: HIDDEN },
    Attempt { name: ".. from the graft", run: |target| read(&up(&target.graft, target)), refusals: HIDDEN },
    Attempt {
        name: ".. from the scratch",
        run: |target| read(&up(&target.scratch, target)),
        refusals: HIDDEN,
    },
    Attempt {
        name: "an absolute link",
        run: |target| through_link(target, &target.secret),
        refusals: HIDDEN,
    },
    Attempt {
        name: "a relative link",
        run: |target| through_link(target, &up("", target)),
        refusals: HIDDEN,
    },
    Attempt { name: "the host's own link", run: |target| read(&target.graft.join("out")), refusals: HIDDEN },
    Attempt { name: "the root of any process", run: |target| by_process(target, "root"), refusals: HIDDEN },
    Attempt {
        name: "the directory of any process",
        run: |target| by_process(target, "cwd"),
        refusals: HIDDEN,
    },
    Attempt { name: "inherited descriptors", run: |_| inherited(), refusals: &[] },
    Attempt { name: "out of a chroot", run: out_of_chroot, refusals: &[Errno::EPERM] },
    Attempt {
        name: "a signal to a process of the host",
        run: |target| kill(Pid::from_raw(target.process), None).map(|()| Gain::Host),
        refusals: &[Errno::ESRCH],
    },
    Attempt {
        name: "tracing a process of the host",
        run: |target| errno(sys::trace(target.process)).map(|()| Gain::Host),
        refusals: &[Errno::ESRCH],
    },
    Attempt {
        name: "the memory of a process of the host",
        run: |target| read(&PathBuf::from(format!("/proc/{}/mem", target.process))),
        refusals: HIDDEN,
    },
    Attempt {
        name: "the program for core dumps",
        run: |_| write("/proc/sys/kernel/core_pattern"),
        refusals: KNOB,
    },
    Attempt { name: "the program for modules", run: |_| write("/proc/sys/kernel/modprobe"), refusals: KNOB },
    Attempt { name: "the magic key", run: |_| write("/proc/sysrq-trigger"), refusals: KNOB },
    Attempt { name: "any file of /proc but a process's", run: |_| all_of_proc(), refusals: KNOB },
    Attempt { name: "what only root may read in /proc", run: |_| secrets_of_proc(), refusals: KNOB },
    Attempt {
        name: "a file by its handle",
        run: |target| errno(sys::open_by_handle(&target.scratch)).map(|()| Gain::Host),
        refusals: &[Errno::EPERM, Errno::EOPNOTSUPP],
    },
];

/// User 0 meets a read-only mount, others the file's mode; some kernels lack some of the files.
const KNOB: &[Errno] = &[Errno::EROFS, Errno::EACCES, Errno::EPERM, Errno::ENOENT];

fn read(path: &Path) -> nix::Result<Gain> {
    errno(fs::File::open(path)).map(|_| Gain::Host)
}

/// Opening is enough: nothing is written.
fn write(path: &str) -> nix::Result<Gain> {
    errno(fs::OpenOptions::new().write(true).open(path)).map(|_| Gain::Host)
}

/// Files of /proc that belong to no process, directories gone through.
fn all_of_proc() -> nix::Result<Gain> {
    let mut last = Errno::ENOENT;
    for entry in WalkDir::new("/proc").into_iter().filter_entry(|entry| !is_process(entry.path())).flatten() {
        if entry.file_type().is_file() {
            match errno(fs::OpenOptions::new().write(true).open(entry.path())) {
                Ok(_) => {
                    println!("{} can be written", entry.path().display());
                    return Ok(Gain::Host);
                }
                Err(errno) => last = errno,
            }
        }
    }
    Err(last)
}

/// What they are called by container run-times, which hide them, and what is in them if anything.
fn secrets_of_proc() -> nix::Result<Gain> {
    const SECRETS: [&str; 10] = [
        "kcore",
        "kpageflags",
        "kpagecount",
        "kpagecgroup",
        "vmallocinfo",
        "timer_list",
        "slabinfo",
        "pagetypeinfo",
        "kmsg",
        "sys/net/ipv4/tcp_fastopen_key",
    ];
    let mut last = Errno::ENOENT;
    for name in SECRETS {
        // A pipe of messages is waited for otherwise.
        let opened = fs::OpenOptions::new()
            .read(true)
            .custom_flags(nix::libc::O_NONBLOCK)
            .open(Path::new("/proc").join(name));
        match errno(opened.and_then(|mut file| file.read(&mut [0; 16]))) {
            Ok(1..) => {
                println!("{name} can be read");
                return Ok(Gain::Host);
            }
            Ok(0) => last = Errno::EACCES,
            Err(errno) => last = errno,
        }
    }
    Err(last)
}

fn is_process(path: &Path) -> bool {
    let name = path.strip_prefix("/proc").ok().and_then(|below| below.iter().next()?.to_str());
    name.is_some_and(|name| name.parse::<u32>().is_ok() || name.ends_with("self"))
}

/// The secret by way of more `..` than there are directories.
fn up(from: impl AsRef<Path>, target: &Target) -> PathBuf {
    let below = target.secret.strip_prefix("/").unwrap_or(&target.secret);
    from.as_ref().join("../".repeat(32)).join(below)
}

fn through_link(target: &Target, to: &Path) -> nix::Result<Gain> {
    let link = target.scratch.join("link");
    // An earlier attempt's.
    let _ = fs::remove_file(&link);
    errno(symlink(to, &link))?;
    read(&link)
}

/// By every process that can be seen, this one's ancestors included.
fn by_process(target: &Target, link: &str) -> nix::Result<Gain> {
    let below = target.secret.strip_prefix("/").unwrap_or(&target.secret);
    for process in errno(fs::read_dir("/proc"))? {
        let start = errno(process)?.path().join(link);
        if start.join(below).exists() || start.join("../".repeat(32)).join(below).exists() {
            return Ok(Gain::Host);
        }
    }
    Ok(Gain::Nothing)
}

/// Nothing but the standard streams, and the directory that is being listed; none of the streams is a directory.
fn inherited() -> nix::Result<Gain> {
    let mut others = 0;
    for descriptor in errno(fs::read_dir("/proc/self/fd"))? {
        let descriptor = errno(descriptor)?;
        let stream = STREAMS.iter().any(|stream| descriptor.file_name() == *stream);
        if stream && descriptor.path().is_dir() {
            return Ok(Gain::Host);
        }
        others += u32::from(!stream);
    }
    Ok(Gain::when(others > 1))
}

/// A directory above the new root is kept open, and left upwards.
fn out_of_chroot(target: &Target) -> nix::Result<Gain> {
    let inner = target.scratch.join("inner");
    errno(fs::create_dir_all(&inner))?;
    chdir(&target.scratch)?;
    chroot(&inner)?;
    for _ in 0..32 {
        chdir("..")?;
    }
    chroot(".")?;
    chdir("/")?;
    Ok(target.sees_secret())
}
