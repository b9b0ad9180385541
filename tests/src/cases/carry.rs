//! What a build does with files, by system call. Every case gets an empty directory.

use super::Case;

mod create;
mod directory;
mod link;
mod lock;
mod mknod;
mod mmap;
mod names;
mod permissions;
mod programs;
mod read_write;
mod remove;
mod rename;
mod setattr;

/// All of them.
pub fn cases() -> Vec<Case> {
    [
        create::CASES,
        read_write::CASES,
        mmap::CASES,
        lock::CASES,
        link::CASES,
        mknod::CASES,
        names::CASES,
        setattr::CASES,
        permissions::CASES,
        rename::CASES,
        remove::CASES,
        directory::CASES,
        programs::CASES,
    ]
    .concat()
}
