//! The standard streams of whoever calls, carried to a program that must not have them themselves.
//!
//! Who has a file open can do more with it than read and write: change its mode and owner, cut it off, open what it has
//! already written or what was there before, and from a directory reach all that is beside it. So only pipes and sockets
//! are passed on as they are. A file to read is opened anew on a read-only mount; what is written goes through a pipe
//! and is written by us; a terminal becomes one of the jail's own.

mod kind;
mod pump;
mod terminal;

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

use defences::Defence;
use nix::unistd::Uid;

#[cfg(target_os = "linux")]
pub(super) use self::kind::is_pure;
use self::kind::{OpenFileId, StreamKind};
use self::terminal::Terminal;
use super::StdioFds;

/// What the three are called.
const NAMES: [&str; 3] = ["standard input", "standard output", "standard error"];

/// Carries until it is finished or dropped.
#[derive(Debug)]
pub struct Streams {
    pumps: Vec<(&'static str, JoinHandle<io::Result<()>>)>,
    /// Files that were opened anew, each with the caller's own, which is to be left where the program has left it.
    reopened: Vec<(File, File)>,
    /// What tells the pumps that nobody reads or writes any more: its end.
    over: Option<(PipeReader, PipeWriter)>,
}

/// A stream that cannot be carried.
#[derive(Debug, thiserror::Error)]
#[error("cannot pass {name} into the view")]
pub struct StreamError {
    name: &'static str,
    source: io::Error,
}

/// Builds [`Streams`] from the caller's descriptors, one after the other.
struct StreamsBuilder {
    streams: Streams,
    user: Option<u32>,
    own_terminal: bool,
    terminal: Option<Terminal>,
    /// What is written to, and where the program writes in its place.
    outputs: Vec<(OpenFileId, OwnedFd)>,
    /// Called when the last of those who carry output has ended; each of them has it.
    closed: Option<Arc<CallOnDrop>>,
}

/// What is called when nobody has the outputs open any more.
type Closed = Box<dyn Fn() + Send + Sync>;

/// Calls the function when it is dropped.
struct CallOnDrop(Closed);

impl Drop for CallOnDrop {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl Streams {
    /// Loopbox's own three, for a program of this user, who may open them again. A terminal is passed on as it is where it
    /// was made for this program.
    ///
    /// # Errors
    /// The first that is neither to be read nor to be written, or cannot be carried.
    pub fn carry(user: Option<u32>, own_terminal: bool) -> Result<(Streams, StdioFds), StreamError> {
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        Streams::carry_fds([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()], user, own_terminal)
    }

    /// Its output and errors alone; there is nothing to read. `closed` is called once nobody has them open any more in what
    /// they have become: where one of them is a pipe, which is passed on as it is, that is not known here.
    ///
    /// # Errors
    /// As of [`Streams::carry`].
    pub fn carry_output(
        user: Option<u32>,
        closed: impl Fn() + Send + Sync + 'static,
    ) -> Result<(Streams, StdioFds), StreamError> {
        let null = File::options().read(true).write(true).open("/dev/null");
        let null = null.map_err(|source| StreamError { name: NAMES[0], source })?;
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let outer = [null.as_fd(), stdout.as_fd(), stderr.as_fd()];
        Streams::carry_with(outer, user, false, Some(Box::new(closed)))
    }

    fn carry_fds(
        outer: [BorrowedFd<'_>; 3],
        user: Option<u32>,
        own_terminal: bool,
    ) -> Result<(Streams, StdioFds), StreamError> {
        Streams::carry_with(outer, user, own_terminal, None)
    }

    fn carry_with(
        outer: [BorrowedFd<'_>; 3],
        user: Option<u32>,
        own_terminal: bool,
        closed: Option<Closed>,
    ) -> Result<(Streams, StdioFds), StreamError> {
        let failed = |name| move |source| StreamError { name, source };
        let over = io::pipe().map_err(failed(NAMES[0]))?;
        let streams = Streams { pumps: Vec::new(), reopened: Vec::new(), over: Some(over) };
        let mut carried = true;
        for index in [1, 2] {
            carried &= !matches!(
                StreamKind::of(outer[index], false).map_err(failed(NAMES[index]))?,
                StreamKind::Harmless
            );
        }
        // Who closes what is passed on as it is, is not known here.
        let closed = closed.filter(|_| carried).map(|closed| Arc::new(CallOnDrop(closed)));
        let mut builder =
            StreamsBuilder { streams, user, own_terminal, terminal: None, outputs: Vec::new(), closed };
        let mut inner = |index: usize| {
            let carried = outer[index].try_clone_to_owned().and_then(|outer| builder.carry(index, outer));
            carried.map_err(failed(NAMES[index]))
        };
        let stdio = StdioFds { stdin: inner(0)?, stdout: inner(1)?, stderr: inner(2)? };
        Ok((builder.streams, stdio))
    }

    /// Carries the last of what was written. The program has ended, and all that came of it.
    ///
    /// # Errors
    /// The first stream that could not be written.
    pub fn finish(mut self) -> Result<(), StreamError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), StreamError> {
        drop(self.over.take());
        let mut result = Ok(());
        for (name, pump) in self.pumps.drain(..) {
            // It does not panic.
            let pumped = pump.join().unwrap_or(Ok(()));
            result = result.and(pumped.map_err(|source| StreamError { name, source }));
        }
        for (mut inner, mut outer) in self.reopened.drain(..) {
            // What cannot be told or set is of no use to the next reader either.
            let _ = inner.stream_position().and_then(|at| outer.seek(SeekFrom::Start(at)));
        }
        result
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!("{error}: {}", error.source);
        }
    }
}

impl StreamsBuilder {
    /// What the program gets in place of a stream.
    fn carry(&mut self, index: usize, outer: OwnedFd) -> io::Result<OwnedFd> {
        match StreamKind::of(outer.as_fd(), index == 0)? {
            _ if !Defence::Streams.stands() => Ok(outer),
            StreamKind::Harmless => Ok(outer),
            StreamKind::Input { is_file } => self.read(index, outer, is_file),
            StreamKind::Output(identity) => self.write(index, outer, identity),
            StreamKind::Terminal if self.own_terminal => Ok(outer),
            StreamKind::Terminal => self.connect(index, outer),
        }
    }

    fn read(&mut self, index: usize, outer: OwnedFd, is_file: bool) -> io::Result<OwnedFd> {
        #[cfg(target_os = "linux")]
        if is_file && let Ok(inner) = reopen(&outer) {
            self.streams.reopened.push((inner.try_clone()?, outer.into()));
            return Ok(inner.into());
        }
        let (reader, writer) = io::pipe()?;
        let unread = if is_file { Some(reader.try_clone()?) } else { None };
        let over = self.over()?;
        self.give(&reader);
        let pump = move || pump::read(outer.into(), writer, &over, unread);
        self.start(index, pump)?;
        Ok(reader.into())
    }

    /// Two streams that write to the same file, share what they write through, so that lines stay in their order.
    fn write(&mut self, index: usize, outer: OwnedFd, identity: OpenFileId) -> io::Result<OwnedFd> {
        if let Some((_, inner)) = self.outputs.iter().find(|(known, _)| *known == identity) {
            return inner.try_clone();
        }
        let (reader, writer) = io::pipe()?;
        let inner = OwnedFd::from(writer);
        self.give(&inner);
        // Held until all three are carried.
        self.outputs.push((identity, inner.try_clone()?));
        let over = self.over()?;
        self.start(index, move || pump::write(File::from(OwnedFd::from(reader)), outer.into(), &over))?;
        Ok(inner)
    }

    fn connect(&mut self, index: usize, outer: OwnedFd) -> io::Result<OwnedFd> {
        let terminal = match &mut self.terminal {
            Some(terminal) => terminal,
            none => none.insert(Terminal::like(&outer, self.user.map(Uid::from_raw))?),
        };
        let (inner, master) = (terminal.inner()?, terminal.master()?);
        let shows = index > 0 && !std::mem::replace(&mut terminal.shows, true);
        let (over, end) = (self.over()?, self.terminal.as_ref().and_then(Terminal::end_of_input));
        let outer = File::from(outer);
        if index == 0 {
            self.start(index, move || pump::type_in(outer, master, &over, end))?;
        } else if shows {
            self.start(index, move || pump::write(master, outer, &over).or_else(gone))?;
        }
        Ok(inner)
    }

    /// Lets the user open a pipe again, as by `/dev/stderr`. Where a pipe has no owner, nobody is kept from that.
    fn give(&self, pipe: impl AsFd) {
        let _ = nix::unistd::fchown(pipe, self.user.map(Uid::from_raw), None);
    }

    fn start(
        &mut self,
        index: usize,
        pump: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let closed = self.closed.clone().filter(|_| index > 0);
        let carry = move || {
            let _closed = closed;
            pump()
        };
        let thread = std::thread::Builder::new().name("stream".into()).spawn(carry)?;
        // Nobody waits for what is typed.
        if index > 0 || self.terminal.is_none() {
            self.streams.pumps.push((NAMES[index], thread));
        }
        Ok(())
    }

    fn over(&self) -> io::Result<PipeReader> {
        match &self.streams.over {
            Some((reader, _)) => reader.try_clone(),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// Opens the file by a read-only mount of its own, which is nowhere, at the place that was read up to: not even its owner
/// can change anything of it by that.
#[cfg(target_os = "linux")]
fn reopen(outer: &OwnedFd) -> io::Result<File> {
    use std::os::fd::AsRawFd;

    use crate::sys;

    let attributes = sys::READ_ONLY | sys::NO_DEVICES | sys::NO_EXEC;
    let mount = sys::clone_mount(outer.as_fd(), attributes)?;
    let mut inner = File::open(format!("/proc/self/fd/{}", mount.as_raw_fd()))?;
    inner.seek(SeekFrom::Start(File::from(outer.try_clone()?).stream_position()?))?;
    Ok(inner)
}

/// A terminal that is gone has nobody to be told.
fn gone(_: io::Error) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::process::Command;

    use super::*;

    /// Runs a script with three streams in place of which it gets what they become.
    fn run(script: &str, outer: [BorrowedFd<'_>; 3]) -> Result<(), StreamError> {
        let (streams, StdioFds { stdin, stdout, stderr }) = Streams::carry_fds(outer, None, false)?;
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(stdin).stdout(stdout).stderr(stderr);
        command.status().unwrap();
        drop(command);
        streams.finish()
    }

    fn null() -> File {
        File::options().read(true).write(true).open("/dev/null").unwrap()
    }

    #[test]
    fn a_file_is_read_from_where_it_stands_and_left_where_the_program_has_stopped() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
        let (mut input, output) =
            (File::open(&path).unwrap(), File::create(place.path().join("out")).unwrap());
        input.seek(SeekFrom::Start(4)).unwrap();
        run("read line; echo $line", [input.as_fd(), output.as_fd(), null().as_fd()]).unwrap();
        assert_eq!(std::fs::read_to_string(place.path().join("out")).unwrap(), "two\n");
        let mut rest = String::new();
        input.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "three\n");
    }

    /// As where no mount can be made.
    #[test]
    fn what_was_read_ahead_through_a_pipe_is_given_back() {
        let mut input = tempfile::tempfile().unwrap();
        input.write_all(&b"0123456789".repeat(100_000)).unwrap();
        input.seek(SeekFrom::Start(10)).unwrap();
        let (mut inner, writer) = io::pipe().unwrap();
        let (over, end) = io::pipe().unwrap();
        let (from, unread) = (input.try_clone().unwrap(), Some(inner.try_clone().unwrap()));
        let pump = std::thread::spawn(move || pump::read(from, writer, &over, unread));
        inner.read_exact(&mut [0; 12_345]).unwrap();
        drop(end);
        pump.join().unwrap().unwrap();
        assert_eq!(input.stream_position().unwrap(), 10 + 12_345);
    }

    #[test]
    fn two_streams_that_are_one_stay_one_and_a_file_goes_on_where_it_ends() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"before\n").unwrap();
        let script = "echo 1; echo 2 >&2; echo 3; test -p /dev/stdout && echo 4";
        run(script, [null().as_fd(), file.as_fd(), file.as_fd()]).unwrap();
        file.write_all(b"after\n").unwrap();
        let mut all = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut all).unwrap();
        assert_eq!(all, "before\n1\n2\n3\n4\nafter\n");
    }

    #[test]
    fn pipes_are_passed_on_and_a_directory_is_refused() {
        let (mut reader, writer) = io::pipe().unwrap();
        run("readlink /proc/self/fd/1", [null().as_fd(), writer.as_fd(), null().as_fd()]).unwrap();
        let own = std::fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer)));
        drop(writer);
        let mut seen = String::new();
        reader.read_to_string(&mut seen).unwrap();
        assert_eq!(std::path::Path::new(seen.trim()), own.unwrap());
        let directory = File::open("/").unwrap();
        let error = run("true", [directory.as_fd(), null().as_fd(), null().as_fd()]).unwrap_err();
        assert_eq!(error.to_string(), "cannot pass standard input into the view");
        assert_eq!(error.source.kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn that_nobody_has_the_output_open_is_told_and_only_once_where_it_is_carried() {
        let closed = |outer: [BorrowedFd<'_>; 3]| {
            let (sender, told) = std::sync::mpsc::channel();
            let closed: Closed = Box::new(move || sender.send(()).unwrap_or_default());
            let (streams, stdio) = Streams::carry_with(outer, None, false, Some(closed)).unwrap();
            assert!(told.recv_timeout(std::time::Duration::from_millis(50)).is_err(), "it is open");
            drop(stdio);
            let is_told = told.recv_timeout(std::time::Duration::from_secs(5)).is_ok();
            streams.finish().unwrap();
            (is_told, told.recv().is_ok())
        };
        let file = tempfile::tempfile().unwrap();
        let other = tempfile::tempfile().unwrap();
        assert_eq!(closed([null().as_fd(), file.as_fd(), file.as_fd()]), (true, false));
        assert_eq!(closed([null().as_fd(), file.as_fd(), other.as_fd()]), (true, false));
        let (_reader, pipe) = io::pipe().unwrap();
        assert_eq!(closed([null().as_fd(), file.as_fd(), pipe.as_fd()]), (false, false));
    }

    #[test]
    fn a_terminal_becomes_another_one() {
        let (mut master, outer) = {
            let nix::pty::OpenptyResult { master, slave } = nix::pty::openpty(None, None).unwrap();
            (File::from(master), slave)
        };
        let (_reader, writer) = io::pipe().unwrap();
        master.write_all(b"typed\n").unwrap();
        let script =
            "test -t 0 && test -t 2 && read line && echo got $line >&2; readlink /proc/self/fd/2 >&2";
        run(script, [outer.as_fd(), writer.as_fd(), outer.as_fd()]).unwrap();
        let mut lines = BufReader::new(master).lines().map(Result::unwrap);
        // The outer one shows what is typed, once.
        assert_eq!([lines.next().unwrap(), lines.next().unwrap()], ["typed", "got typed"]);
        let own = nix::unistd::ttyname(&outer).unwrap();
        let inner = lines.next().unwrap();
        assert!(inner.starts_with("/dev/pts/") && std::path::Path::new(&inner) != own, "{inner}");
    }
}
