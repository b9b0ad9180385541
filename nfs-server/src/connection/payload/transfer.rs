//! Moves data from a socket to a file: by splice(2) through a pipe, or through a buffer.

use std::io::{self, Read};
use std::net::TcpStream;
use std::os::fd::BorrowedFd;

use crate::limits::COPY_CHUNK;
use crate::view::{Error, WriteSource};

/// What data passes through between a socket and a file.
pub(super) enum Transfer {
    /// A pipe, for splice(2).
    #[cfg(target_os = "linux")]
    Pipe(splice::Pipe),
    /// Memory of this process.
    Buffer(Box<[u8]>),
}

impl Default for Transfer {
    fn default() -> Transfer {
        #[cfg(target_os = "linux")]
        if let Ok(pipe) = splice::Pipe::new() {
            return Transfer::Pipe(pipe);
        }
        Transfer::buffer(COPY_CHUNK)
    }
}

impl Transfer {
    fn buffer(size: usize) -> Transfer {
        Transfer::Buffer(vec![0; size].into())
    }

    /// Receives up to `most` bytes from a socket, as read(2) does; 0 at its end.
    pub(super) fn receive(&mut self, mut stream: &TcpStream, most: usize) -> io::Result<usize> {
        loop {
            let received = match self {
                #[cfg(target_os = "linux")]
                Transfer::Pipe(pipe) => pipe.receive(stream, most),
                Transfer::Buffer(buffer) => {
                    let most = most.min(buffer.len());
                    stream.read(&mut buffer[..most])
                }
            };
            match received {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                received => return received,
            }
        }
    }

    /// Writes the `count` bytes that were received to a file at `offset`; returns the number of bytes written. The others
    /// are lost.
    pub(super) fn write_to(
        &mut self,
        count: usize,
        file: BorrowedFd<'_>,
        offset: u64,
    ) -> Result<usize, Error> {
        match self {
            #[cfg(target_os = "linux")]
            Transfer::Pipe(pipe) => match pipe.write_to(count, file, offset) {
                Ok(written) if written == count => Ok(written),
                // A file system without splice(2): copy from now on.
                Err(Error::Invalid) => {
                    let mut buffer = vec![0; count.max(COPY_CHUNK)].into_boxed_slice();
                    pipe.empty(&mut buffer[..count]).map_err(|_| Error::Io)?;
                    *self = Transfer::Buffer(buffer);
                    self.write_to(count, file, offset)
                }
                other => {
                    // The pipe may still hold data that must not precede the next.
                    *self = Transfer::default();
                    other
                }
            },
            Transfer::Buffer(buffer) => buffer[..count].write_to(file, offset),
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
        pub(super) fn write_to(
            &mut self,
            count: usize,
            file: BorrowedFd<'_>,
            offset: u64,
        ) -> Result<usize, Error> {
            let start = i64::try_from(offset).map_err(|_| Error::TooLarge)?;
            let mut written = 0;
            while written < count {
                let mut to = start + written as i64;
                let flags = SpliceFFlags::SPLICE_F_MOVE;
                match splice(&self.reader, None, file, Some(&mut to), count - written, flags) {
                    Ok(0) => return Err(Error::Io),
                    Ok(moved) => written += moved,
                    Err(Errno::EINTR) => {}
                    Err(_) if written > 0 => break,
                    Err(errno) => return Err(errno.into()),
                }
            }
            Ok(written)
        }

        /// Takes out what is in it.
        pub(super) fn empty(&mut self, into: &mut [u8]) -> io::Result<()> {
            self.reader.read_exact(into)
        }
    }
}
