//! What no safe wrapper covers.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use crate::sys::check;

/// The supplementary groups that the other side had when it connected (`SO_PEERGROUPS`, socket(7)).
///
/// # Errors
/// Those of getsockopt(2).
pub fn groups(socket: &UnixStream) -> io::Result<Vec<u32>> {
    let groups = |most| -> io::Result<Vec<u32>> {
        let mut groups = vec![0; most];
        let count = socket_option(socket, libc::SO_PEERGROUPS, &mut groups)?;
        groups.truncate(count);
        Ok(groups)
    };
    // Few processes have more than these, and none more than those (`NGROUPS_MAX`, getgroups(2)).
    match groups(32) {
        Err(error) if error.raw_os_error() == Some(libc::ERANGE) => groups(1 << 16),
        few => few,
    }
}

/// The process that has connected, by a descriptor that is of no other (`SO_PEERPIDFD`, Linux 6.5).
///
/// # Errors
/// Those of getsockopt(2): older kernels do not know it, and some do not answer once it has ended.
pub fn process(socket: &UnixStream) -> io::Result<OwnedFd> {
    let mut number = [0];
    socket_option(socket, libc::SO_PEERPIDFD, &mut number)?;
    // SAFETY: the kernel has just made it for us, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(number[0].cast_signed()) })
}

/// How many numbers an option of a socket has, and the numbers (getsockopt(2)).
fn socket_option(socket: &UnixStream, option: libc::c_int, numbers: &mut [u32]) -> io::Result<usize> {
    let (socket, mut length) = (socket.as_raw_fd(), size_of_val(numbers) as libc::socklen_t);
    let place = numbers.as_mut_ptr().cast();
    // SAFETY: the kernel writes at most as many bytes as the length says, and then how many there are.
    check(unsafe { libc::getsockopt(socket, libc::SOL_SOCKET, option, place, &raw mut length) })?;
    Ok(length as usize / size_of::<u32>())
}
