//! The only unsafe code of the tests: memory that is a file.
#![allow(unsafe_code)]

use std::fs::File;
use std::num::NonZeroUsize;
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
