//! What was written to scratches that are the machine's own directories in the jail, where no server sees it: what is in them in
//! the end.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::io;
use std::path::Path;

use mounter::tree::{DirStack, Entry as Name, LeaveOutcome, Mounts};
use nfs_server::view::{Entry, EntryUsage, ViewSpec, WrittenFile};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{SFlag, fstatat};

use super::{Accesses, WRITTEN_MAX};

/// Names that are looked at in one scratch: as many take a few seconds, and to remove them takes longer.
const NAMES_MAX: usize = 1 << 20;

impl Accesses {
    /// Adds what is in the scratches that nothing was written to through a server. Nobody may use them any more.
    pub(crate) fn add_scratches(&mut self, view: &ViewSpec) {
        for entry in &view.entries {
            let Entry::Scratch { at, source, .. } = entry else { continue };
            let is_unseen = |usage: &&mut EntryUsage| usage.at == *at && usage.bytes_written == 0;
            let Some(usage) = self.usage.entries.iter_mut().find(is_unseen) else { continue };
            let written = &mut self.usage.written;
            let note = |path: &Path, length: u64| {
                let Ok(below) = path.strip_prefix(source) else { return };
                usage.files_written += 1;
                usage.bytes_written += length;
                written.push(WrittenFile { path: at.join(below), bytes_written: length });
                if written.len() > 10 * WRITTEN_MAX {
                    keep_largest(written);
                }
            };
            if let Err(error) = each_file(source, note) {
                tracing::debug!(?at, %error, "what was written there is not known whole");
            }
        }
        keep_largest(&mut self.usage.written);
    }
}

/// Calls `note` with the path and the length of each file that is not empty. No link is followed, whoever else has a descriptor of
/// a directory and changes it meanwhile.
fn each_file(top: &Path, mut note: impl FnMut(&Path, u64)) -> io::Result<()> {
    let mut stack = DirStack::open(top, Mounts::Refuse)?;
    for _ in 0..NAMES_MAX {
        match stack.next_entry().transpose()? {
            // What cannot be entered is none, or closed.
            Some(Name { name, is_directory })
                if is_directory == Some(false) || stack.enter(&name).is_err() =>
            {
                look_at(&stack, &name, &mut note)?;
            }
            Some(_) => {}
            None if stack.depth() == 0 => break,
            None if matches!(stack.leave()?, LeaveOutcome::Moved) => break,
            None => {}
        }
    }
    Ok(())
}

fn look_at(stack: &DirStack, name: &OsStr, note: &mut impl FnMut(&Path, u64)) -> io::Result<()> {
    let found = match fstatat(stack.fd()?, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => return Ok(()),
        found => found?,
    };
    let is_file = found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits();
    let length = u64::try_from(found.st_size).unwrap_or(0);
    if is_file && length > 0 {
        note(&stack.path_of(name), length);
    }
    Ok(())
}

fn keep_largest(files: &mut Vec<WrittenFile>) {
    files.sort_by_key(|file| Reverse(file.bytes_written));
    files.truncate(WRITTEN_MAX);
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use nfs_server::view::Owner;

    use super::*;

    /// What is said of these scratches, to which so many bytes were written through a server.
    fn added(scratches: &[(&str, &Path, u64)]) -> Accesses {
        let entry = |(at, source, _): &(&str, &Path, u64)| Entry::Scratch {
            at: at.into(),
            source: source.to_path_buf(),
            mode: 0o700,
            owner: Owner::default(),
        };
        let usage = |(at, _, bytes_written): &(&str, &Path, u64)| EntryUsage {
            at: at.into(),
            bytes_written: *bytes_written,
            ..EntryUsage::default()
        };
        let mut accesses = Accesses::default();
        accesses.usage.entries = scratches.iter().map(usage).collect();
        accesses.add_scratches(&ViewSpec { entries: scratches.iter().map(entry).collect() });
        accesses
    }

    #[test]
    fn what_is_in_an_unserved_scratch_was_written() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("below")).unwrap();
        for (name, length) in [("below/large", 9), ("small", 1), ("empty", 0)] {
            fs::write(place.path().join(name), vec![b'x'; length]).unwrap();
        }
        symlink("/etc/passwd", place.path().join("link")).unwrap();
        let accesses =
            added(&[("/build", place.path(), 0), ("/served", place.path(), 5), ("/gone", "/no".as_ref(), 0)]);
        let counted: Vec<_> =
            accesses.usage.entries.iter().map(|usage| (usage.files_written, usage.bytes_written)).collect();
        assert_eq!(counted, [(2, 10), (0, 5), (0, 0)]);
        let file = |path: &str, bytes_written| WrittenFile { path: path.into(), bytes_written };
        assert_eq!(accesses.usage.written, [file("/build/below/large", 9), file("/build/small", 1)]);
    }

    #[test]
    fn the_largest_of_many_are_listed() {
        let place = tempfile::tempdir().unwrap();
        let count = 11 * WRITTEN_MAX;
        for length in 1..=count {
            fs::write(place.path().join(length.to_string()), vec![b'x'; length]).unwrap();
        }
        let accesses = added(&[("/tmp", place.path(), 0)]);
        let written: Vec<u64> = accesses.usage.written.iter().map(|file| file.bytes_written).collect();
        let largest: Vec<u64> = (1..=count as u64).rev().take(WRITTEN_MAX).collect();
        assert_eq!((accesses.usage.entries[0].files_written, written), (count as u64, largest));
    }

    #[test]
    fn what_nobody_records_is_not_looked_at() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("file"), "x").unwrap();
        let mut nothing = Accesses::default();
        let at = "/tmp".into();
        let scratch =
            Entry::Scratch { at, source: place.path().into(), mode: 0o700, owner: Owner::default() };
        nothing.add_scratches(&ViewSpec { entries: vec![scratch] });
        assert!(nothing.usage.written.is_empty());
    }
}
