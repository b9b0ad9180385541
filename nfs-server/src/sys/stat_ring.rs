//! The attributes of many names for two system calls: io_uring(7) with `IORING_OP_STATX`, on Linux from 5.15 on.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::register::Restriction;
use io_uring::types::Fd;
use io_uring::{IoUring, Probe, opcode};
use libc::{stat, statx};
use nix::errno::Errno;

/// Questions that are with the kernel at once, at most.
const AT_ONCE: usize = 128;

/// Questions to the kernel that are answered in whatever order it likes.
pub(crate) struct StatRing {
    ring: IoUring,
}

/// What the kernel reads and writes while questions are with it.
struct Submission {
    /// The names, each with a NUL behind it.
    names: Vec<u8>,
    answers: Vec<statx>,
}

impl StatRing {
    /// A ring.
    ///
    /// # Errors
    /// The kernel has none, or not for this process (`kernel.io_uring_disabled`).
    pub(crate) fn new() -> io::Result<StatRing> {
        let ring = IoUring::builder().setup_r_disabled().build(AT_ONCE as u32)?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        if !probe.is_supported(opcode::Statx::CODE) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        // The kernel never answers this question at once but has a thread of its own do so. One is enough: more would
        // only wake each other.
        ring.submitter().register_iowq_max_workers(&mut [1, 1])?;
        // No filter of system calls sees what a ring is asked for.
        ring.submitter().register_restrictions(&mut [Restriction::sqe_op(opcode::Statx::CODE)])?;
        ring.submitter().register_enable_rings()?;
        Ok(StatRing { ring })
    }

    /// What fstatat(2) with `AT_SYMLINK_NOFOLLOW` says of each name in a directory, in their order.
    ///
    /// # Errors
    /// The ring is of no use any more.
    pub(crate) fn stat(
        &mut self,
        directory: BorrowedFd<'_>,
        names: &[&[u8]],
    ) -> io::Result<Vec<Result<stat, Errno>>> {
        let mut results = vec![Err(Errno::EINVAL); names.len()];
        for (names, results) in names.chunks(AT_ONCE).zip(results.chunks_mut(AT_ONCE)) {
            let mut submission = Submission::of(names);
            if let Err(error) = self.submit(directory, names, &mut submission, results) {
                // The kernel may still write there.
                mem::forget(submission);
                return Err(error);
            }
        }
        Ok(results)
    }

    fn submit(
        &mut self,
        directory: BorrowedFd<'_>,
        names: &[&[u8]],
        submission: &mut Submission,
        results: &mut [Result<stat, Errno>],
    ) -> io::Result<()> {
        let directory = Fd(directory.as_raw_fd());
        let answers = submission.answers.as_mut_ptr();
        let mut name = submission.names.as_ptr();
        for (at, length) in names.iter().map(|name| name.len()).enumerate() {
            // SAFETY: there is an answer for each name.
            let answer = unsafe { answers.add(at) };
            let question = opcode::Statx::new(directory, name.cast(), answer.cast())
                .flags(libc::AT_SYMLINK_NOFOLLOW)
                .mask(libc::STATX_BASIC_STATS)
                .build()
                .user_data(at as u64);
            // SAFETY: the name ends with a NUL. It and the answer stay where they are until every question is
            // answered, or for good. The directory stays open as long.
            unsafe { self.ring.submission().push(&question) }.map_err(io::Error::other)?;
            // SAFETY: the names follow each other with a NUL behind each; this is at most the end of them all.
            name = unsafe { name.add(length + 1) };
        }
        let mut missing = names.len();
        while missing > 0 {
            match self.ring.submit_and_wait(missing) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for done in self.ring.completion() {
                missing = missing.saturating_sub(1);
                let at = usize::try_from(done.user_data()).unwrap_or(usize::MAX);
                if let (Some(result), Some(answer)) = (results.get_mut(at), submission.answers.get(at)) {
                    *result = if done.result() < 0 {
                        Err(Errno::from_raw(-done.result()))
                    } else {
                        Ok(as_stat(answer))
                    };
                }
            }
        }
        Ok(())
    }
}

impl Submission {
    fn of(names: &[&[u8]]) -> Submission {
        let mut joined = Vec::with_capacity(names.iter().map(|name| name.len() + 1).sum());
        for name in names {
            joined.extend_from_slice(name);
            joined.push(0);
        }
        // SAFETY: it consists of numbers alone.
        let nothing: statx = unsafe { mem::zeroed() };
        Submission { names: joined, answers: vec![nothing; names.len()] }
    }
}

/// The same in the form of stat(2).
#[allow(clippy::unnecessary_cast, reason = "the fields' widths differ between processors")]
fn as_stat(from: &statx) -> stat {
    // SAFETY: it consists of numbers alone.
    let mut to: stat = unsafe { mem::zeroed() };
    to.st_dev = libc::makedev(from.stx_dev_major, from.stx_dev_minor);
    to.st_ino = from.stx_ino;
    to.st_nlink = from.stx_nlink as _;
    to.st_mode = from.stx_mode as _;
    to.st_uid = from.stx_uid;
    to.st_gid = from.stx_gid;
    to.st_rdev = libc::makedev(from.stx_rdev_major, from.stx_rdev_minor);
    to.st_size = from.stx_size as i64;
    to.st_blksize = from.stx_blksize as _;
    to.st_blocks = from.stx_blocks as i64;
    to.st_atime = from.stx_atime.tv_sec;
    to.st_atime_nsec = from.stx_atime.tv_nsec as _;
    to.st_mtime = from.stx_mtime.tv_sec;
    to.st_mtime_nsec = from.stx_mtime.tv_nsec as _;
    to.st_ctime = from.stx_ctime.tv_sec;
    to.st_ctime_nsec = from.stx_ctime.tv_nsec as _;
    to
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn it_says_what_fstatat_says() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("directory")).unwrap();
        fs::write(place.path().join("file"), "contents").unwrap();
        std::os::unix::fs::symlink("nowhere", place.path().join("link")).unwrap();
        let names: Vec<String> = (0..2 * AT_ONCE).map(|number| format!("empty-{number}")).collect();
        for name in &names {
            fs::write(place.path().join(name), "").unwrap();
        }
        let long = [b'x'; 256];
        let mut all: Vec<&[u8]> = vec![b"directory", b"file", b"link", b"absent", &long];
        all.extend(names.iter().map(String::as_bytes));
        let directory = fs::File::open(place.path()).unwrap();
        let mut ring = match StatRing::new() {
            Ok(ring) => ring,
            // Where the kernel refuses, names are asked for one by one.
            Err(error) => {
                assert!(matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied));
                return;
            }
        };
        for _ in 0..3 {
            let said = ring.stat(directory.as_fd(), &all).unwrap();
            for (name, said) in all.iter().zip(said) {
                let flags = nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW;
                assert_eq!(said, nix::sys::stat::fstatat(&directory, *name, flags));
            }
        }
    }
}
