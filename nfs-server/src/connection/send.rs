//! Replies on their way out, with the data behind the last of them from where it lies.

use std::io::{self, IoSlice, Write};
use std::net::TcpStream;

use nix::errno::Errno;

use super::Output;
use crate::rpc::ReplyBuffer;
use crate::view::FileSegment;
use crate::xdr::{Tail, padding};

/// Sends all that waits.
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

/// Sends `head`, and behind it part of a file without a copy in between.
#[cfg(target_os = "linux")]
fn file(stream: &TcpStream, head: &[u8], segment: &FileSegment, room: &mut [u8]) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    use nix::sys::sendfile::sendfile;
    use nix::sys::socket::{MsgFlags, send};

    /// The crate `nix` has no name for it.
    const MORE: MsgFlags = MsgFlags::from_bits_retain(nix::libc::MSG_MORE);
    let mut head = head;
    while !head.is_empty() {
        // What follows goes out in the same segment.
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
            // Shorter than it was a moment ago. Its length was told already: the connection has to go.
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(sent) => left -= sent,
            Err(Errno::EINTR) => {}
            // A file system that can only be read.
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

/// Sends `head` and part of a file by way of `room`, which has its size.
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
