//! The only unsafe code of the probe: where it begins, children, and calls that have no safe form.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_long};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, pipe};

/// Seconds after which a child's attempt is ended.
const PATIENCE: u32 = 10;

/// Where the C library begins. Rust's own beginning would change how signals are handled before they are looked at.
// SAFETY: the C library calls the one `main` there is, with these arguments.
#[unsafe(no_mangle)]
extern "C" fn main(_count: c_int, _words: *const *const c_char) -> c_int {
    crate::probe()
}

/// Does something in a child, so that what it does to the process ends with it; the answer is the child's.
pub fn in_child(run: impl FnOnce() -> String) -> String {
    let Ok((read, write)) = pipe() else { return "no pipe".into() };
    // SAFETY: this process has one thread, so the child is a full copy of it.
    match unsafe { nix::unistd::fork() } {
        Err(errno) => format!("no child: {errno:?}"),
        Ok(ForkResult::Child) => {
            drop(read);
            nix::unistd::alarm::set(PATIENCE);
            let text = run();
            // Who reads it says so when there is nothing.
            let _ = File::from(write).write_all(text.as_bytes());
            // SAFETY: nothing of the parent's is to be flushed or undone here.
            unsafe { libc::_exit(0) }
        }
        Ok(ForkResult::Parent { child }) => {
            drop(write);
            let mut text = String::new();
            let _ = File::from(read).read_to_string(&mut text);
            match waitpid(child, None) {
                Ok(WaitStatus::Signaled(_, signal, _)) => format!("{text} killed by {signal}"),
                _ => text,
            }
        }
    }
}

/// An argument of a system call.
pub enum Word<'a> {
    /// A number, a set of flags, a descriptor.
    Number(i64),
    /// A path or a name.
    Text(&'a CStr),
    /// Memory that the kernel reads or writes; the call's other arguments say no more than its length.
    Memory(&'a mut [u8]),
}

/// A system call by its number.
pub fn call<const COUNT: usize>(number: c_long, words: [Word<'_>; COUNT]) -> nix::Result<i64> {
    let mut raw = [0; 6];
    for (place, word) in raw.iter_mut().zip(words) {
        *place = match word {
            Word::Number(number) => number,
            Word::Text(text) => text.as_ptr() as i64,
            Word::Memory(memory) => memory.as_mut_ptr() as i64,
        };
    }
    let [a, b, c, d, e, f] = raw;
    // SAFETY: every address is of memory that outlives the call and is as long as the call's arguments say.
    Errno::result(unsafe { libc::syscall(number, a, b, c, d, e, f) })
}

/// A descriptor by number, when it is open.
pub fn borrowed(number: c_int) -> Option<BorrowedFd<'static>> {
    // SAFETY: it is only asked whether the number is open.
    Errno::result(unsafe { libc::fcntl(number, libc::F_GETFD) }).ok()?;
    // SAFETY: it is open, and was before this process began: nothing here closes it.
    Some(unsafe { BorrowedFd::borrow_raw(number) })
}

/// Takes over a descriptor that a call has returned.
pub fn opened(number: i64) -> Option<OwnedFd> {
    // SAFETY: the kernel has just made it for this process, and nobody else knows it.
    c_int::try_from(number).ok().filter(|fd| *fd >= 0).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether two descriptors are of one opening (kcmp(2) with `KCMP_FILE`).
pub fn same_file(one: c_int, other: c_int) -> nix::Result<bool> {
    let own = i64::from(std::process::id());
    let [one, other] = [one, other].map(i64::from);
    let numbers = [own, own, 0, one, other].map(Word::Number);
    call(libc::SYS_kcmp, numbers).map(|order| order == 0)
}

/// A terminal's size (tty_ioctl(4)).
pub fn window(fd: c_int) -> String {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel writes one `winsize`.
    match Errno::result(unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, &mut size) }) {
        Ok(_) => format!("{} by {}", size.ws_row, size.ws_col),
        Err(errno) => format!("{errno:?}"),
    }
}

/// Priority, policy, affinity and the like.
pub fn scheduling() -> Vec<(&'static str, String)> {
    let number = |result: nix::Result<i64>| {
        result.map_or_else(|errno| format!("{errno:?}"), |value| value.to_string())
    };
    let zero = || Word::Number(0);
    // The kernel's own answer: 20 less the nice value.
    let mut list = vec![("priority", number(call(libc::SYS_getpriority, [zero(), zero()])))];
    list.push(("scheduling policy", number(call(libc::SYS_sched_getscheduler, [zero()]))));
    // IOPRIO_WHO_PROCESS of linux/ioprio.h.
    list.push((
        "priority of input and output",
        number(call(libc::SYS_ioprio_get, [Word::Number(1), zero()])),
    ));
    for (name, option) in [
        ("signal of the parent's death", libc::PR_GET_PDEATHSIG),
        ("child subreaper", libc::PR_GET_CHILD_SUBREAPER),
    ] {
        let mut value = [0; 4];
        let done = call(libc::SYS_prctl, [Word::Number(option.into()), Word::Memory(&mut value)]);
        list.push((name, number(done.map(|_| i32::from_ne_bytes(value).into()))));
    }
    for (name, option) in [
        ("dumpable", libc::PR_GET_DUMPABLE),
        ("keeps capabilities", libc::PR_GET_KEEPCAPS),
        ("secure bits", libc::PR_GET_SECUREBITS),
        ("no new privileges", libc::PR_GET_NO_NEW_PRIVS),
        ("seccomp", libc::PR_GET_SECCOMP),
        ("timer slack", libc::PR_GET_TIMERSLACK),
        ("large pages off", libc::PR_GET_THP_DISABLE),
    ] {
        let rest = [Word::Number(option.into()), zero(), zero(), zero(), zero()];
        list.push((name, number(call(libc::SYS_prctl, rest))));
    }
    list
}

/// What the kernel has told the program on its stack (getauxval(3)).
pub fn auxiliary() -> Vec<(&'static str, String)> {
    let kinds = [
        ("secure", libc::AT_SECURE),
        ("user", libc::AT_UID),
        ("effective user", libc::AT_EUID),
        ("group", libc::AT_GID),
        ("effective group", libc::AT_EGID),
        ("page size", libc::AT_PAGESZ),
    ];
    // SAFETY: these kinds are numbers, no addresses.
    kinds.map(|(name, kind)| (name, unsafe { libc::getauxval(kind) }.to_string())).into()
}

/// Whether there is a stack for signals, which an exec takes away.
pub fn signal_stack() -> &'static str {
    // SAFETY: all zeroes is a valid `stack_t`, which the kernel overwrites.
    let mut stack: libc::stack_t = unsafe { std::mem::zeroed() };
    // SAFETY: no new stack is given; the old one is written to ours.
    match unsafe { libc::sigaltstack(std::ptr::null(), &mut stack) } {
        0 if stack.ss_flags & libc::SS_DISABLE == 0 => "there is one",
        0 => "none",
        _ => "not told",
    }
}

/// The name of the local time zone, and its distance from UTC in seconds.
pub fn time_zone() -> String {
    // SAFETY: all zeroes is a valid `tm`, which the C library overwrites.
    let mut broken: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both point to memory of this function.
    unsafe { libc::localtime_r(&0, &mut broken) };
    if broken.tm_zone.is_null() {
        return "none".into();
    }
    // SAFETY: the C library's text ends with a NUL and stays.
    let name = unsafe { CStr::from_ptr(broken.tm_zone) };
    format!("{} {}", name.to_string_lossy(), broken.tm_gmtoff)
}

/// Whose a namespace is.
pub enum Owner {
    /// Of the user namespace that this process is in.
    This,
    /// Of one that this process may not know.
    Other,
}

/// The user namespace that owns a namespace (ioctl_ns(2)).
pub fn owner_of_namespace(namespace: &File) -> nix::Result<Owner> {
    /// `NS_GET_USERNS` of linux/nsfs.h.
    const GET_USER_NAMESPACE: i64 = 0xb701;
    let words = [i64::from(namespace.as_raw_fd()), GET_USER_NAMESPACE].map(Word::Number);
    match call(libc::SYS_ioctl, words) {
        Ok(owner) => {
            drop(opened(owner));
            Ok(Owner::This)
        }
        Err(Errno::EPERM) => Ok(Owner::Other),
        Err(errno) => Err(errno),
    }
}

/// Whether the file system tells when files were made.
pub fn has_birth_time(path: &Path) -> nix::Result<bool> {
    Ok(extended(path)?.stx_mask & libc::STATX_BTIME != 0)
}

/// Whether something is mounted right there.
pub fn is_mount_root(path: &Path) -> nix::Result<bool> {
    let mount_root = u64::try_from(libc::STATX_ATTR_MOUNT_ROOT).unwrap_or(0);
    Ok(extended(path)?.stx_attributes & mount_root != 0)
}

fn extended(path: &Path) -> nix::Result<libc::statx> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: all zeroes is a valid `statx`, which the kernel overwrites.
    let mut stat: libc::statx = unsafe { std::mem::zeroed() };
    let flags = libc::AT_SYMLINK_NOFOLLOW;
    // SAFETY: a path that ends with a NUL, and room for one `statx`.
    Errno::result(unsafe { libc::statx(libc::AT_FDCWD, path.as_ptr(), flags, libc::STATX_ALL, &mut stat) })?;
    Ok(stat)
}
