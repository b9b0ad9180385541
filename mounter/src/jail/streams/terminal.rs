//! A terminal of the jail's own in place of the caller's, for streams of which not all are one.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::sys::stat::{Mode, fchmod};
use nix::sys::termios::{LocalFlags, OutputFlags, SetArg, SpecialCharacterIndices, tcgetattr, tcsetattr};
use nix::unistd::{Uid, fchown};

/// Both sides of a terminal.
pub(super) struct Terminal {
    master: OwnedFd,
    inner: OwnedFd,
    /// Whether what is written to it is carried already.
    pub shows: bool,
}

impl Terminal {
    /// One with the settings and the size of another, which goes on to show what is typed, and to translate what is
    /// written. It is this user's.
    pub fn like(outer: impl AsFd, user: Option<Uid>) -> io::Result<Terminal> {
        let (master, inner) = open()?;
        let mut settings = tcgetattr(&outer)?;
        settings.local_flags.remove(LocalFlags::ECHO | LocalFlags::ISIG);
        settings.output_flags.remove(OutputFlags::OPOST);
        tcsetattr(&inner, SetArg::TCSANOW, &settings)?;
        // A terminal without a size is one all the same.
        let _ = rustix::termios::tcgetwinsize(&outer)
            .and_then(|size| rustix::termios::tcsetwinsize(&inner, size));
        // Root needs no right to open it again.
        if let Some(user) = user.filter(|user| !user.is_root()) {
            fchown(&inner, Some(user), None)?;
            fchmod(&inner, Mode::S_IRUSR | Mode::S_IWUSR)?;
        }
        Ok(Terminal { master, inner, shows: false })
    }

    /// What the program gets.
    pub fn inner(&self) -> io::Result<OwnedFd> {
        self.inner.try_clone()
    }

    /// The side of whoever carries.
    pub fn master(&self) -> io::Result<File> {
        Ok(self.master.try_clone()?.into())
    }

    /// What is typed to end the input, where it is read line by line.
    pub fn end_of_input(&self) -> Option<u8> {
        let settings = tcgetattr(&self.inner).ok()?;
        let by_line = settings.local_flags.contains(LocalFlags::ICANON);
        by_line.then(|| settings.control_chars[SpecialCharacterIndices::VEOF as usize])
    }
}

/// Both sides, closed on exec from the start: other threads start programs at the same time.
#[cfg(target_os = "linux")]
fn open() -> io::Result<(OwnedFd, OwnedFd)> {
    use nix::fcntl::OFlag;
    use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};

    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let inner = nix::fcntl::open(ptsname_r(&master)?.as_str(), flags, Mode::empty())?;
    Ok((master.into(), inner))
}

/// Elsewhere a terminal can only be told afterwards.
#[cfg(not(target_os = "linux"))]
fn open() -> io::Result<(OwnedFd, OwnedFd)> {
    let nix::pty::OpenptyResult { master, slave } = nix::pty::openpty(None, None)?;
    for side in [master.as_fd(), slave.as_fd()] {
        nix::fcntl::fcntl(side, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
    }
    Ok((master, slave))
}
