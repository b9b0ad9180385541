//! Nix archives: the one form of a tree that hashes of store paths are taken of. Written as a stream.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::tree::{self, Kind, TreeError};

/// How much of a file is read at once.
const CHUNK: usize = 256 << 10;

const EXECUTABLE: libc::mode_t = 0o100;

/// Writes the archive of the tree at a name in a directory.
///
/// # Errors
/// When something in it cannot be read, is of a kind that archives do not have, or `to` fails.
pub fn write(directory: &OwnedFd, name: &str, to: &mut impl Write) -> Result<(), TreeError> {
    let mut writer = Writer { to, buffer: vec![0; CHUNK] };
    let path = PathBuf::from(name);
    writer.text(b"nix-archive-1").map_err(|error| TreeError::new(&path, "archive", error))?;
    writer.node(directory, name.as_ref(), &path, 0)
}

struct Writer<'a, W> {
    to: &'a mut W,
    buffer: Vec<u8>,
}

impl<W: Write> Writer<'_, W> {
    fn node(
        &mut self,
        directory: &OwnedFd,
        name: &OsStr,
        path: &Path,
        depth: usize,
    ) -> Result<(), TreeError> {
        if tree::is_too_deep(depth) {
            return Err(TreeError::Depth { path: path.into() });
        }
        let archive = |error: io::Error| TreeError::new(path, "archive", error);
        let stat = tree::stat(directory, name).map_err(|error| TreeError::new(path, "look at", error))?;
        match Kind::of(&stat) {
            Kind::Other => return Err(TreeError::Kind { path: path.into() }),
            Kind::Symlink => {
                let target =
                    nix::fcntl::readlinkat(directory, name).map_err(|error| archive(error.into()))?;
                self.texts(&[b"(", b"type", b"symlink", b"target", target.as_bytes()]).map_err(archive)?;
            }
            Kind::File => {
                let file = File::from(tree::open(directory, name, &stat, path)?);
                self.texts(&[b"(", b"type", b"regular"]).map_err(archive)?;
                if stat.st_mode & EXECUTABLE != 0 {
                    self.texts(&[b"executable", b""]).map_err(archive)?;
                }
                self.text(b"contents").map_err(archive)?;
                self.contents(file, stat.st_size.unsigned_abs(), path)?;
            }
            Kind::Directory => {
                let opened = tree::open(directory, name, &stat, path)?;
                self.texts(&[b"(", b"type", b"directory"]).map_err(archive)?;
                for child in tree::names(&opened, path)? {
                    self.texts(&[b"entry", b"(", b"name", child.as_bytes(), b"node"]).map_err(archive)?;
                    self.node(&opened, &child, &path.join(&child), depth + 1)?;
                    self.text(b")").map_err(archive)?;
                }
            }
        }
        self.text(b")").map_err(archive)
    }

    fn contents(&mut self, mut file: File, size: u64, path: &Path) -> Result<(), TreeError> {
        let archive = |error: io::Error| TreeError::new(path, "archive", error);
        self.to.write_all(&size.to_le_bytes()).map_err(archive)?;
        let mut left = size;
        while left > 0 {
            let most = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            let read = file.read(&mut self.buffer[..most]).map_err(archive)?;
            if read == 0 {
                return Err(TreeError::Changed { path: path.into() });
            }
            self.to.write_all(&self.buffer[..read]).map_err(archive)?;
            left -= read as u64;
        }
        self.padding(size).map_err(archive)
    }

    fn texts(&mut self, texts: &[&[u8]]) -> io::Result<()> {
        texts.iter().try_for_each(|text| self.text(text))
    }

    fn text(&mut self, text: &[u8]) -> io::Result<()> {
        let size = text.len() as u64;
        self.to.write_all(&size.to_le_bytes())?;
        self.to.write_all(text)?;
        self.padding(size)
    }

    /// Everything is filled up to a multiple of eight bytes.
    fn padding(&mut self, size: u64) -> io::Result<()> {
        let over = (size % 8) as usize;
        if over == 0 { Ok(()) } else { self.to.write_all(&[0; 8][over..]) }
    }
}
