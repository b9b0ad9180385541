//! Reads the data of files.

use std::os::fd::{AsFd, BorrowedFd};

use super::View;
use super::blocking::{Blocking, ResidencyProbe};
use super::caller::{AccessMask, Caller};
use super::declared;
use super::error::Error;
use super::fd_cache::OpenHandle;
use super::node::Node;
use super::resolve::check_regular;
use super::tree::NodeKind;

/// The result of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOutcome {
    /// Bytes read.
    pub count: usize,
    /// Whether the file ends after them.
    pub eof: bool,
}

/// A segment of a file, to be sent with sendfile(2).
#[derive(Clone)]
pub struct FileSegment {
    file: OpenHandle,
    /// The offset in the file.
    pub offset: u64,
    /// Bytes of it; never beyond the file's eof.
    pub count: usize,
    /// Whether the file ends after it.
    pub eof: bool,
}

impl FileSegment {
    /// The open file.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.descriptor().as_fd()
    }
}

impl View {
    /// Reads at `offset`, as much as fits `into`.
    ///
    /// Who may execute a file may read it, and so may its owner: kernels load programs by READ, and a descriptor stays
    /// readable after a change of mode.
    ///
    /// # Errors
    /// [`Error::Access`] when the caller may neither read nor run it; [`Error::WouldBlock`] as `blocking` says.
    pub fn read(
        &self,
        node: &Node,
        offset: u64,
        into: &mut [u8],
        caller: Caller<'_>,
        blocking: Blocking,
    ) -> Result<ReadOutcome, Error> {
        self.check_readable(node, caller)?;
        let outcome = match node {
            Node::Declared(index) if self.host_entry(node).is_none() => {
                let NodeKind::Inline { contents, .. } = &declared(&self.tree, *index).kind else {
                    return Err(Error::Invalid);
                };
                copy(contents, offset, into)
            }
            _ => self.read_host(node, offset, into, caller, blocking)?,
        };
        self.counters(node).read(outcome.count);
        Ok(outcome)
    }

    /// A segment of up to `count` bytes at `offset`, not read. `None` if others may truncate the file before it is sent, or
    /// if there are fewer than `least` bytes.
    ///
    /// # Errors
    /// As [`View::read`]; [`Error::WouldBlock`] when the host does not have them in residency.
    pub fn segment(
        &self,
        node: &Node,
        offset: u64,
        count: usize,
        least: usize,
        caller: Caller<'_>,
    ) -> Result<Option<FileSegment>, Error> {
        if count < least || !self.is_exclusive(node) {
            return Ok(None);
        }
        self.check_readable(node, caller)?;
        let (count, eof) = within(self.attributes(node)?.size, offset, count);
        if count < least {
            return Ok(None);
        }
        let file = self.data(node, false, caller)?;
        // Because of read-ahead, if the last byte is in the page cache the others are too.
        read_at(&file, offset + count as u64 - 1, &mut [0], Blocking::Never, self.residency(node)?)?;
        self.counters(node).read(count);
        Ok(Some(FileSegment { file, offset, count, eof }))
    }

    fn residency(&self, node: &Node) -> Result<&ResidencyProbe, Error> {
        self.host_entry(node).map(|host_entry| &host_entry.residency).ok_or(Error::BadType)
    }

    fn check_readable(&self, node: &Node, caller: Caller<'_>) -> Result<(), Error> {
        check_regular(self.kind(node))?;
        let allowed = caller.owns(self.permissions(node)?)
            || self.allows(node, caller, AccessMask::Read)?
            || self.allows(node, caller, AccessMask::Execute)?;
        if allowed { Ok(()) } else { Err(Error::Access) }
    }

    fn read_host(
        &self,
        node: &Node,
        offset: u64,
        into: &mut [u8],
        caller: Caller<'_>,
        blocking: Blocking,
    ) -> Result<ReadOutcome, Error> {
        if !self.is_exclusive(node) {
            let file = self.data(node, false, caller)?;
            let count = read_at(&file, offset, into, blocking, self.residency(node)?)?;
            // A full buffer says nothing about the end.
            let eof = count < into.len() || {
                let size = nix::sys::stat::fstat(file.descriptor())?.st_size;
                offset.saturating_add(count as u64) >= u64::try_from(size).unwrap_or(0)
            };
            return Ok(ReadOutcome { count, eof });
        }
        let (wanted, eof) = within(self.attributes(node)?.size, offset, into.len());
        if wanted == 0 {
            return Ok(ReadOutcome { count: 0, eof });
        }
        let file = self.data(node, false, caller)?;
        let count = read_at(&file, offset, &mut into[..wanted], blocking, self.residency(node)?)?;
        Ok(ReadOutcome { count, eof: eof || count < wanted })
    }
}

/// How many of `count` bytes at `offset` a file of this size has, and whether it ends after them.
fn within(size: u64, offset: u64, count: usize) -> (usize, bool) {
    let left = size.saturating_sub(offset);
    match usize::try_from(left) {
        Ok(left) if left <= count => (left, true),
        _ => (count, false),
    }
}

/// Reads as much as fits, or as the file has.
fn read_at(
    file: &OpenHandle,
    offset: u64,
    into: &mut [u8],
    blocking: Blocking,
    residency: &ResidencyProbe,
) -> Result<usize, Error> {
    let Ok(start) = i64::try_from(offset) else { return Ok(0) };
    // pread(2) fails beyond the largest offset.
    let left = usize::try_from(i64::MAX - start).unwrap_or(usize::MAX).min(into.len());
    let into = &mut into[..left];
    let mut count = 0;
    while count < into.len() {
        let position = start.checked_add(count as i64).ok_or(Error::Invalid)?;
        match blocking.read_at(file, &mut into[count..], position, residency) {
            Ok(0) => break,
            Ok(read) => count += read,
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(count)
}

fn copy(contents: &[u8], offset: u64, into: &mut [u8]) -> ReadOutcome {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(contents.len());
    let count = into.len().min(contents.len() - start);
    into[..count].copy_from_slice(&contents[start..start + count]);
    ReadOutcome { count, eof: start + count == contents.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_ends_where_the_file_does() {
        assert_eq!(within(10, 0, 10), (10, true));
        assert_eq!(within(10, 0, 9), (9, false));
        assert_eq!(within(10, 4, 9), (6, true));
        assert_eq!(within(10, 10, 9), (0, true));
        assert_eq!(within(10, u64::MAX, 9), (0, true));
        assert_eq!(within(u64::MAX, 0, 9), (9, false));
    }

    #[test]
    fn inline_contents_are_copied_from_the_offset() {
        let read = |offset, count| {
            let mut into = vec![0; count];
            let ReadOutcome { count, eof } = copy(b"contents", offset, &mut into);
            (String::from_utf8(into[..count].to_vec()).unwrap(), eof)
        };
        assert_eq!(read(0, 8), ("contents".into(), true));
        assert_eq!(read(0, 7), ("content".into(), false));
        assert_eq!(read(3, 9), ("tents".into(), true));
        assert_eq!(read(8, 9), (String::new(), true));
        assert_eq!(read(u64::MAX, 9), (String::new(), true));
    }
}
