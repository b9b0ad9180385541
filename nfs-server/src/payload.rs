//! The data of a WRITE: the part received together with the call's header, and the part still in the socket.

use std::os::fd::BorrowedFd;

use crate::view::{Error, WriteSource};

/// Opaque data at the end of a call's arguments.
#[derive(Clone, Copy)]
pub(crate) struct Payload<'a> {
    received: &'a [u8],
    unread: Option<UnreadBytes<'a>>,
}

/// The end of a record that is still in the socket.
#[derive(Clone, Copy)]
pub(crate) struct UnreadBytes<'a> {
    /// Bytes.
    pub(crate) count: usize,
    pub(crate) reader: &'a dyn PayloadReader,
}

/// Moves data from a socket to a file.
pub(crate) trait PayloadReader {
    /// Writes the next `count` bytes to a file at `offset`; returns the number of bytes written.
    ///
    /// # Errors
    /// The host's error if nothing was written; [`Error::Io`] when the peer stops sending.
    fn write_to(&self, file: BorrowedFd<'_>, offset: u64, count: usize) -> Result<usize, Error>;
}

impl<'a> Payload<'a> {
    pub(crate) fn new(received: &'a [u8], unread: Option<UnreadBytes<'a>>) -> Payload<'a> {
        Payload { received, unread }
    }
}

impl WriteSource for Payload<'_> {
    fn len(&self) -> usize {
        self.received.len() + self.unread.map_or(0, |unread| unread.count)
    }

    fn truncate(self, len: usize) -> Self {
        let received = &self.received[..len.min(self.received.len())];
        let left = len - received.len();
        let unread = self.unread.map(|unread| UnreadBytes { count: unread.count.min(left), ..unread });
        Payload { received, unread: unread.filter(|unread| unread.count > 0) }
    }

    fn write_to(self, file: BorrowedFd<'_>, offset: u64) -> Result<usize, Error> {
        let written = self.received.write_to(file, offset)?;
        let Some(UnreadBytes { count, reader }) = self.unread.filter(|_| written == self.received.len())
        else {
            return Ok(written);
        };
        match reader.write_to(file, offset + written as u64, count) {
            Ok(more) => Ok(written + more),
            // A short write; the next request meets the error itself.
            Err(_) if written > 0 => Ok(written),
            Err(error) => Err(error),
        }
    }
}
