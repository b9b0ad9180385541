//! Using namespaces and mounts to reach the host.

use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{chdir, pivot_root};

use super::{Attempt, Gain, Target, errno};

const REFUSED: &[Errno] = &[Errno::EPERM];
/// User 0 may make no mount namespaces: then it says that there are too many.
const UNSHARE: &[Errno] = &[Errno::EPERM, Errno::EACCES, Errno::ENOSPC];
/// Entering a namespace that one is in already.
const OWN: &[Errno] = &[Errno::EPERM, Errno::EINVAL, Errno::EACCES, Errno::ENOENT];
const NOTHING: Option<&str> = None;

/// What the first process of a new process namespace does for another attempt.
pub const INNER: &str = "new process information, inside";

/// User namespaces may be made; what can be done in them ends at the view. Each runs in a process of its own, as what
/// it does cannot be undone.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt { name: "mount a file system", run: |target| mount_over(target, "tmpfs"), refusals: REFUSED },
    Attempt {
        name: "unmount",
        run: |_| umount2("/proc", MntFlags::MNT_DETACH).map(|()| Gain::Host),
        refusals: REFUSED,
    },
    Attempt { name: "bind the root", run: bind_root, refusals: REFUSED },
    Attempt { name: "change the root", run: change_root, refusals: REFUSED },
    Attempt { name: "the namespaces of process 1", run: enter_first, refusals: OWN },
    Attempt { name: "new process information", run: |target| in_child(target, INNER), refusals: UNSHARE },
    Attempt { name: INNER, run: knobs_of_new_proc, refusals: REFUSED },
    Attempt { name: "power over the mounts", run: with_power, refusals: UNSHARE },
    Attempt { name: "new system information", run: new_sysfs, refusals: UNSHARE },
    Attempt { name: "control groups", run: control_groups, refusals: UNSHARE },
];

fn place(target: &Target, name: &str) -> nix::Result<PathBuf> {
    let path = target.scratch.join(name);
    errno(fs::create_dir_all(&path)).map(|()| path)
}

fn mount_over(target: &Target, kind: &str) -> nix::Result<Gain> {
    mount(Some(kind), &place(target, "mounted")?, Some(kind), MsFlags::empty(), NOTHING)?;
    Ok(Gain::Host)
}

fn bind_root(target: &Target) -> nix::Result<Gain> {
    mount(Some("/"), &place(target, "bound")?, NOTHING, MsFlags::MS_BIND, NOTHING)?;
    Ok(Gain::Host)
}

fn change_root(target: &Target) -> nix::Result<Gain> {
    let new = place(target, "root")?;
    pivot_root(&new, &new)?;
    Ok(target.sees_secret())
}

fn enter_first(target: &Target) -> nix::Result<Gain> {
    let mut last = Errno::ENOENT;
    for name in ["user", "mnt", "pid", "net", "uts", "ipc", "cgroup"] {
        match errno(File::open(format!("/proc/1/ns/{name}")))
            .and_then(|file| setns(file, CloneFlags::empty()))
        {
            Ok(()) if target.sees_secret() == Gain::Host => return Ok(Gain::Host),
            Ok(()) => {}
            Err(errno) => last = errno,
        }
    }
    Err(last)
}

/// Namespaces of its own, and every capability in them; user 0 has some already.
fn power(flags: CloneFlags) -> nix::Result<()> {
    if unshare(flags).is_ok() {
        return Ok(());
    }
    let (user, group) = (nix::unistd::getuid(), nix::unistd::getgid());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    let map = |name: &str, line: String| errno(fs::write(format!("/proc/self/{name}"), line));
    map("setgroups", "deny".into())?;
    map("uid_map", format!("0 {user} 1"))?;
    map("gid_map", format!("0 {group} 1"))?;
    unshare(flags)
}

/// Power over a mount namespace of its own: everything that hides something is taken away there.
fn with_power(target: &Target) -> nix::Result<Gain> {
    power(CloneFlags::CLONE_NEWNS)?;
    // Each may fail: what counts is what can be seen then.
    let _ = umount2("/proc/sys", MntFlags::MNT_DETACH);
    if OpenOptions::new().write(true).open("/proc/sys/kernel/core_pattern").is_ok() {
        return Ok(Gain::Host);
    }
    for at in ["/proc", "/dev/pts", "/dev/shm", "/"] {
        let _ = umount2(at, MntFlags::MNT_DETACH);
    }
    let writable = MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
    let _ = mount(NOTHING, "/proc/sys", NOTHING, writable, NOTHING);
    let root = target.scratch.as_path();
    let _ = mount(Some("/"), root, NOTHING, MsFlags::MS_BIND | MsFlags::MS_REC, NOTHING);
    let _ = chdir(root).and_then(|()| pivot_root(".", ".")).and_then(|()| umount2(".", MntFlags::MNT_DETACH));
    let changes = OpenOptions::new().write(true).open("/proc/sys/kernel/core_pattern").is_ok();
    Ok(if changes { Gain::Host } else { target.sees_secret() })
}

/// A process namespace is entered by its first child only.
fn in_child(target: &Target, name: &str) -> nix::Result<Gain> {
    power(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID)?;
    let output = errno(target.process(name).output())?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    Ok(Gain::when(!output.status.success()))
}

/// Knobs of the machine in a /proc that nobody has made read-only.
fn knobs_of_new_proc(target: &Target) -> nix::Result<Gain> {
    let at = place(target, "proc")?;
    mount(Some("proc"), &at, Some("proc"), MsFlags::empty(), NOTHING)?;
    let knob = at.join("sys/kernel/core_pattern");
    Ok(Gain::when(OpenOptions::new().write(true).open(knob).is_ok()))
}

/// Settings of devices and of the kernel.
fn new_sysfs(target: &Target) -> nix::Result<Gain> {
    power(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)?;
    let at = place(target, "system")?;
    mount(Some("sysfs"), &at, Some("sysfs"), MsFlags::empty(), NOTHING)?;
    errno(OpenOptions::new().write(true).open(at.join("power/state"))).map(|_| Gain::Host)
}

/// The control group that loopbox itself is in: to write to it is to stop or kill its other processes.
fn control_groups(target: &Target) -> nix::Result<Gain> {
    power(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWCGROUP)?;
    let at = place(target, "groups")?;
    mount(Some("groups"), &at, Some("cgroup2"), MsFlags::empty(), NOTHING)?;
    errno(OpenOptions::new().write(true).open(at.join("cgroup.procs"))).map(|_| Gain::Host)
}
