//! Temporary roots of a connection to Nix's daemon, which `nix-store --serve` keeps open: whoever asks it for valid paths may
//! have them locked (`QueryValidPaths` in Nix's `serve-protocol.hh` and `nix-store.cc`).

use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Mutex, PoisonError};

use super::command::Programs;

/// What each side says first.
const CLIENT_MAGIC: u64 = 0x390c_9deb;
const SERVER_MAGIC: u64 = 0x5452_eecb;

/// The version of the protocol that is spoken, 2.5: since Nix 2.0.
const VERSION: u64 = 0x205;

/// `QueryValidPaths`.
const QUERY_VALID_PATHS: u64 = 1;

/// Numbers are this long, and texts are padded to a multiple of it, in bytes.
const WORD: usize = 8;

/// The longest text that is read, in bytes: a store path has at most some 250.
const TEXT_MAX: u64 = 4096;

/// A program of Nix's that holds paths until it is dropped, or this process dies.
#[derive(Debug)]
pub(super) struct ServedRoots {
    process: Child,
    /// None only while it is dropped.
    pipes: Option<Mutex<(ChildStdin, ChildStdout)>>,
}

impl ServedRoots {
    /// Starts it.
    ///
    /// # Errors
    /// It cannot be started, or speaks otherwise.
    pub fn begin(programs: &Programs) -> io::Result<ServedRoots> {
        let mut command = programs.command("nix-store");
        command.args(["--serve", "--write"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let pipes = process.stdin.take().zip(process.stdout.take());
        let served = ServedRoots { process, pipes: pipes.map(Mutex::new) };
        served.with(greet)?;
        Ok(served)
    }

    /// Holds more paths, of which some may not be valid.
    ///
    /// # Errors
    /// Nix does not answer.
    pub fn add(&self, paths: impl Iterator<Item = PathBuf>) -> io::Result<()> {
        let paths: Vec<PathBuf> = paths.collect();
        self.with(|to, from| hold(to, from, &paths))
    }

    fn with<T>(
        &self,
        talk: impl FnOnce(&mut ChildStdin, &mut ChildStdout) -> io::Result<T>,
    ) -> io::Result<T> {
        let pipes = self.pipes.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut pipes = pipes.lock().unwrap_or_else(PoisonError::into_inner);
        let (to, from) = &mut *pipes;
        talk(to, from)
    }
}

impl Drop for ServedRoots {
    fn drop(&mut self) {
        // The end of what it reads is its own end.
        drop(self.pipes.take());
        let _ = self.process.wait();
    }
}

fn greet(to: &mut impl Write, from: &mut impl Read) -> io::Result<()> {
    write_all(to, [CLIENT_MAGIC, VERSION])?;
    let (magic, _version) = (number(from)?, number(from)?);
    if magic == SERVER_MAGIC { Ok(()) } else { Err(malformed()) }
}

fn hold(to: &mut impl Write, from: &mut impl Read, paths: &[PathBuf]) -> io::Result<()> {
    let mut request = Vec::new();
    // Locked, and not fetched.
    write_all(&mut request, [QUERY_VALID_PATHS, 1, 0, paths.len() as u64])?;
    for path in paths {
        let text = path.as_os_str().as_bytes();
        write_all(&mut request, [text.len() as u64])?;
        request.extend_from_slice(text);
        request.resize(request.len().next_multiple_of(WORD), 0);
    }
    to.write_all(&request)?;
    // Those that are valid.
    (0..number(from)?).try_for_each(|_| skip_text(from))
}

fn write_all<const COUNT: usize>(to: &mut impl Write, numbers: [u64; COUNT]) -> io::Result<()> {
    numbers.iter().try_for_each(|number| to.write_all(&number.to_le_bytes()))
}

fn number(from: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; WORD];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn skip_text(from: &mut impl Read) -> io::Result<()> {
    let length = number(from)?;
    if length > TEXT_MAX {
        return Err(malformed());
    }
    let padded = length.next_multiple_of(WORD as u64);
    match io::copy(&mut from.take(padded), &mut io::sink())? {
        read if read == padded => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "'nix-store --serve' speaks another protocol")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(numbers: &[u64]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    #[test]
    fn only_a_server_of_the_protocol_is_spoken_to() {
        let mut said = Vec::new();
        greet(&mut said, &mut words(&[SERVER_MAGIC, 0x207]).as_slice()).unwrap();
        assert_eq!(said, words(&[CLIENT_MAGIC, VERSION]));
        let error = greet(&mut io::sink(), &mut words(&[1, 0x207]).as_slice()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let error = greet(&mut io::sink(), &mut words(&[SERVER_MAGIC]).as_slice()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn paths_are_locked_and_what_is_answered_is_read_to_its_end() {
        let answer = [words(&[1, 3]), b"/s/\0\0\0\0\0rest".to_vec()].concat();
        let (mut said, mut from) = (Vec::new(), answer.as_slice());
        hold(&mut said, &mut from, &["/s/a".into(), "/s/12345".into()]).unwrap();
        assert_eq!(from, b"rest");
        let asked = [&words(&[1, 1, 0, 2, 4])[..], b"/s/a\0\0\0\0", &words(&[8])[..], b"/s/12345"].concat();
        assert_eq!(said, asked);
    }

    #[test]
    fn a_long_text_and_a_cut_one_are_refused() {
        let hold = |answer: &[u8]| hold(&mut io::sink(), &mut &*answer, &[]).unwrap_err().kind();
        assert_eq!(hold(&words(&[1, u64::MAX])), io::ErrorKind::InvalidData);
        assert_eq!(hold(&words(&[1, 9, 0])), io::ErrorKind::UnexpectedEof);
    }
}
