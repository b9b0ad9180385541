//! The jail's first process, from the fork of the supervisor to execve(2) of the program.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process;

use defences::Defence;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::socket::{MsgFlags, recv};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid};

use super::become_program::{execute, or_report, start_session};
use super::control::{self, SetupReport};
use super::init::fork_program;
use super::limits::limit;
use super::stage::Stage;
use super::{JailError, JailSpec, SpawnRequest, Task, User};
use crate::sys;

/// How many mount namespaces there may be in the user namespace of user 0, and below it. In one of its own it could
/// mount the control groups, whose files are the machine's user 0's, down from the group that loopbox itself is in.
const MOUNT_NAMESPACES: (&str, &[u8]) = ("user/max_mnt_namespaces", b"0");

const NOTHING: Option<&str> = None;

/// Takes the steps; a failed one is reported through the channel, whose end otherwise says that all went well.
pub(super) fn become_program(
    request: &SpawnRequest,
    task: Task,
    channel: &UnixStream,
    reports: &UnixStream,
) -> ! {
    or_report(take_steps(request, task, channel, reports), channel)
}

fn take_steps(
    request: &SpawnRequest,
    task: Task,
    channel: &UnixStream,
    reports: &UnixStream,
) -> Result<Infallible, JailError> {
    let SpawnRequest { root: place, spec, .. } = request;
    die_with_parent(channel)?;
    own_namespaces(spec.network)?;
    // The jail's own may be read-only by then, or missing.
    let sysctls = open_sysctls().map_err(|errno| cannot_limit(errno.into()))?;
    set_host_name(spec)?;
    let root = own_root(&place.path(), place.is_mount())?;
    mount_special_file_systems(&root, request)?;
    change_root(&root, &place.path())?;
    drop(root);
    mount_special(spec)?;
    limit(&spec.limits)?;
    umask(Mode::from_bits_truncate(spec.umask));
    start_session(spec)?;
    become_user(&spec.user, channel, &sysctls)?;
    drop(sysctls);
    if spec.no_new_privs && Defence::NewPrivileges.stands() {
        prctl::set_no_new_privs().map_err(|errno| JailError::NoNewPrivs { source: errno.into() })?;
    }
    spec.system_calls.apply().map_err(|source| JailError::SystemCalls { source })?;
    nix::unistd::chdir(&spec.cwd)
        .map_err(|errno| JailError::WorkingDirectory { path: spec.cwd.clone(), source: errno.into() })?;
    // The only one that differs from what it is by default, and none is blocked (`fork_server`).
    sys::set_ignored(Signal::SIGPIPE, false)
        .map_err(|source| JailError::Arrange { what: "reset signal handlers".into(), source })?;
    // The kernel forgets this wish when the user changes, so it is made again.
    die_with_parent(channel)?;
    if spec.own_task {
        // It stays this very program: nothing of it has to be in the view.
        sys::close_from(3).map_err(cannot_close)?;
        process::exit(task(&spec.argv));
    }
    if spec.own_init {
        fork_program(spec, reports)?;
    }
    // Now, and not by executing: the kernel looks for the program, and for what runs a script, while they are open.
    if Defence::Descriptors.stands() {
        sys::close_others(channel.as_fd()).map_err(cannot_close)?;
    }
    execute(spec, |image| sys::exec(&image.program, &image.argv, &image.env))
}

/// Has the kernel kill this process when its parent dies (`PR_SET_PDEATHSIG`). A parent that died before that has closed the
/// channel.
pub(super) fn die_with_parent(channel: &UnixStream) -> Result<(), JailError> {
    let failed =
        |errno: Errno| JailError::Arrange { what: "set PR_SET_PDEATHSIG".into(), source: errno.into() };
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(failed)?;
    match recv(channel.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
        Ok(0) => Err(JailError::SupervisorDied),
        Ok(_) | Err(Errno::EAGAIN) => Ok(()),
        Err(errno) => Err(failed(errno)),
    }
}

/// These belong to the host's user namespace, so that not even root inside has any power over them.
fn own_namespaces(network: bool) -> Result<(), JailError> {
    let network = network || !Defence::Network.stands();
    // In its own namespace of control groups, it is told nothing of the names that they have outside.
    let mut flags = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWCGROUP;
    flags.set(CloneFlags::CLONE_NEWIPC, Defence::IpcNamespace.stands());
    flags.set(CloneFlags::CLONE_NEWUTS, Defence::HostName.stands());
    flags.set(CloneFlags::CLONE_NEWNET, !network);
    nix::sched::unshare(flags).map_err(|errno| JailError::Namespaces { source: errno.into() })?;
    if !network {
        sys::loopback_up().map_err(|source| JailError::Loopback { source })?;
    }
    Ok(())
}

fn set_host_name(spec: &JailSpec) -> Result<(), JailError> {
    nix::unistd::sethostname(&spec.hostname)
        .map_err(|errno| JailError::Name { name: spec.hostname.clone(), source: errno.into() })?;
    rustix::system::setdomainname(spec.domainname.as_bytes())
        .map_err(|errno| JailError::Name { name: spec.domainname.clone(), source: errno.into() })
}

/// Nothing that is mounted from here on is seen outside. pivot_root(2) wants a mount as the new root, so it is mounted on
/// itself; neither devices nor set-id programs work on it, whatever its file system says.
fn own_root(path: &Path, is_mount: bool) -> Result<OwnedFd, JailError> {
    let unusable = |source: io::Error| JailError::Root { path: path.into(), source };
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let open = || nix::fcntl::open(path, flags, Mode::empty()).map_err(|errno| unusable(errno.into()));
    nix::mount::mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING)
        .map_err(|errno| unusable(errno.into()))?;
    if !is_mount && Defence::MountOptions.stands() {
        let root = open()?;
        sys::clone_tree(root.as_fd(), sys::NO_DEVICES)
            .and_then(|own| sys::mount_tree(own.as_fd(), root.as_fd()))
            .map_err(unusable)?;
    }
    open()
}

/// Mounts the kernel's file systems, devices and places of the machine in the root.
fn mount_special_file_systems(
    root: &OwnedFd,
    SpawnRequest { devices, local, spec, .. }: &SpawnRequest,
) -> Result<(), JailError> {
    let stage = Stage::mount(root).map_err(|source| JailError::Stage { source })?;
    stage.show_devices(devices)?;
    stage.show_local(local, &spec.user)?;
    stage.replace_streams(devices).map_err(|source| JailError::Stage { source })?;
    match &spec.proc {
        Some(at) => stage.mount_proc(at, spec.user.uid == 0),
        None => Ok(()),
    }
}

/// Enters the root and lets go of the host's tree: the old root lies on top of the new one, and is detached with
/// everything below it.
fn change_root(root: &OwnedFd, path: &Path) -> Result<(), JailError> {
    let stuck = |errno: Errno| JailError::Pivot { path: path.into(), source: errno.into() };
    if !Defence::Root.stands() {
        return nix::unistd::chdir("/").map_err(stuck);
    }
    nix::unistd::fchdir(root).map_err(stuck)?;
    if !Defence::DetachedTree.stands() {
        return nix::unistd::chroot(".").map_err(stuck);
    }
    nix::unistd::pivot_root(".", ".").map_err(stuck)?;
    nix::mount::umount2(".", MntFlags::MNT_DETACH).map_err(stuck)?;
    nix::unistd::chdir("/").map_err(stuck)
}

/// With no flags, as Nix does it: who can make neither devices nor gain privileges is not stopped by a flag first.
fn mount_special(spec: &JailSpec) -> Result<(), JailError> {
    if let Some(at) = &spec.pts {
        special("devpts", at, Some("newinstance,mode=0620,ptmxmode=0666"))?;
    }
    if let Some(at) = &spec.shm {
        special("tmpfs", at, Some(&format!("mode=1777,size={}", spec.shm_size)))?;
    }
    Ok(())
}

fn special(kind: &str, at: &Path, data: Option<&str>) -> Result<(), JailError> {
    nix::mount::mount(Some(kind), at, Some(kind), MsFlags::empty(), data)
        .map_err(|errno| JailError::Special { kind: kind.into(), at: at.into(), source: errno.into() })
}

/// Groups go first: in the user namespace they can no longer be changed.
fn become_user(user: &User, mut channel: &UnixStream, sysctls: &OwnedFd) -> Result<(), JailError> {
    let (uid, gid) = user.inside.map_or((user.uid, user.gid), |inside| (inside.uid, inside.gid));
    let failed = |errno: Errno| JailError::Ids { uid, gid, source: errno.into() };
    let groups: Vec<Gid> = user.groups.iter().map(|group| Gid::from_raw(*group)).collect();
    nix::unistd::setgroups(&groups).map_err(failed)?;
    if user.inside.is_some() && Defence::UserNamespace.stands() {
        nix::sched::unshare(CloneFlags::CLONE_NEWUSER)
            .map_err(|errno| JailError::UserNamespace { source: errno.into() })?;
        let refused = |source: io::Error| JailError::Control { source };
        control::send(channel, &SetupReport::WantsIds).map_err(refused)?;
        channel.read_exact(&mut [0]).map_err(refused)?;
        if user.uid == 0 && Defence::MountNamespaces.stands() {
            forbid_mount_namespaces(sysctls).map_err(cannot_limit)?;
        }
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    nix::unistd::setresgid(gid, gid, gid).map_err(failed)?;
    nix::unistd::setresuid(uid, uid, uid).map_err(failed)
}

/// The machine's settings, from before the root changes.
fn open_sysctls() -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    nix::fcntl::open("/proc/sys", flags, Mode::empty())
}

/// Every user namespace has this setting for itself; which one is meant is decided when the name is looked up.
fn forbid_mount_namespaces(sysctls: &OwnedFd) -> io::Result<()> {
    let (name, value) = MOUNT_NAMESPACES;
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    File::from(nix::fcntl::openat(sysctls, name, flags, Mode::empty())?).write_all(value)
}

fn cannot_limit(source: io::Error) -> JailError {
    JailError::Arrange { what: "set max_mnt_namespaces".into(), source }
}

fn cannot_close(source: io::Error) -> JailError {
    JailError::Arrange { what: "close inherited descriptors".into(), source }
}
