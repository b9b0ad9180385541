//! Silly renames: how an NFS client keeps a file that is deleted while open.
//!
//! A client that removes an open file renames it in its directory instead, and removes the new name at the last close
//! (Linux: `fs/nfs/unlink.c`; macOS: `nfs_sillyrename` in `nfs_vnops.c`). Such a file counts as deleted: the view hides its
//! name. A rename is silly if the client first looked the new name up and got NOENT, and the name has the client's form.
//! The form alone decides nothing: any other file with such a name is an ordinary file, and so is one whose name is
//! looked up later.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use crate::limits::SILLY_LOOKUPS_MAX;
use crate::view::{Attributes, FileType, Node, NodeId, View};

/// The prefix of every such name.
const PREFIX: &[u8] = b".nfs";

/// The form of the names that the NFS client of a system uses for silly renames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SillyNames {
    /// `.nfs`, the file id in 16 hexadecimal digits, a counter in 8.
    Linux,
    /// `.nfs.`, a counter in 8 hexadecimal digits, `.`, a process id in 4: macOS and the BSDs. The client looks the name up
    /// once more after the rename.
    Bsd,
}

impl Default for SillyNames {
    /// Those of this system's client.
    fn default() -> SillyNames {
        if cfg!(target_os = "linux") { SillyNames::Linux } else { SillyNames::Bsd }
    }
}

/// A name in a directory.
type Name = (NodeId, Arc<[u8]>);

/// Tells silly renames from others.
pub struct SillyRenames {
    form: SillyNames,
    /// Names that were looked up and not found.
    free: Mutex<LruCache<Name, ()>>,
    /// Names that the client itself looks up once more after its rename.
    renamed: Mutex<LruCache<Name, ()>>,
}

impl SillyRenames {
    /// For a client that uses names of this form.
    #[must_use]
    pub fn new(form: SillyNames) -> SillyRenames {
        let capacity = NonZeroUsize::new(SILLY_LOOKUPS_MAX).unwrap_or(NonZeroUsize::MIN);
        SillyRenames {
            form,
            free: Mutex::new(LruCache::new(capacity)),
            renamed: Mutex::new(LruCache::new(capacity)),
        }
    }

    /// To be called after each lookup, with whether the name was found.
    pub fn looked_up(&self, view: &View, directory: &Node, name: &[u8], found: bool) {
        if !name.starts_with(PREFIX) {
            return;
        }
        let key = (directory.id(), name.into());
        if !found {
            if view.is_writable(directory) {
                self.free.lock().put(key, ());
            }
        } else if self.renamed.lock().pop(&key).is_none() {
            // A program uses the name.
            view.undelete(directory, name);
        }
    }

    /// Whether the rename of a file to a free name in its own directory is a silly one.
    #[must_use]
    pub fn is_silly(&self, directory: &Node, name: &[u8], file: &Attributes) -> bool {
        if !name.starts_with(PREFIX) {
            return false;
        }
        let key: Name = (directory.id(), name.into());
        let was_free = self.free.lock().pop(&key).is_some();
        let silly = was_free && file.kind != FileType::Directory && self.form.fits(name, file.fileid);
        if silly && self.form == SillyNames::Bsd {
            self.renamed.lock().put(key, ());
        }
        silly
    }
}

impl SillyNames {
    /// Whether a name has this form and, on Linux, the number of this file.
    fn fits(self, name: &[u8], fileid: u64) -> bool {
        match self {
            SillyNames::Linux => {
                let digits = format!("{fileid:016x}");
                name.strip_prefix(PREFIX)
                    .and_then(|rest| rest.strip_prefix(digits.as_bytes()))
                    .is_some_and(|counter| is_number(counter, 8))
            }
            SillyNames::Bsd => {
                let parts = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix(b"."));
                parts
                    .and_then(|parts| parts.split_at_checked(8))
                    .and_then(|(counter, rest)| Some((counter, rest.strip_prefix(b".")?)))
                    .is_some_and(|(counter, process)| is_number(counter, 8) && is_number(process, 4))
            }
        }
    }
}

/// Whether these are `count` lower-case hexadecimal digits.
fn is_number(digits: &[u8], count: usize) -> bool {
    digits.len() == count && digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::ViewSpec;

    #[test]
    fn a_name_of_linux_holds_the_files_own_number() {
        let fits = |name: &str| SillyNames::Linux.fits(name.as_bytes(), 0x0076_202f);
        assert!(fits(".nfs000000000076202f00000088") && fits(".nfs000000000076202ffffffff0"));
        for other in [
            ".nfs000000000076202e00000088",
            ".nfs000000000076202F00000088",
            ".nfs000000000076202f0000008",
            ".nfs000000000076202f000000888",
            ".nfs000000000076202f0000008g",
            ".nfs.0076202f.0001",
            ".nfs",
        ] {
            assert!(!fits(other), "{other}");
        }
        assert!(SillyNames::Linux.fits(b".nfs800100000076202f00000001", 0x8001_0000_0076_202f));
    }

    #[test]
    fn a_name_of_a_bsd_holds_a_counter_and_a_process() {
        let fits = |name: &str| SillyNames::Bsd.fits(name.as_bytes(), 1);
        assert!(fits(".nfs.20051025.01ff"));
        for other in [
            ".nfs.1.2",
            ".nfs.20051025.01FF",
            ".nfs.20051025.1ff",
            ".nfs.20051025001ff",
            ".nfs.20051025.01ff0",
            ".nfs.2005102.001ff",
            ".nfs20051025.01ff",
            ".nfs000000000000000100000088",
        ] {
            assert!(!fits(other), "{other}");
        }
    }

    #[test]
    fn a_bounded_number_of_names_that_were_looked_up_is_remembered() {
        let view = View::open(&ViewSpec::default(), None).unwrap();
        let silly = SillyRenames::new(SillyNames::Linux);
        silly.looked_up(&view, &view.root(), b".nfs0", false);
        assert!(silly.free.lock().is_empty(), "nothing can be renamed where the view is read-only");
        for name in 0..2 * SILLY_LOOKUPS_MAX {
            silly.free.lock().put((1, format!(".nfs{name}").as_bytes().into()), ());
        }
        assert_eq!(silly.free.lock().len(), SILLY_LOOKUPS_MAX);
    }
}
