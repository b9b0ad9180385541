//! Sends replies, and the tail of the last one from its buffer or file.

use std::io::{self, IoSlice, Write};
use std::net::TcpStream;

use nix::errno::Errno;

use super::Output;
use crate::rpc::ReplyBuffer;
use crate::view::FileSegment;
use crate::xdr::{Tail, padding};

/// Sends all buffered replies.
pub(super) fn all(output: &Output<'_>, replies: &mut ReplyBuffer) -> io::Result<()> {
    if replies.out.is_empty() {
        return Ok(());
    }
    let held = output.lock();
    let mut stream = *held;
    let tail = std::mem::take(&mut replies.tail);
    let fill = &[0; 3][..padding(tail.len())];
    match tail {
        Tail::Nothing => stream.write_all(&replies.out)?,
        Tail::Bulk(length) => parts(stream, &replies.out, &replies.bulk[..length], fill)?,
        Tail::File(segment) => {
            file(stream, &replies.out, &segment, &mut replies.bulk[..segment.count])?;
            stream.write_all(fill)?;
        }
    }
    replies.out.clear();
    Ok(())
}

fn parts(mut stream: &TcpStream, head: &[u8], data: &[u8], fill: &[u8]) -> io::Result<()> {
    let mut parts = [IoSlice::new(head), IoSlice::new(data), IoSlice::new(fill)];
    let mut left = &mut parts[..];
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match stream.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sends `head` and a segment of a file with sendfile(2).
#[cfg(target_os = "linux")]
fn file(stream: &TcpStream, head: &[u8], segment: &FileSegment, room: &mut [u8]) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    use nix::sys::sendfile::sendfile;
    use nix::sys::socket::{MsgFlags, send};

    /// The crate `nix` has no name for it.
    const MORE: MsgFlags = MsgFlags::from_bits_retain(nix::libc::MSG_MORE);
    let mut head = head;
    while !head.is_empty() {
        // In one TCP segment with what follows.
        match send(stream.as_raw_fd(), head, MORE) {
            Ok(sent) => head = &head[sent..],
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    let mut offset = i64::try_from(segment.offset).map_err(|_| Errno::EOVERFLOW)?;
    let mut left = segment.count;
    while left > 0 {
        match sendfile(stream, segment.descriptor(), Some(&mut offset), left) {
            // The file was truncated after its length was sent: the connection has to be closed.
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(sent) => left -= sent,
            Err(Errno::EINTR) => {}
            // A file system without splice support.
            Err(Errno::EINVAL) if left == segment.count => return copied(stream, &[], segment, room),
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// macOS's sendfile(2) has not been tried on a mount of this very process.
#[cfg(not(target_os = "linux"))]
fn file(stream: &TcpStream, head: &[u8], segment: &FileSegment, room: &mut [u8]) -> io::Result<()> {
    copied(stream, head, segment, room)
}

/// Sends `head` and a segment of a file through `room`, which has its size.
fn copied(stream: &TcpStream, head: &[u8], segment: &FileSegment, room: &mut [u8]) -> io::Result<()> {
    let mut count = 0;
    while count < room.len() {
        let offset = i64::try_from(segment.offset + count as u64).map_err(|_| Errno::EOVERFLOW)?;
        match nix::sys::uio::pread(segment.descriptor(), &mut room[count..], offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => count += read,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    parts(stream, head, room, &[])
}
