//! What a build does with files, by system call. Every case gets an empty directory.

use super::Case;

mod copy;
mod create;
mod directory;
mod errors;
mod groups;
mod limits;
mod link;
mod lock;
mod lock_wait;
mod many;
mod mknod;
mod mmap;
mod modes;
mod names;
mod open;
mod permissions;
mod programs;
mod race;
mod read_write;
mod remove;
mod rename;
mod setattr;
mod sparse;
mod symlink;
mod times;
mod truncate;
mod unlinked;
mod watch;

/// All of them.
pub fn cases() -> Vec<Case> {
    [
        create::CASES,
        open::CASES,
        read_write::CASES,
        copy::CASES,
        mmap::CASES,
        truncate::CASES,
        sparse::CASES,
        lock::CASES,
        lock_wait::CASES,
        link::CASES,
        symlink::CASES,
        mknod::CASES,
        names::CASES,
        errors::CASES,
        setattr::CASES,
        times::CASES,
        modes::CASES,
        groups::CASES,
        permissions::CASES,
        rename::CASES,
        remove::CASES,
        unlinked::CASES,
        directory::CASES,
        many::CASES,
        race::CASES,
        watch::CASES,
        programs::CASES,
        limits::CASES,
    ]
    .concat()
}
