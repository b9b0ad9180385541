//! The way of data from a socket into a file: in at one end, out at the other.

use std::io::{self, Read};
use std::net::TcpStream;
use std::os::fd::BorrowedFd;

use crate::limits::COPY_CHUNK;
use crate::view::{Error, Payload};

/// Between a socket and a file.
pub(super) enum Passage {
    /// Through the system (splice(2)).
    #[cfg(target_os = "linux")]
    Pipe(splice::Pipe),
    /// Through this process.
    Room(Box<[u8]>),
}

impl Default for Passage {
    fn default() -> Passage {
        #[cfg(target_os = "linux")]
        if let Ok(pipe) = splice::Pipe::new() {
            return Passage::Pipe(pipe);
        }
        Passage::room(COPY_CHUNK)
    }
}

impl Passage {
    fn room(size: usize) -> Passage {
        Passage::Room(vec![0; size].into())
    }

    /// Takes up to `most` bytes from a socket, as many as have come; none when no more will.
    pub(super) fn receive(&mut self, mut stream: &TcpStream, most: usize) -> io::Result<usize> {
        loop {
            let received = match self {
                #[cfg(target_os = "linux")]
                Passage::Pipe(pipe) => pipe.receive(stream, most),
                Passage::Room(room) => {
                    let most = most.min(room.len());
                    stream.read(&mut room[..most])
                }
            };
            match received {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                received => return received,
            }
        }
    }

    /// Puts the `count` bytes that were received into a file from `offset` on, and says how many got there. The others
    /// are gone.
    pub(super) fn land(&mut self, count: usize, file: BorrowedFd<'_>, offset: u64) -> Result<usize, Error> {
        match self {
            #[cfg(target_os = "linux")]
            Passage::Pipe(pipe) => match pipe.land(count, file, offset) {
                Ok(landed) if landed == count => Ok(landed),
                // A file system that does not take data from pipes: from now on by hand.
                Err(Error::Invalid) => {
                    let mut room = vec![0; count.max(COPY_CHUNK)].into_boxed_slice();
                    pipe.empty(&mut room[..count]).map_err(|_| Error::Io)?;
                    *self = Passage::Room(room);
                    self.land(count, file, offset)
                }
                other => {
                    // The next data is not to come behind what is still in there.
                    *self = Passage::default();
                    other
                }
            },
            Passage::Room(room) => room[..count].put(file, offset),
        }
    }
}

#[cfg(target_os = "linux")]
mod splice {
    use std::fs::File;
    use std::io::{self, Read};
    use std::net::TcpStream;
    use std::os::fd::{BorrowedFd, OwnedFd};

    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
    use nix::unistd::pipe2;

    use crate::limits::TRANSFER_MAX;
    use crate::view::Error;

    /// A pipe of this process to itself.
    pub(in super::super) struct Pipe {
        reader: File,
        writer: OwnedFd,
    }

    impl Pipe {
        pub(super) fn new() -> nix::Result<Pipe> {
            let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
            // One that may not be as large takes more turns.
            let _ = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(TRANSFER_MAX as i32));
            Ok(Pipe { reader: reader.into(), writer })
        }

        pub(super) fn receive(&mut self, stream: &TcpStream, most: usize) -> io::Result<usize> {
            let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_MORE;
            Ok(splice(stream, None, &self.writer, None, most, flags)?)
        }

        /// [`Error::Invalid`] is the system's word for files that it does not move data into.
        pub(super) fn land(
            &mut self,
            count: usize,
            file: BorrowedFd<'_>,
            offset: u64,
        ) -> Result<usize, Error> {
            let start = i64::try_from(offset).map_err(|_| Error::TooLarge)?;
            let mut landed = 0;
            while landed < count {
                let mut to = start + landed as i64;
                let flags = SpliceFFlags::SPLICE_F_MOVE;
                match splice(&self.reader, None, file, Some(&mut to), count - landed, flags) {
                    Ok(0) => return Err(Error::Io),
                    Ok(moved) => landed += moved,
                    Err(Errno::EINTR) => {}
                    Err(_) if landed > 0 => break,
                    Err(errno) => return Err(errno.into()),
                }
            }
            Ok(landed)
        }

        /// Takes out what is in it.
        pub(super) fn empty(&mut self, into: &mut [u8]) -> io::Result<()> {
            self.reader.read_exact(into)
        }
    }
}
