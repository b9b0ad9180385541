//! A walk through a view by a process in it: what it sees of every file, and what it may do to it.
//!
//! The process is loopbox itself, which stays what it is when it enters a jail: nothing of it has to be in the view.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;

use mounter::jail::{ExitOutcome, JailSpec, StdioFds};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::WalkError;
use crate::backend::BackendKind;
use crate::cancel::Cancel;
use crate::session::{Program, Session, SessionError, SessionOutcome};

/// The first argument of a walk that reads all files.
const WITH_CONTENTS: &str = "contents";
/// That of one that does not.
const NAMES_ONLY: &str = "names";

/// Files that a walk looks at before it gives up: a closure of a large system has some hundred thousand.
const MOST: usize = 2_000_000;

/// A name that nothing in a view has.
const NEW: &str = ".loopbox-may-be-made-here";

/// The longest path that a system call takes, in bytes, with the zero at its end.
const PATH_MAX: usize = libc::PATH_MAX as usize;

/// Bytes of a file that are read at once.
const CHUNK: usize = 256 << 10;

/// Who walks.
pub struct Walker<'a> {
    /// Ends the walk.
    pub cancel: &'a Cancel,
    /// Whether every file is read.
    pub contents: bool,
    /// Directories that are not entered.
    pub without: &'a [PathBuf],
}

/// What a process sees of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedFile {
    /// Where, as bytes: names need not be text.
    path: Vec<u8>,
    /// `file`, `directory`, `link`, or what else there is.
    pub kind: String,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Names that it has.
    pub links: u64,
    /// Its number.
    pub inode: u64,
    /// The device that the number is of.
    pub device: u64,
    /// Bytes in it.
    pub size: u64,
    /// When its contents changed last: seconds and nanoseconds.
    pub modified: (i64, i64),
    /// When anything of it changed last.
    pub changed: (i64, i64),
    /// Where a link leads, as bytes; a device's number, as text.
    pub target: Option<Vec<u8>>,
    /// What reading it comes to: a hash, the names in it, or why not.
    pub contents: Option<String>,
    /// What opening it to write, or to make a name in it, is answered with.
    pub write: String,
}

impl ObservedFile {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.path))
    }
}

/// Walks from the root of wherever this process is, and writes what it sees to standard output: what loopbox does
/// inside a jail, when it is asked to ([`mounter::jail::Task`]).
#[must_use]
pub fn inside(arguments: &[OsString]) -> i32 {
    let Some((first, without)) = arguments.split_first() else { return 2 };
    let walk = TreeWalk {
        contents: first == WITH_CONTENTS,
        without: without.iter().map(PathBuf::from).collect(),
        to: BufWriter::new(io::stdout().lock()),
        left: MOST,
        buffer: vec![0; CHUNK],
    };
    match walk.run() {
        Ok(()) => 0,
        Err(error) => {
            // Nobody to tell is no reason to panic.
            let _ = writeln!(io::stderr(), "cannot walk through the view: {error}");
            1
        }
    }
}

impl Walker<'_> {
    /// Walks through a view, in whose jail the walker takes the program's place.
    ///
    /// # Errors
    /// When the view cannot be entered, the walk fails, or it was asked to stop.
    pub fn walk(
        &self,
        session: Session<'_>,
        mut jail: JailSpec,
        backend: BackendKind,
    ) -> Result<(SessionOutcome, Vec<ObservedFile>), WalkError> {
        let failed = |source| WalkError::Walk { backend, source };
        if self.cancel.is_cancelled() {
            return Err(WalkError::Interrupted);
        }
        (jail.own_task, jail.argv) = (true, self.arguments());
        let (reader, writer) = io::pipe().map_err(failed)?;
        let stderr = io::stderr().as_fd().try_clone_to_owned().map_err(failed)?;
        // It writes more than a pipe holds, and waits until that is read.
        let seen = thread::spawn(move || read(reader));
        let ended = session.run(Program {
            jail,
            stdio: StdioFds { stdout: writer.into(), stderr, ..StdioFds::null().map_err(failed)? },
            terminal: None,
            cancel: self.cancel,
            stop: &Cancel::default(),
            worthless_on_failure: false,
        });
        let ended = ended.map_err(|error| match error {
            SessionError::Interrupted => WalkError::Interrupted,
            source => WalkError::View { backend, source },
        })?;
        let seen = seen.join().unwrap_or_else(|_| Err(io::Error::other("its reader panicked")));
        let seen = seen.map_err(failed)?;
        match ended.outcome {
            ExitOutcome::Exited(0) => Ok((ended, seen)),
            ExitOutcome::Exited(code) => {
                Err(failed(io::Error::other(format!("it ended with status {code}"))))
            }
            ExitOutcome::Signaled(signal) => {
                Err(failed(io::Error::other(format!("signal {signal} ended it"))))
            }
        }
    }

    fn arguments(&self) -> Vec<OsString> {
        let first = if self.contents { WITH_CONTENTS } else { NAMES_ONLY };
        std::iter::once(first.into()).chain(self.without.iter().map(|path| path.clone().into())).collect()
    }
}

/// Reads what a walk has written.
fn read(from: impl Read) -> io::Result<Vec<ObservedFile>> {
    let mut seen = Vec::new();
    let mut lines = BufReader::new(from);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        seen.push(serde_json::from_slice(&line)?);
        line.clear();
    }
    Ok(seen)
}

struct TreeWalk<W: Write> {
    contents: bool,
    without: Vec<PathBuf>,
    to: W,
    left: usize,
    buffer: Vec<u8>,
}

impl<W: Write> TreeWalk<W> {
    fn run(mut self) -> io::Result<()> {
        let mut waiting = vec![PathBuf::from("/")];
        while let Some(path) = waiting.pop() {
            self.left =
                self.left.checked_sub(1).ok_or_else(|| io::Error::other("there are too many files"))?;
            let metadata = path.symlink_metadata()?;
            let below = if metadata.is_dir() { names(&path) } else { Ok(Vec::new()) };
            let below = below.and_then(|names| reachable(&path, names));
            let seen = self.look(&path, &metadata, &below);
            serde_json::to_writer(&mut self.to, &seen)?;
            self.to.write_all(b"\n")?;
            let below = below.unwrap_or_default().into_iter().map(|name| path.join(name));
            waiting.extend(below.filter(|path| !self.without.contains(path)));
        }
        self.to.flush()
    }

    fn look(
        &mut self,
        path: &Path,
        metadata: &fs::Metadata,
        below: &io::Result<Vec<OsString>>,
    ) -> ObservedFile {
        let kind = metadata.file_type();
        let target = match fs::read_link(path) {
            Ok(target) if kind.is_symlink() => Some(target.into_os_string().into_vec()),
            _ if kind.is_char_device() || kind.is_block_device() => {
                Some(format!("device {:x}", metadata.rdev()).into_bytes())
            }
            _ => None,
        };
        let contents = match below {
            Ok(names) if kind.is_dir() => Some(format!("{} names", names.len())),
            Err(error) => Some(error_name(error)),
            Ok(_) if kind.is_file() && self.contents => {
                Some(self.hash(path).unwrap_or_else(|error| error_name(&error)))
            }
            Ok(_) => None,
        };
        ObservedFile {
            path: path.as_os_str().as_bytes().to_vec(),
            kind: kind_name(kind).into(),
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            links: metadata.nlink(),
            inode: metadata.ino(),
            device: metadata.dev(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            target,
            contents,
            write: write(path, kind),
        }
    }

    fn hash(&mut self, path: &Path) -> io::Result<String> {
        let mut file = File::open(path)?;
        let mut hash = Sha256::new();
        loop {
            match file.read(&mut self.buffer)? {
                0 => return Ok(data_encoding::HEXLOWER.encode(&hash.finalize())),
                count => hash.update(&self.buffer[..count]),
            }
        }
    }
}

fn names(directory: &Path) -> io::Result<Vec<OsString>> {
    fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
}

/// The names of a directory, if all of them have paths that a process can use: what lies deeper in a tree is not looked at.
fn reachable(directory: &Path, names: Vec<OsString>) -> io::Result<Vec<OsString>> {
    let longest = names.iter().map(|name| name.len()).max().unwrap_or(0);
    if directory.as_os_str().len() + 1 + longest < PATH_MAX {
        return Ok(names);
    }
    Err(nix::errno::Errno::ENAMETOOLONG.into())
}

fn kind_name(kind: fs::FileType) -> &'static str {
    match kind {
        kind if kind.is_file() => "file",
        kind if kind.is_dir() => "directory",
        kind if kind.is_symlink() => "link",
        kind if kind.is_char_device() => "character device",
        kind if kind.is_block_device() => "block device",
        kind if kind.is_fifo() => "FIFO",
        _ => "socket",
    }
}

/// Files are opened and closed again; in a directory, another is made and removed again.
fn write(path: &Path, kind: fs::FileType) -> String {
    let answer = if kind.is_file() {
        OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).open(path).map(drop)
    } else if kind.is_dir() {
        let new = path.join(NEW);
        fs::create_dir(&new).and_then(|()| fs::remove_dir(&new))
    } else {
        return "not tried".into();
    };
    answer.err().map_or_else(|| "allowed".into(), |error| error_name(&error))
}

fn error_name(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => format!("{:?}", nix::errno::Errno::from_raw(number)),
        None => error.to_string(),
    }
}
