//! Signals: what is done about them, and what they are called.

use std::ffi::CStr;
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::{AsRawFd, BorrowedFd};

#[cfg(target_os = "linux")]
use nix::sys::signal::SigSet;
use nix::sys::signal::{SigHandler, Signal};

#[cfg(target_os = "linux")]
use super::check;

/// The kernel's highest signal number (`_NSIG` of `asm/signal.h`).
#[cfg(target_os = "linux")]
const SIGNALS: libc::c_int = 64;

/// Has children that ended wait for this process, whoever started it: where SIGCHLD is ignored, which stays so over execve(2),
/// the kernel reaps them, and whoever waits for one is told that there is none (sigaction(2)).
pub fn keep_ended_children() {
    // There is such a signal, and it can be caught: nothing else fails.
    let _ = set_ignored(Signal::SIGCHLD, false);
}

/// Ignores a signal, or gives it its default action (sigaction(2)). The kernel reaps the children of those that ignore
/// SIGCHLD.
pub(crate) fn set_ignored(signal: Signal, ignored: bool) -> io::Result<()> {
    let handler = if ignored { SigHandler::SigIgn } else { SigHandler::SigDfl };
    // SAFETY: no handler of ours is installed.
    unsafe { nix::sys::signal::signal(signal, handler) }?;
    Ok(())
}

/// Gives every signal its default action and blocks none: the Rust runtime ignores SIGPIPE, and what started us
/// may have ignored more, the C library's own real-time signals included, which only the kernel lets us reset.
#[cfg(target_os = "linux")]
pub(crate) fn default_signals() -> io::Result<()> {
    // The kernel's `sigaction`: handler, flags, restorer and 64 bits of mask. All zeroes is the default action.
    let default = [0_u64; 4];
    for signal in (1..=SIGNALS).filter(|signal| !matches!(*signal, libc::SIGKILL | libc::SIGSTOP)) {
        let (none, mask_bytes) = (std::ptr::null_mut::<u64>(), size_of::<u64>());
        // SAFETY: the kernel reads at most the 32 bytes of `default`, and writes nothing back.
        let done =
            unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), none, mask_bytes) };
        check(done as libc::c_int)?;
    }
    SigSet::empty().thread_set_mask()?;
    Ok(())
}

/// Whether anything to be read from a socket, and its end, ends this process: by SIGIO (fcntl(2), `F_SETOWN` and
/// `O_ASYNC`), which has its default action.
#[cfg(target_os = "linux")]
pub(crate) fn end_by(socket: BorrowedFd<'_>, ends: bool) -> io::Result<()> {
    let fd = socket.as_raw_fd();
    // SAFETY: no pointers.
    check(unsafe { libc::fcntl(fd, libc::F_SETOWN, libc::getpid()) })?;
    // SAFETY: no pointers.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    let flags = if ends { flags | libc::O_ASYNC } else { flags & !libc::O_ASYNC };
    // SAFETY: no pointers.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags) })
}

/// What the system calls a signal (strsignal(3)): "Killed", say. Real-time signals have names too.
#[must_use]
pub fn signal_text(signal: i32) -> String {
    // SAFETY: any number is fine. The text is the library's own or this thread's, and is copied before it can change.
    let text = unsafe {
        let text = libc::strsignal(signal);
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    };
    text.unwrap_or_else(|| "unknown".into())
}
