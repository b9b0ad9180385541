//! Mounts, roots and namespaces.

use std::fs::{self, File};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{chroot, getgid, getuid, pivot_root, sethostname};

use super::{Answer, Attempt, Scene, ok};
use crate::report::errno;

const NOTHING: Option<&str> = None;

pub const ATTEMPTS: &[Attempt] = &[
    ("mounting memory", |scene| mount_new(scene, "tmpfs")),
    ("mounting process information", |scene| mount_new(scene, "proc")),
    ("binding", |scene| mount(Some("/etc"), &scene.place, NOTHING, MsFlags::MS_BIND, NOTHING).map(ok)),
    ("unmounting /proc", |_| umount2("/proc", MntFlags::MNT_DETACH).map(ok)),
    ("unmounting /", |_| umount2("/", MntFlags::MNT_DETACH).map(ok)),
    ("chroot", |scene| chroot(&scene.place).map(ok)),
    ("pivot_root", |_| pivot_root(".", ".").map(ok)),
    ("a new user namespace", |_| unshare(CloneFlags::CLONE_NEWUSER).map(ok)),
    ("a new mount namespace", |_| unshare(CloneFlags::CLONE_NEWNS).map(ok)),
    ("a new network namespace", |_| unshare(CloneFlags::CLONE_NEWNET).map(ok)),
    ("a new process namespace", |_| unshare(CloneFlags::CLONE_NEWPID).map(ok)),
    ("a new IPC namespace", |_| unshare(CloneFlags::CLONE_NEWIPC).map(ok)),
    ("a new name namespace", |_| unshare(CloneFlags::CLONE_NEWUTS).map(ok)),
    ("a new cgroup namespace", |_| unshare(CloneFlags::CLONE_NEWCGROUP).map(ok)),
    ("root in a new user namespace", |_| become_root().map(|()| format!("{} {}", getuid(), getgid()))),
    ("root there mounts memory", |scene| {
        with_power(CloneFlags::CLONE_NEWNS).and_then(|()| mount_new(scene, "tmpfs"))
    }),
    ("root there binds", |scene| {
        with_power(CloneFlags::CLONE_NEWNS)?;
        mount(Some("/etc"), &scene.place, NOTHING, MsFlags::MS_BIND, NOTHING).map(ok)
    }),
    ("root there unmounts /proc", |_| {
        with_power(CloneFlags::CLONE_NEWNS)?;
        umount2("/proc", MntFlags::MNT_DETACH).map(ok)
    }),
    ("root there mounts system information", |scene| {
        with_power(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)?;
        mount_new(scene, "sysfs")
    }),
    ("root there mounts a layered file system", |scene| {
        with_power(CloneFlags::CLONE_NEWNS)?;
        for name in ["upper", "work", "merged"] {
            errno(fs::create_dir(scene.free(name)))?;
        }
        let layer = |name: &str| scene.free(name).display().to_string();
        let options = format!("lowerdir=/etc,upperdir={},workdir={}", layer("upper"), layer("work"));
        mount(
            Some("layers"),
            &scene.free("merged"),
            Some("overlay"),
            MsFlags::empty(),
            Some(options.as_str()),
        )
        .map(ok)
    }),
    ("root there changes the root", |scene| {
        with_power(CloneFlags::CLONE_NEWNS)?;
        chroot(&scene.place).map(ok)
    }),
    ("root there brings an interface up", |_| {
        with_power(CloneFlags::CLONE_NEWNET)?;
        errno(std::net::TcpListener::bind("127.0.0.1:80")).map(ok)
    }),
    ("the first process's namespaces", |_| {
        let file = errno(File::open("/proc/1/ns/mnt"))?;
        setns(file, CloneFlags::CLONE_NEWNS).map(ok)
    }),
    ("another host name", |_| sethostname("other").map(ok)),
];

fn mount_new(scene: &Scene, kind: &str) -> Answer {
    mount(Some(kind), &scene.place, Some(kind), MsFlags::empty(), NOTHING).map(ok)
}

/// User 0 of a user namespace of one's own.
fn become_root() -> nix::Result<()> {
    let (user, group) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    let map = |name: &str, line: String| errno(fs::write(format!("/proc/self/{name}"), line));
    map("setgroups", "deny".into())?;
    map("uid_map", format!("0 {user} 1"))?;
    map("gid_map", format!("0 {group} 1"))
}

fn with_power(flags: CloneFlags) -> nix::Result<()> {
    become_root()?;
    unshare(flags)
}
