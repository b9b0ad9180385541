//! The machine's ways to the host, from its inside: where the program's output goes, and its exit status.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use nix::sys::termios::{SetArg, cfmakeraw, tcdrain, tcgetattr, tcsetattr};

use super::{Boot, Job, line};

/// Where the kernel lists its ports to the host.
const PORTS: &str = "/sys/class/virtio-ports";

/// A program's two outputs.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// The ways that a platform has.
pub enum Host {
    /// A terminal for each output, and a file for the status.
    Terminals(File),
    /// One line for all.
    Line(Arc<Mutex<File>>),
}

impl Host {
    /// What has to be opened in the host's root, before it is left: no program in the machine finds that file.
    pub fn status_file(job: &Job) -> Result<Option<File>> {
        match job.boot {
            Boot::Uml(_) => File::create(&job.status).map(Some).context("cannot create the status file"),
            Boot::Emulator(_) => Ok(None),
        }
    }

    /// Opens the rest, in the machine's own root.
    pub fn connect(status: Option<File>) -> Result<Host> {
        match status {
            Some(file) => Ok(Host::Terminals(file)),
            None => {
                let port = port()?;
                let file = OpenOptions::new().read(true).write(true).open(&port);
                let file = file.with_context(|| format!("cannot open {}", port.display()))?;
                Ok(Host::Line(Arc::new(Mutex::new(file))))
            }
        }
    }

    /// What is written to it, the host has or will have.
    pub fn stream(&self, stream: Stream) -> Result<Box<dyn Write + Send>> {
        Ok(match self {
            Host::Terminals(_) => Box::new(Terminal::open(match stream {
                Stream::Output => "/dev/tty1",
                Stream::Error => "/dev/tty2",
            })?),
            Host::Line(line) => {
                let kind = match stream {
                    Stream::Output => line::Kind::Output,
                    Stream::Error => line::Kind::Error,
                };
                Box::new(Pieces { line: line.clone(), kind })
            }
        })
    }

    /// Tells the exit status; the host has everything then.
    pub fn end(self, status: i32) -> Result<()> {
        match self {
            Host::Terminals(mut file) => {
                writeln!(file, "{status}")?;
                file.sync_all().context("cannot write the status file")
            }
            Host::Line(line) => {
                let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
                line::send(&mut *line, line::Kind::Status, status.to_string().as_bytes())?;
                line.read_exact(&mut [0]).context("the host does not answer")
            }
        }
    }
}

/// The one port to the host.
fn port() -> Result<PathBuf> {
    const MISSING: &str = "the machine has no port to the host";
    let port = fs::read_dir(PORTS).context(MISSING)?.next().context(MISSING)??;
    Ok(Path::new("/dev").join(port.file_name()))
}

/// A terminal that changes no byte.
struct Terminal(File);

impl Terminal {
    fn open(path: &str) -> Result<Terminal> {
        let file =
            OpenOptions::new().write(true).open(path).with_context(|| format!("cannot open {path}"))?;
        let mut settings = tcgetattr(&file)?;
        cfmakeraw(&mut settings);
        tcsetattr(&file, SetArg::TCSANOW, &settings)?;
        Ok(Terminal(file))
    }
}

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(bytes)?;
        tcdrain(&self.0)?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One output's part of the line.
struct Pieces {
    line: Arc<Mutex<File>>,
    kind: line::Kind,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(line::PIECE_MAX)];
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line::send(&mut *line, self.kind, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
