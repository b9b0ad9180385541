//! A build's output: a pseudo-terminal in raw mode, as Nix gives its builders, read line by line.

mod message;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::thread::JoinHandle;

#[cfg(target_os = "linux")]
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, fchmod};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{Uid, fchown};

use sandbox::cancel::Cancel;
use sandbox::limits::LogMonitor;

use crate::store::BuildLog;

pub use message::LogEvent;

/// The longest line that is passed on as one. Longer ones are cut, so that a build cannot fill our memory.
const LINE_MAX: usize = 64 << 10;

/// The longest character in UTF-8, in bytes.
const UTF8_MAX: usize = 4;

/// The most of a build's output that is kept in a file, in bytes: a build that writes for ever does not fill the disk.
const FILE_MAX: u64 = 1 << 30;

/// How much is read at once.
const CHUNK: usize = 16 << 10;

/// The writing side, for the build's standard output and error.
#[derive(Debug)]
pub(crate) struct Terminal {
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

/// The reading side.
pub(crate) struct Log {
    reader: JoinHandle<VecDeque<String>>,
}

/// What is done with a build's output besides passing on its lines.
pub(crate) struct LogConfig {
    /// Where it is written to, as it came.
    pub copy: Option<BuildLog>,
    /// How many of its last lines are returned.
    pub tail: usize,
    /// Who is told how much it is.
    pub monitor: LogMonitor,
    /// Asked for when nobody can write any more. Nix then kills a builder that has not ended yet.
    pub closed: Cancel,
}

/// What a build reads: nothing. It may write there too, as in Nix.
pub(crate) fn no_input() -> io::Result<OwnedFd> {
    Ok(File::options().read(true).write(true).open("/dev/null")?.into())
}

/// Opens a terminal for a build user. Every line is told.
pub(crate) fn open(
    user: u32,
    config: LogConfig,
    tell: impl Fn(&LogEvent<'_>) + Send + 'static,
) -> io::Result<(Terminal, Log)> {
    let (master, slave) = open_terminal()?;
    // The build opens it again by way of /dev/stderr.
    fchown(&slave, Some(Uid::from_raw(user)), None)?;
    fchmod(&slave, Mode::S_IRUSR | Mode::S_IWUSR)?;
    // Raw, so that line ends stay as they are.
    let mut settings = tcgetattr(&slave)?;
    cfmakeraw(&mut settings);
    tcsetattr(&slave, SetArg::TCSANOW, &settings)?;
    let stderr = slave.try_clone()?;
    let reader = std::thread::Builder::new().name("build-log".into()).spawn(move || {
        LogReader { config, written: 0, tail: VecDeque::new(), tell }.run(File::from(master))
    })?;
    Ok((Terminal { stdout: slave, stderr }, Log { reader }))
}

/// Both sides of a new terminal, closed on exec from the start: other builds start programs at the same time, and one
/// that kept this terminal open would hold up the end of this build.
#[cfg(target_os = "linux")]
fn open_terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = nix::pty::posix_openpt(flags)?;
    nix::pty::grantpt(&master)?;
    nix::pty::unlockpt(&master)?;
    let slave = nix::fcntl::open(nix::pty::ptsname_r(&master)?.as_str(), flags, Mode::empty())?;
    Ok((master.into(), slave))
}

/// Elsewhere a terminal can only be told afterwards.
#[cfg(not(target_os = "linux"))]
fn open_terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    use std::os::fd::AsFd;
    let nix::pty::OpenptyResult { master, slave } = nix::pty::openpty(None, None)?;
    for side in [master.as_fd(), slave.as_fd()] {
        let flags = nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC);
        nix::fcntl::fcntl(side, flags)?;
    }
    Ok((master, slave))
}

impl Log {
    /// Waits until nobody can write any more, and returns the last lines.
    pub fn finish(self) -> Vec<String> {
        self.reader.join().unwrap_or_default().into()
    }
}

struct LogReader<F> {
    config: LogConfig,
    written: u64,
    tail: VecDeque<String>,
    tell: F,
}

impl<F: Fn(&LogEvent<'_>)> LogReader<F> {
    fn run(mut self, mut master: File) -> VecDeque<String> {
        let (mut buffer, mut pending) = (vec![0; CHUNK], Line::default());
        loop {
            let read = match master.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // The last writer has closed its side: EIO on Linux, the end of the file elsewhere.
                Ok(0) | Err(_) => break,
                Ok(read) => &buffer[..read],
            };
            self.config.monitor.wrote(read.len());
            self.write(read);
            for byte in read {
                if *byte == b'\n' || pending.is_full(*byte) {
                    self.pass_on(&pending.take());
                }
                pending.put(*byte);
            }
        }
        self.config.closed.cancel();
        if !pending.bytes.is_empty() {
            self.pass_on(&pending.take());
        }
        if let Some(copy) = self.config.copy {
            copy.finish();
        }
        self.tail
    }

    fn write(&mut self, read: &[u8]) {
        self.written = self.written.saturating_add(read.len() as u64);
        if let Some(copy) = self.config.copy.as_mut().filter(|_| self.written <= FILE_MAX) {
            copy.write(read);
        }
    }

    fn pass_on(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line).into_owned();
        let heard = LogEvent::read(&line);
        (self.tell)(&heard);
        if !matches!(heard, LogEvent::Line(_)) {
            return;
        }
        if self.tail.len() == self.config.tail {
            self.tail.pop_front();
        }
        if self.config.tail > 0 {
            self.tail.push_back(line);
        }
    }
}

/// The line that is being written. As in Nix, a carriage return goes back to its beginning, and what follows takes the
/// place of what was there: of a progress bar, the last state is told.
#[derive(Default)]
struct Line {
    bytes: Vec<u8>,
    at: usize,
}

impl Line {
    /// Whether it has to be passed on before this byte. No character is cut in two.
    fn is_full(&self, next: u8) -> bool {
        let continues = (0x80..0xc0).contains(&next) && self.at < LINE_MAX + UTF8_MAX;
        self.at >= LINE_MAX && !continues
    }

    fn put(&mut self, byte: u8) {
        match byte {
            b'\n' => {}
            b'\r' => self.at = 0,
            byte => {
                match self.bytes.get_mut(self.at) {
                    Some(old) => *old = byte,
                    None => self.bytes.push(byte),
                }
                self.at += 1;
            }
        }
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(self).bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, log_path};
    use crate::store_path::StorePath;
    use sandbox::limits::{LimitWatch, Limits};
    use std::io::Write;
    use std::sync::mpsc;

    #[test]
    fn lines_arrive_as_they_were_written_and_the_last_ones_are_kept() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::at(place.path().into(), place.path().into(), place.path().into());
        let derivation = StorePath::new("86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-x.drv").unwrap();
        let (sender, lines) = mpsc::channel();
        let user = Uid::effective().as_raw();
        let (watch, closed) =
            (LimitWatch::begin(Limits::new(0, 0, 14), Cancel::default()).unwrap(), Cancel::default());
        let copy = Some(store.create_log(&derivation, false).unwrap());
        let config = LogConfig { copy, tail: 2, monitor: watch.monitor(), closed: closed.clone() };
        let tell = move |heard: &LogEvent<'_>| sender.send(format!("{heard:?}")).unwrap();
        let (terminal, log) = open(user, config, tell).unwrap();
        let mut stdout = File::from(terminal.stdout);
        stdout.write_all(b"one\r\ntwo\nthr").unwrap();
        stdout.write_all(b"ee").unwrap();
        assert!(!closed.is_cancelled());
        drop(stdout);
        drop(terminal.stderr);
        assert_eq!(log.finish(), ["two", "three"]);
        assert_eq!(
            lines.iter().collect::<Vec<_>>(),
            [r#"Line("one")"#, r#"Line("two")"#, r#"Line("three")"#]
        );
        assert_eq!(std::fs::read(log_path(place.path(), &derivation, false)).unwrap(), b"one\r\ntwo\nthree");
        assert_eq!(watch.end(), None, "the limit is reached, and not passed");
        assert!(closed.is_cancelled());
    }

    #[test]
    fn a_carriage_return_writes_over_the_line_and_long_lines_are_cut_between_characters() {
        let lines = |text: &[u8]| {
            let (mut line, mut lines) = (Line::default(), Vec::new());
            for byte in text {
                if *byte == b'\n' || line.is_full(*byte) {
                    lines.push(String::from_utf8(line.take()).unwrap());
                }
                line.put(*byte);
            }
            lines
        };
        assert_eq!(lines(b"10 %\r20 %\r100 %\r\nlong text\rshort\n\r\n"), ["100 %", "shorttext", ""]);
        let long = format!("{}é\nb\n", "a".repeat(LINE_MAX - 1));
        assert_eq!(lines(long.as_bytes()), [long.lines().next().unwrap(), "b"]);
        let longer = "é".repeat(LINE_MAX) + "\n";
        let cut = lines(longer.as_bytes());
        assert_eq!((cut.len(), cut.concat() + "\n"), (2, longer));
    }
}
