//! System calls of macOS that no safe wrapper covers.

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

/// How often the table of sockets is asked for while it keeps growing between the two questions for its length and for
/// itself.
const GROWN_MAX: usize = 8;

/// The table of TCP sockets (`net.inet.tcp.pcblist_n`): which processes they belong to, and more.
pub(crate) fn tcp_sockets() -> io::Result<Vec<u8>> {
    let name = c"net.inet.tcp.pcblist_n";
    for _ in 0..GROWN_MAX {
        // The kernel names somewhat more than it has at that moment.
        let mut table = vec![0; length(name)?];
        match fill(name, &mut table) {
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => {}
            Err(error) => return Err(error),
            Ok(filled) => {
                table.truncate(filled);
                return Ok(table);
            }
        }
    }
    Err(io::Error::from_raw_os_error(libc::ENOMEM))
}

/// Bytes of a value (sysctlbyname(3)).
fn length(name: &CStr) -> io::Result<usize> {
    let mut length = 0;
    // SAFETY: a name that ends with a NUL, no buffer, and a place for the length alone.
    let done =
        unsafe { libc::sysctlbyname(name.as_ptr(), ptr::null_mut(), &raw mut length, ptr::null_mut(), 0) };
    if done == 0 { Ok(length) } else { Err(io::Error::last_os_error()) }
}

/// Reads a value; answers how many bytes it has.
fn fill(name: &CStr, into: &mut [u8]) -> io::Result<usize> {
    let mut length = into.len();
    // SAFETY: a name that ends with a NUL, and a buffer of as many bytes as the kernel is told.
    let done = unsafe {
        libc::sysctlbyname(name.as_ptr(), into.as_mut_ptr().cast(), &raw mut length, ptr::null_mut(), 0)
    };
    if done == 0 { Ok(length.min(into.len())) } else { Err(io::Error::last_os_error()) }
}

/// Whether the file system that a path lies on tells names apart that differ in case only (pathconf(2)).
pub(crate) fn case_sensitive(path: &Path) -> io::Result<bool> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: a path that ends with a NUL.
    let answer = unsafe { libc::pathconf(path.as_ptr(), libc::_PC_CASE_SENSITIVE) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer != 0) }
}
