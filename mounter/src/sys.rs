//! The only unsafe code of this crate: system calls that no safe wrapper covers.
#![allow(unsafe_code)]

pub use signals::{keep_ended_children, signal_text};
pub use unix::inherited;

#[cfg(target_os = "linux")]
pub(crate) use linux::*;
#[cfg(not(target_os = "linux"))]
pub(crate) use macos::*;
#[cfg(target_os = "linux")]
pub(crate) use signals::{default_signals, end_by, set_ignored};
pub(crate) use unix::check;
#[cfg(target_os = "linux")]
pub(crate) use unix::in_own_session;
pub(crate) use unix::{fork_single_threaded, in_own_session_with};

mod signals;

mod unix {
    use std::io;
    use std::os::fd::{FromRawFd, OwnedFd, RawFd};
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use nix::unistd::ForkResult;

    /// Makes the command's process the leader of a new session, and lets it inherit this one descriptor.
    pub(crate) fn in_own_session_with(command: &mut Command, kept: RawFd) {
        let own = defences::Defence::OwnSession.stands();
        // SAFETY: setsid(2) and fcntl(2) are async-signal-safe and touch no memory of this process.
        unsafe {
            command.pre_exec(move || {
                own.then(nix::unistd::setsid).transpose()?;
                check(libc::fcntl(kept, libc::F_SETFD, 0))
            });
        }
    }

    /// Makes the command's process the leader of a new session.
    #[cfg(target_os = "linux")]
    pub(crate) fn in_own_session(command: &mut Command) {
        // SAFETY: setsid(2) is async-signal-safe and touches no memory of this process.
        unsafe {
            command.pre_exec(|| Ok(nix::unistd::setsid().map(drop)?));
        }
    }

    /// Takes over a descriptor that was inherited by number, and keeps it from being inherited again.
    ///
    /// # Errors
    /// When nothing is open there.
    pub fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
        // SAFETY: fcntl(2) on a number that may or may not be open; the answer says which.
        check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
        // SAFETY: it is open, and the command line named it for this use only.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// fork(2). The calling process must have one thread only.
    pub(crate) fn fork_single_threaded() -> io::Result<ForkResult> {
        // SAFETY: with one thread, the child is a full copy in which no lock is held by a thread that is gone.
        Ok(unsafe { nix::unistd::fork() }?)
    }

    /// What a call that returns less than zero says of its failure.
    pub(crate) fn check(result: libc::c_int) -> io::Result<()> {
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::CString;
    use std::io::{self, IoSlice, IoSliceMut};
    use std::mem::MaybeUninit;
    use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
    use std::os::unix::net::UnixStream;

    use defences::Defence;
    use nix::errno::Errno;
    use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
    use nix::unistd::{ForkResult, Pid};
    use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
    use rustix::process::PidfdFlags;

    use super::unix::check;

    /// A descriptor of a process, readable when it ends (pidfd_open(2)).
    pub(crate) fn pidfd_open(pid: Pid) -> io::Result<OwnedFd> {
        let pid = rustix::process::Pid::from_raw(pid.as_raw()).ok_or(Errno::ESRCH)?;
        Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
    }

    /// fork(2), with the child in a control group from its start, if one is given: to move a process takes the kernel some ten
    /// milliseconds, since it waits for all processors. A pidfd of the child; in the child none. The calling process must have
    /// one thread only.
    ///
    /// In a control group, musl goes on to take the child for its parent in raise(3) and abort(3), and there alone: the parent
    /// has to ignore SIGABRT.
    pub(crate) fn fork_in(group: Option<BorrowedFd<'_>>) -> io::Result<Option<OwnedFd>> {
        let Some(group) = group else {
            return match super::fork_single_threaded()? {
                ForkResult::Child => Ok(None),
                ForkResult::Parent { child } => pidfd_open(child).map(Some),
            };
        };
        let mut pidfd: RawFd = -1;
        let arguments = libc::clone_args {
            flags: libc::CLONE_PIDFD as u64 | CLONE_INTO_CGROUP,
            pidfd: &raw mut pidfd as u64,
            child_tid: 0,
            parent_tid: 0,
            exit_signal: libc::SIGCHLD as u64,
            stack: 0,
            stack_size: 0,
            tls: 0,
            set_tid: 0,
            set_tid_size: 0,
            cgroup: group.as_raw_fd() as u64,
        };
        let size = size_of::<libc::clone_args>();
        // SAFETY: the memory is not shared, so that the child is a full copy, in which no lock is held by a thread that is gone.
        let child = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size) };
        check(child as libc::c_int)?;
        // SAFETY: the kernel has just made it for us.
        Ok((child != 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) }))
    }

    /// A flag of clone3(2), which `libc` has in 32 bits.
    const CLONE_INTO_CGROUP: u64 = 1 << 33;

    /// Descriptors that are sent at once, at most.
    pub(crate) const DESCRIPTORS_MAX: usize = 4;

    /// Sends a number and copies of descriptors (`SCM_RIGHTS`, unix(7)).
    pub(crate) fn send_descriptors(
        socket: &UnixStream,
        number: i32,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&numbers)];
        let rights = if numbers.is_empty() { &[] } else { &rights[..] };
        let bytes = number.to_ne_bytes();
        let sent =
            sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&bytes)], rights, MsgFlags::MSG_NOSIGNAL, None)?;
        if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// Receives what was sent so; none at the end of the stream.
    pub(crate) fn receive_descriptors(
        socket: &UnixStream,
    ) -> io::Result<Option<(i32, [Option<OwnedFd>; DESCRIPTORS_MAX])>> {
        let (mut bytes, mut space) = ([0; size_of::<i32>()], nix::cmsg_space!([RawFd; DESCRIPTORS_MAX]));
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_WAITALL;
        let message = loop {
            match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags) {
                Err(Errno::EINTR) => {}
                received => break received?,
            }
        };
        let mut descriptors = [const { None }; DESCRIPTORS_MAX];
        let rights = message.cmsgs()?.filter_map(|message| match message {
            ControlMessageOwned::ScmRights(numbers) => Some(numbers),
            _ => None,
        });
        for (place, number) in descriptors.iter_mut().zip(rights.flatten()) {
            // SAFETY: the kernel has just made it for us (`SCM_RIGHTS`), and nobody else knows of it.
            *place = Some(unsafe { OwnedFd::from_raw_fd(number) });
        }
        match message.bytes {
            0 => Ok(None),
            length if length == size_of::<i32>() => Ok(Some((i32::from_ne_bytes(bytes), descriptors))),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Closes every descriptor but the standard streams and this one, those that something in this process still counts
    /// on too (close_range(2)): the caller executes a program, or leaves with exit.
    pub(crate) fn close_others(kept: BorrowedFd<'_>) -> io::Result<()> {
        let kept = libc::c_uint::try_from(kept.as_raw_fd()).map_err(io::Error::other)?;
        close_range(libc::STDERR_FILENO as libc::c_uint + 1, kept.saturating_sub(1))?;
        close_range(kept + 1, libc::c_uint::MAX)
    }

    /// Closes every descriptor from `first` on (close_range(2)), those that something in this process still counts
    /// on too: the caller leaves with exit.
    pub(crate) fn close_from(first: libc::c_uint) -> io::Result<()> {
        close_range(first, libc::c_uint::MAX)
    }

    fn close_range(first: libc::c_uint, last: libc::c_uint) -> io::Result<()> {
        if first > last {
            return Ok(());
        }
        // SAFETY: no pointers; the callers see to it that none of these is used again.
        check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } as libc::c_int)
    }

    /// Attributes of a mount of one's own (mount_setattr(2)), besides that none has set-id programs: read-only.
    pub(crate) const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY;
    /// Device nodes cannot be opened.
    pub(crate) const NO_DEVICES: u64 = libc::MOUNT_ATTR_NODEV;
    /// Nothing can be executed.
    pub(crate) const NO_EXEC: u64 = libc::MOUNT_ATTR_NOEXEC;

    /// A detached copy of a mount with the mounts below (open_tree(2), mount_setattr(2)).
    pub(crate) fn clone_tree(from: BorrowedFd<'_>, attributes: u64) -> io::Result<OwnedFd> {
        clone(from, attributes, OpenTreeFlags::AT_RECURSIVE)
    }

    /// The same without the mounts below.
    pub(crate) fn clone_mount(from: BorrowedFd<'_>, attributes: u64) -> io::Result<OwnedFd> {
        clone(from, attributes, OpenTreeFlags::empty())
    }

    fn clone(from: BorrowedFd<'_>, attributes: u64, depth: OpenTreeFlags) -> io::Result<OwnedFd> {
        let depth = depth | OpenTreeFlags::AT_EMPTY_PATH;
        let flags = depth | OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree = open_tree(from, c"", flags)?;
        let mut attributes = libc::MOUNT_ATTR_NOSUID | attributes;
        if !Defence::MountOptions.stands() {
            attributes &= !(libc::MOUNT_ATTR_NOSUID | NO_DEVICES);
        }
        let attributes = libc::mount_attr {
            attr_set: attributes,
            attr_clr: 0,
            propagation: libc::MS_PRIVATE,
            userns_fd: 0,
        };
        let (pointer, size) = (std::ptr::from_ref(&attributes), size_of::<libc::mount_attr>());
        let (fd, empty) = (tree.as_raw_fd(), c"".as_ptr());
        // SAFETY: the kernel reads `size` bytes of `attributes` and an empty string that ends with a NUL.
        let done = unsafe { libc::syscall(libc::SYS_mount_setattr, fd, empty, depth.bits(), pointer, size) };
        check(done as libc::c_int)?;
        Ok(tree)
    }

    /// Attaches such a mount at the file or directory that the descriptor stands for (move_mount(2)).
    pub(crate) fn mount_tree(tree: BorrowedFd<'_>, at: BorrowedFd<'_>) -> io::Result<()> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        Ok(move_mount(tree, c"", at, c"", flags)?)
    }

    /// Has the kernel run a filter before every system call of this process and its children (seccomp(2)).
    pub(crate) fn filter_calls(program: &[libc::sock_filter]) -> io::Result<()> {
        let len = libc::c_ushort::try_from(program.len()).map_err(io::Error::other)?;
        let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
        // SAFETY: the kernel reads `len` instructions, checks and copies them.
        let done = unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, std::ptr::from_ref(&program))
        };
        check(done as libc::c_int)
    }

    /// Brings the loopback interface of this network namespace up (netdevice(7)).
    pub(crate) fn loopback_up() -> io::Result<()> {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
        let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        // SAFETY: all zeroes is a valid `ifreq`: an empty name and a union of numbers.
        let mut request: libc::ifreq = unsafe { MaybeUninit::zeroed().assume_init() };
        for (place, byte) in request.ifr_name.iter_mut().zip(b"lo") {
            *place = *byte as libc::c_char;
        }
        // SAFETY: both calls get an `ifreq` with a name; the first fills the flags that the second reads.
        unsafe {
            check(libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS as _, &mut request))?;
            request.ifr_ifru.ifru_flags |= (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
            check(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &request))
        }
    }

    /// execve(2); it returns only to say why not.
    pub(crate) fn exec(program: &CString, argv: &[CString], env: &[CString]) -> io::Error {
        match nix::unistd::execve(program, argv, env) {
            Ok(never) => match never {},
            Err(errno) => errno.into(),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod macos {
    use std::ffi::{CStr, CString, OsStr, c_int, c_void};
    use std::io;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    use std::ptr;

    use super::unix::check;
    use crate::mount_table::MountEntry;

    /// `VFS_CTL_VERS1` of `sys/mount.h`.
    const VERSION: c_int = 1;
    /// `VFS_CTL_UMOUNT` there.
    const UNMOUNT: c_int = 0x0001_0002;
    /// The longest name of a setting, in numbers (`CTL_MAXNAME` of `sys/sysctl.h`).
    const NAME_MAX: usize = 12;
    /// How often the table of mounts is asked for while it keeps growing.
    const GROWN_MAX: usize = 8;

    /// A mount's number, which no other has for as long as it is mounted (`fsid_t` of `sys/_types/_fsid_t.h`).
    pub(crate) type FsId = [i32; 2];

    /// What the kernel is asked about a mount by its number (`struct vfsidctl` of `sys/mount.h`).
    #[repr(C)]
    struct Request {
        version: c_int,
        id: FsId,
        data: *const c_void,
        length: usize,
        spare: [u32; 12],
    }

    /// Unmounts by the mount's number: no path is looked up, which would ask a server that may be dead
    /// (`vfs.generic.ctlbyfsid`, `sysctl_vfs_ctlbyfsid` of `bsd/vfs/vfs_subr.c`).
    pub(crate) fn unmount(id: FsId, force: bool) -> io::Result<()> {
        let flags = if force { libc::MNT_FORCE } else { 0 };
        let mut request = Request {
            version: VERSION,
            id,
            data: (&raw const flags).cast(),
            length: size_of_val(&flags),
            spare: [0; 12],
        };
        let mut name = [0; NAME_MAX];
        // One place is kept for what is to be done.
        let mut length = name.len() - 1;
        // SAFETY: a name that ends with a NUL, and room for as many numbers as the kernel is told.
        check(unsafe {
            libc::sysctlnametomib(c"vfs.generic.ctlbyfsid".as_ptr(), name.as_mut_ptr(), &raw mut length)
        })?;
        name[length] = UNMOUNT;
        // SAFETY: the name has one number more than was filled in; the request and its flags live until the end.
        check(unsafe {
            libc::sysctl(
                name.as_mut_ptr(),
                length as libc::c_uint + 1,
                ptr::null_mut(),
                ptr::null_mut(),
                (&raw mut request).cast(),
                size_of::<Request>(),
            )
        })
    }

    /// All mounts, later ones last, without asking any server (getfsstat(2) with `MNT_NOWAIT`).
    pub(crate) fn mounts() -> Vec<MountEntry<FsId>> {
        for _ in 0..GROWN_MAX {
            // SAFETY: a null buffer asks for the number of mounts.
            let count = unsafe { libc::getfsstat(ptr::null_mut(), 0, libc::MNT_NOWAIT) };
            // One more than there are, so that a table that has grown is known by being full.
            let Ok(room) = usize::try_from(count).map(|count| count + 1) else { return Vec::new() };
            // SAFETY: all zeroes is a valid `statfs`.
            let mut table: Vec<libc::statfs> = vec![unsafe { std::mem::zeroed() }; room];
            let bytes = (size_of::<libc::statfs>() * room) as c_int;
            // SAFETY: the buffer has room for as many bytes as the kernel is told.
            let filled = unsafe { libc::getfsstat(table.as_mut_ptr(), bytes, libc::MNT_NOWAIT) };
            let filled = usize::try_from(filled).unwrap_or(0);
            if filled < room {
                return table[..filled].iter().map(entry).collect();
            }
        }
        Vec::new()
    }

    fn entry(of: &libc::statfs) -> MountEntry<FsId> {
        let lossy = |field| text(field).to_string_lossy().into_owned();
        let (kind, device) = (lossy(&of.f_fstypename), lossy(&of.f_mntfromname));
        // SAFETY: two numbers in a struct, whose field the crate does not show.
        let id = unsafe { std::mem::transmute::<libc::fsid_t, FsId>(of.f_fsid) };
        MountEntry { at: text(&of.f_mntonname).into(), kind, device, flags: of.f_flags, id }
    }

    /// Whether the volume of a directory tells names apart that differ in case only (pathconf(2)).
    pub(crate) fn is_case_sensitive(directory: &Path) -> io::Result<bool> {
        let path = CString::new(directory.as_os_str().as_bytes())?;
        // SAFETY: a path that ends with a NUL.
        let answer = unsafe { libc::pathconf(path.as_ptr(), libc::_PC_CASE_SENSITIVE) };
        if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer != 0) }
    }

    fn text(bytes: &[libc::c_char]) -> &OsStr {
        // SAFETY: the kernel ends these fields with a NUL.
        OsStr::from_bytes(unsafe { CStr::from_ptr(bytes.as_ptr()) }.to_bytes())
    }
}
