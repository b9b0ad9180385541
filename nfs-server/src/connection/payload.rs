//! The end of a large WRITE: from the socket into its file as it comes, on Linux without a copy in this process.

mod pipe;

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::net::TcpStream;
use std::os::fd::BorrowedFd;

use crate::call::Behind;
use crate::view::Error;
use pipe::Passage;

/// What a connection's socket has of a record whose head was received.
pub(super) struct Incoming<'s> {
    stream: &'s TcpStream,
    /// Bytes of the record that are still in the socket.
    left: Cell<usize>,
    /// Why no more of it comes.
    broken: Cell<Option<io::Error>>,
    /// None before there is a large WRITE.
    passage: RefCell<Option<Passage>>,
}

impl<'s> Incoming<'s> {
    pub(super) fn new(stream: &'s TcpStream) -> Incoming<'s> {
        Incoming { stream, left: Cell::new(0), broken: Cell::default(), passage: RefCell::default() }
    }

    /// The record that has begun has that many bytes in the socket.
    pub(super) fn begin(&self, missing: usize) {
        self.left.set(missing);
    }

    /// Whether the peer sent what was asked for so far. If not, there is no call to reply to.
    pub(super) fn is_sound(&self) -> io::Result<()> {
        self.broken.take().map_or(Ok(()), Err)
    }

    /// Takes what nobody wanted of the record out of the socket.
    pub(super) fn drop_rest(&self) -> io::Result<()> {
        let left = self.left.take() as u64;
        let dropped = io::copy(&mut self.stream.take(left), &mut io::sink())?;
        if dropped < left { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// The next bytes of the record on their way.
    fn receive(&self, passage: &mut Passage, most: usize) -> Result<usize, Error> {
        let arrived = passage.receive(self.stream, most).and_then(|arrived| match arrived {
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

impl Behind for Incoming<'_> {
    fn put(&self, file: BorrowedFd<'_>, offset: u64, count: usize) -> Result<usize, Error> {
        let mut passage = self.passage.borrow_mut();
        let passage = passage.get_or_insert_default();
        let mut done = 0;
        while done < count {
            let arrived = self.receive(passage, count - done)?;
            match passage.land(arrived, file, offset + done as u64) {
                Ok(put) => {
                    done += put;
                    if put < arrived {
                        break;
                    }
                }
                // What was written stays written; the next request meets the error itself.
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
        let incoming = Incoming::new(&stream);
        let data = contents(100_000, 0);
        for seed in 0..3 {
            peer.write_all(&contents(100_000, seed)).unwrap();
            peer.write_all(b"pad").unwrap();
            incoming.begin(100_003);
            assert_eq!(incoming.put(file.as_fd(), 7, 100_000), Ok(100_000));
            incoming.drop_rest().unwrap();
        }
        let written = std::fs::read(directory.path().join("file")).unwrap();
        assert_eq!(written[7..], contents(100_000, 2));
        assert_ne!(written[7..], data);
    }

    #[test]
    fn what_a_file_does_not_take_is_not_put_into_the_next_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "").unwrap();
        let (mut peer, stream) = connected();
        let incoming = Incoming::new(&stream);
        peer.write_all(&contents(70_000, 1)).unwrap();
        incoming.begin(70_000);
        let unwritable = File::open(&path).unwrap();
        assert!(incoming.put(unwritable.as_fd(), 0, 70_000).is_err());
        incoming.drop_rest().unwrap();
        peer.write_all(&contents(70_000, 2)).unwrap();
        incoming.begin(70_000);
        let writable = File::options().write(true).open(&path).unwrap();
        assert_eq!(incoming.put(writable.as_fd(), 0, 70_000), Ok(70_000));
        incoming.drop_rest().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), contents(70_000, 2));
    }

    #[test]
    fn a_file_that_takes_nothing_from_pipes_is_written_by_hand() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        // splice(2): EINVAL for a file that is open for appending.
        let file = File::options().append(true).create(true).open(&path).unwrap();
        let (mut peer, stream) = connected();
        let incoming = Incoming::new(&stream);
        for part in contents(200_000, 9).chunks(100_000) {
            let mut sender = peer.try_clone().unwrap();
            std::thread::scope(|scope| {
                scope.spawn(move || sender.write_all(part).unwrap());
                incoming.begin(100_000);
                assert_eq!(incoming.put(file.as_fd(), 0, 100_000), Ok(100_000));
                incoming.drop_rest().unwrap();
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
        let incoming = Incoming::new(&stream);
        peer.write_all(b"half").unwrap();
        drop(peer);
        incoming.begin(8);
        assert_eq!(incoming.put(file.as_fd(), 0, 8), Err(Error::Io));
        assert_eq!(incoming.is_sound().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
