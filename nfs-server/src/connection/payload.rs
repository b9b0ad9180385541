//! The end of a large WRITE: from the socket to its file, on Linux without a copy in user space.

mod transfer;

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::net::TcpStream;
use std::os::fd::BorrowedFd;

use crate::payload::PayloadReader;
use crate::view::Error;
use transfer::Transfer;

/// The unread end of a record whose header was received.
pub(super) struct SocketPayload<'s> {
    stream: &'s TcpStream,
    /// Bytes of the record that are still in the socket.
    left: Cell<usize>,
    /// Why the peer stopped sending.
    broken: Cell<Option<io::Error>>,
    /// None before there is a large WRITE.
    transfer: RefCell<Option<Transfer>>,
}

impl<'s> SocketPayload<'s> {
    pub(super) fn new(stream: &'s TcpStream) -> SocketPayload<'s> {
        SocketPayload { stream, left: Cell::new(0), broken: Cell::default(), transfer: RefCell::default() }
    }

    /// Starts with a record that has `missing` more bytes.
    pub(super) fn begin(&self, missing: usize) {
        self.left.set(missing);
    }

    /// # Errors
    /// Why the peer stopped sending. There is no complete call to reply to then.
    pub(super) fn check(&self) -> io::Result<()> {
        self.broken.take().map_or(Ok(()), Err)
    }

    /// Discards what is left of the record in the socket.
    pub(super) fn discard_rest(&self) -> io::Result<()> {
        let left = self.left.take() as u64;
        let dropped = io::copy(&mut self.stream.take(left), &mut io::sink())?;
        if dropped < left { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Receives up to `most` bytes of the record.
    fn receive(&self, transfer: &mut Transfer, most: usize) -> Result<usize, Error> {
        let arrived = transfer.receive(self.stream, most).and_then(|arrived| match arrived {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            arrived => Ok(arrived),
        });
        match arrived {
            Ok(arrived) => {
                self.left.set(self.left.get().saturating_sub(arrived));
                Ok(arrived)
            }
            Err(error) => {
                self.broken.set(Some(error));
                Err(Error::Io)
            }
        }
    }
}

impl PayloadReader for SocketPayload<'_> {
    fn write_to(&self, file: BorrowedFd<'_>, offset: u64, count: usize) -> Result<usize, Error> {
        let mut transfer = self.transfer.borrow_mut();
        let transfer = transfer.get_or_insert_default();
        let mut done = 0;
        while done < count {
            let arrived = self.receive(transfer, count - done)?;
            match transfer.write_to(arrived, file, offset + done as u64) {
                Ok(put) => {
                    done += put;
                    if put < arrived {
                        break;
                    }
                }
                // A short write; the next request meets the error itself.
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::net::TcpListener;
    use std::os::fd::AsFd;

    use super::*;

    fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (one, listener.accept().unwrap().0)
    }

    fn contents(count: usize, seed: u8) -> Vec<u8> {
        (0..count).map(|index| (index % 241) as u8 ^ seed).collect()
    }

    #[test]
    fn data_lands_and_the_rest_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let file = File::create_new(directory.path().join("file")).unwrap();
        let (mut peer, stream) = connected();
        let payload = SocketPayload::new(&stream);
        let data = contents(100_000, 0);
        for seed in 0..3 {
            peer.write_all(&contents(100_000, seed)).unwrap();
            peer.write_all(b"pad").unwrap();
            payload.begin(100_003);
            assert_eq!(payload.write_to(file.as_fd(), 7, 100_000), Ok(100_000));
            payload.discard_rest().unwrap();
        }
        let written = std::fs::read(directory.path().join("file")).unwrap();
        assert_eq!(written[7..], contents(100_000, 2));
        assert_ne!(written[7..], data);
    }

    #[test]
    fn data_that_a_file_does_not_take_is_not_written_to_the_next_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "").unwrap();
        let (mut peer, stream) = connected();
        let payload = SocketPayload::new(&stream);
        peer.write_all(&contents(70_000, 1)).unwrap();
        payload.begin(70_000);
        let unwritable = File::open(&path).unwrap();
        assert!(payload.write_to(unwritable.as_fd(), 0, 70_000).is_err());
        payload.discard_rest().unwrap();
        peer.write_all(&contents(70_000, 2)).unwrap();
        payload.begin(70_000);
        let writable = File::options().write(true).open(&path).unwrap();
        assert_eq!(payload.write_to(writable.as_fd(), 0, 70_000), Ok(70_000));
        payload.discard_rest().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), contents(70_000, 2));
    }

    #[test]
    fn a_file_that_cannot_be_spliced_to_is_written_by_copying() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        // splice(2): EINVAL for a file that is open for appending.
        let file = File::options().append(true).create(true).open(&path).unwrap();
        let (mut peer, stream) = connected();
        let payload = SocketPayload::new(&stream);
        for part in contents(200_000, 9).chunks(100_000) {
            let mut sender = peer.try_clone().unwrap();
            std::thread::scope(|scope| {
                scope.spawn(move || sender.write_all(part).unwrap());
                payload.begin(100_000);
                assert_eq!(payload.write_to(file.as_fd(), 0, 100_000), Ok(100_000));
                payload.discard_rest().unwrap();
            });
        }
        peer.flush().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), contents(200_000, 9));
    }

    #[test]
    fn a_peer_that_ends_is_told_from_a_file_that_is_full() {
        let directory = tempfile::tempdir().unwrap();
        let file = File::create_new(directory.path().join("file")).unwrap();
        let (mut peer, stream) = connected();
        let payload = SocketPayload::new(&stream);
        peer.write_all(b"half").unwrap();
        drop(peer);
        payload.begin(8);
        assert_eq!(payload.write_to(file.as_fd(), 0, 8), Err(Error::Io));
        assert_eq!(payload.check().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
