//! The only unsafe code of the tests: memory that is a file, and calls that have no safe form.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, MsFlags, ProtFlags, mmap, msync, munmap};

/// A file's first bytes as memory that is shared with whoever else maps the file.
pub struct Shared {
    start: NonNull<std::ffi::c_void>,
    length: NonZeroUsize,
}

impl Shared {
    /// Maps `length` bytes for reading and writing; the file must be that long.
    pub fn map(file: &File, length: NonZeroUsize) -> nix::Result<Shared> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, at an address of the kernel's choice, aliases no memory of this program.
        let start = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, file, 0)? };
        Ok(Shared { start, length })
    }

    /// One byte.
    pub fn get(&self, at: usize) -> u8 {
        assert!(at < self.length.get());
        // SAFETY: in bounds of the mapping, which lives as long as `self`; volatile, as others write to the file.
        unsafe { self.start.as_ptr().cast::<u8>().add(at).read_volatile() }
    }

    /// Writes one byte.
    pub fn set(&mut self, at: usize, byte: u8) {
        assert!(at < self.length.get());
        // SAFETY: in bounds of the mapping, which lives as long as `self`; volatile, as others read the file.
        unsafe { self.start.as_ptr().cast::<u8>().add(at).write_volatile(byte) }
    }

    /// Waits until what was written is in the file.
    pub fn flush(&mut self) -> nix::Result<()> {
        // SAFETY: the whole mapping, which lives as long as `self`.
        unsafe { msync(self.start, self.length.get(), MsFlags::MS_SYNC) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` and nothing refers to it any more.
        let _ = unsafe { munmap(self.start, self.length.get()) };
    }
}

/// Becomes the tracer of a process.
pub fn trace(process: i32) -> io::Result<()> {
    // SAFETY: PTRACE_ATTACH looks at neither address nor data.
    check(unsafe { libc::ptrace(libc::PTRACE_ATTACH, process, 0, 0) })
}

/// Opens what a handle of a file system names, whatever directory it is below: the handle of the given path serves.
pub fn open_by_handle(path: &Path) -> io::Result<()> {
    const ROOM: usize = 128;
    #[repr(C)]
    struct Handle {
        head: libc::file_handle,
        room: [u8; ROOM],
    }
    let name = CString::new(path.as_os_str().as_bytes())?;
    let head = libc::file_handle { handle_bytes: ROOM as u32, handle_type: 0, f_handle: [] };
    let mut handle = Handle { head, room: [0; ROOM] };
    let mut mount = 0;
    let at: *mut libc::file_handle = std::ptr::from_mut(&mut handle).cast();
    // SAFETY: the handle has room for as many bytes as it says, and all three pointers outlive the call.
    check(unsafe { libc::name_to_handle_at(libc::AT_FDCWD, name.as_ptr(), at, &mut mount, 0) }.into())?;
    let within = std::fs::File::open(path)?;
    let within = std::os::fd::AsRawFd::as_raw_fd(&within);
    // SAFETY: the handle was filled in by the call before.
    let opened = unsafe { libc::open_by_handle_at(within, at, libc::O_RDONLY | libc::O_CLOEXEC) };
    check(opened.into())?;
    // SAFETY: the descriptor was just opened and belongs to nobody else.
    drop(unsafe { OwnedFd::from_raw_fd(opened) });
    Ok(())
}

/// Types into a terminal, as somebody at its keys would.
pub fn type_into_terminal(terminal: impl AsFd, text: &str) -> io::Result<()> {
    text.bytes().try_for_each(|byte| {
        // SAFETY: TIOCSTI reads one byte, which outlives the call.
        check(unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSTI, &raw const byte) }.into())
    })
}

/// Makes a mount read-only or writable, and all mounts below it too if `recursive` (mount_setattr(2), Linux 5.12).
pub fn set_read_only(at: &Path, read_only: bool, recursive: bool) -> io::Result<()> {
    let name = CString::new(at.as_os_str().as_bytes())?;
    let (set, clear) = if read_only { (libc::MOUNT_ATTR_RDONLY, 0) } else { (0, libc::MOUNT_ATTR_RDONLY) };
    let attributes = libc::mount_attr { attr_set: set, attr_clr: clear, propagation: 0, userns_fd: 0 };
    let flags = if recursive { libc::AT_RECURSIVE } else { 0 };
    let (pointer, size) = (std::ptr::from_ref(&attributes), size_of::<libc::mount_attr>());
    // SAFETY: the name and the attributes are only read, and outlive the call, which is told the attributes' size.
    check(unsafe {
        libc::syscall(libc::SYS_mount_setattr, libc::AT_FDCWD, name.as_ptr(), flags, pointer, size)
    })
}

fn check(answer: libc::c_long) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
