//! A terminal of the session's own, and the passage between it and the one that loopbox was started on.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::thread::{self, JoinHandle};

use mounter::jail::Stdio3;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use signal_hook::consts::SIGWINCH;
use signal_hook::iterator::{Handle, Signals};

/// How much is carried at once.
const CHUNK: usize = 8 << 10;

/// No terminal could be had for the session.
#[derive(Debug, thiserror::Error)]
#[error("cannot open a terminal for the session")]
pub struct TerminalError(#[from] io::Error);

/// The outer side of the session's terminal.
#[derive(Debug)]
pub struct Passage {
    master: File,
}

/// Carries what is typed and what is shown until it is dropped, which waits for the last of what is shown.
pub struct Carried {
    outer: Termios,
    window: Handle,
    shown: Option<JoinHandle<()>>,
}

impl Passage {
    /// Opens one, and the three streams at its inner end, if loopbox itself runs on a terminal.
    pub fn open() -> Result<Option<(Passage, Stdio3)>, TerminalError> {
        if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
            return Ok(None);
        }
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        #[cfg(target_os = "linux")]
        let flags = flags | OpenptFlags::CLOEXEC;
        let master = openpt(flags).map_err(io::Error::from)?;
        // Elsewhere that can only be told afterwards.
        #[cfg(not(target_os = "linux"))]
        rustix::io::fcntl_setfd(&master, rustix::io::FdFlags::CLOEXEC).map_err(io::Error::from)?;
        grantpt(&master).and_then(|()| unlockpt(&master)).map_err(io::Error::from)?;
        let name = ptsname(&master, Vec::new()).map_err(io::Error::from)?;
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
        let inner = rustix::fs::open(&name, flags, rustix::fs::Mode::empty()).map_err(io::Error::from)?;
        let another = || -> io::Result<Stdio> { Ok(Stdio::from(OwnedFd::try_clone(&inner)?)) };
        let stdio = Stdio3 { stdin: another()?, stdout: another()?, stderr: another()? };
        let passage = Passage { master: File::from(master) };
        passage.fit();
        Ok(Some((passage, stdio)))
    }

    /// Begins to carry. The outer terminal passes on every key from now on, those that would stop or end loopbox too.
    pub fn carry(self) -> Result<Carried, TerminalError> {
        let outer = tcgetattr(io::stdin()).map_err(io::Error::from)?;
        let mut raw = outer.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw).map_err(io::Error::from)?;
        let (typed, sized) = (self.master.try_clone()?, Passage { master: self.master.try_clone()? });
        // It waits for a key for ever, and ends with loopbox.
        thread::spawn(move || copy(io::stdin(), typed));
        let shown = thread::spawn(move || copy(self.master, io::stdout()));
        let mut signals = Signals::new([SIGWINCH])?;
        let window = signals.handle();
        thread::spawn(move || signals.forever().for_each(|_| sized.fit()));
        Ok(Carried { outer, window, shown: Some(shown) })
    }

    /// Gives the inner terminal the size of the outer one.
    fn fit(&self) {
        // A terminal without a size is one all the same.
        let _ = tcgetwinsize(io::stdin()).and_then(|size| tcsetwinsize(&self.master, size));
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.window.close();
        if let Some(shown) = self.shown.take() {
            // It does not panic, and there is nobody to tell if it did.
            let _ = shown.join();
        }
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.outer);
    }
}

/// Until one side ends: the master of a terminal whose other end everybody has closed reads as an error.
fn copy(mut from: impl Read, mut to: impl Write) {
    let mut buffer = [0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
            Ok(read) => {
                if to.write_all(&buffer[..read]).and_then(|()| to.flush()).is_err() {
                    return;
                }
            }
        }
    }
}
