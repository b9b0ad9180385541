//! Properties of the file systems behind a view.

use std::sync::Arc;

use nix::sys::statvfs::{Statvfs, fstatvfs};

use super::attributes::FileType;
use super::error::Error;
use super::node::Node;
use super::quota::Remaining;
use super::resolve::Resolved;
use super::tree::NodeKind;
use super::{View, declared, host};

/// How large a file system is, and what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes.
    pub bytes: Amount,
    /// Inodes.
    pub inodes: Amount,
}

/// How much there is of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// In all.
    pub total: u64,
    /// That nobody uses.
    pub free: u64,
    /// That others than root may use.
    pub available: u64,
}

impl View {
    /// How large the file system of a node is; where the view's quota counts, that is what the quota allows.
    ///
    /// # Errors
    /// What the host says.
    pub fn space(&self, node: &Node) -> Result<Space, Error> {
        let space = Space::of(&self.file_system(node)?);
        let counts = self.host_entry(node).is_none() || self.is_writable(node);
        Ok(match self.quota.as_ref().filter(|_| counts) {
            Some(quota) => Space {
                bytes: space.bytes.within(quota.bytes()),
                inodes: space.inodes.within(quota.inodes()),
            },
            None => space,
        })
    }

    /// The file system that a node lies on; behind one that only the view has, that of the first scratch.
    ///
    /// # Errors
    /// What the host says.
    fn file_system(&self, node: &Node) -> Result<Statvfs, Error> {
        let resolved = match (node, self.host_entry(node)) {
            (_, None) => {
                let directory = match self.first_scratch() {
                    Some(scratch) => self.directory(scratch.id())?,
                    None => Arc::new(host::open_root()?),
                };
                return Ok(fstatvfs(&*directory)?);
            }
            // Not the directory that holds it, which may lie on another: it may be a mount point.
            _ if self.kind(node) == FileType::Directory => {
                return Ok(fstatvfs(&*self.directory(node.id())?)?);
            }
            (Node::Declared(_), Some(host_entry)) => self.resolve_host_entry(host_entry)?,
            (Node::Host(host), Some(_)) => match host.orphan() {
                Some(file) => return Ok(fstatvfs(&*file)?),
                None => self.resolve(host)?,
            },
        };
        let Resolved { directory, name, .. } = resolved;
        match host::open_itself(&*directory, &name) {
            Ok(file) => Ok(fstatvfs(&file)?),
            // A socket, where the system opens none.
            Err(_) => Ok(fstatvfs(&*directory)?),
        }
    }

    /// Bytes that the largest file at a node may have, for a client that asks once for all of a mount.
    ///
    /// Of a node that only the view has, what fits every writable place: a client that allows more learns of the limit
    /// when the data is on its way, long after the program's write. It must not be less than a file has that is only
    /// shown, whose end the client would not show.
    #[must_use]
    pub fn max_file_size(&self, node: &Node) -> u64 {
        if self.host_entry(node).is_some() {
            return self.max_file_size_behind(node).unwrap_or(host::MAX_FILE_SIZE);
        }
        let writable =
            self.tree.host_entries().filter(|(_, host_entry)| host_entry.access == super::Access::Rw);
        let fits = writable.filter_map(|(index, _)| self.max_file_size_behind(&Node::Declared(index))).min();
        let fits = fits.unwrap_or(host::MAX_FILE_SIZE);
        let holds_larger = |index: &usize| {
            let used = self.file_system(&Node::Declared(*index)).map(|behind| used_bytes(&behind));
            used.is_ok_and(|used| used >= fits)
        };
        let read_only = self.tree.devices.iter().filter(|index| {
            matches!(&declared(&self.tree, **index).kind, NodeKind::HostEntry(host_entry) if host_entry.access != super::Access::Rw)
        });
        if read_only.into_iter().any(holds_larger) { host::MAX_FILE_SIZE } else { fits }
    }

    /// Whether names are case-sensitive on the file system of a node; of a node without a host file, on that of the first
    /// scratch.
    #[must_use]
    pub fn case_sensitive(&self, node: &Node) -> bool {
        match self.host_entry(node) {
            Some(host_entry) => host_entry.case_sensitive,
            None => self.tree.case_sensitive,
        }
    }

    fn max_file_size_behind(&self, node: &Node) -> Option<u64> {
        if self.kind(node) != FileType::Directory {
            return None;
        }
        host::max_file_size(&*self.directory(node.id()).ok()?)
    }

    fn first_scratch(&self) -> Option<Node> {
        self.tree
            .host_entries()
            .find(|(_, host_entry)| host_entry.scratch)
            .map(|(index, _)| Node::Declared(index))
    }
}

impl Space {
    #[allow(clippy::unnecessary_cast, reason = "the fields' widths differ between systems")]
    fn of(fs: &Statvfs) -> Space {
        let bytes = |blocks: u64| blocks.saturating_mul(fs.fragment_size() as u64);
        Space {
            bytes: Amount {
                total: bytes(fs.blocks() as u64),
                free: bytes(fs.blocks_free() as u64),
                available: bytes(fs.blocks_available() as u64),
            },
            inodes: Amount {
                total: fs.files() as u64,
                free: fs.files_free() as u64,
                available: fs.files_available() as u64,
            },
        }
    }
}

impl Amount {
    /// No more of it than a quota allows. A file system that does not count its inodes says that it has none.
    fn within(self, room: Option<Remaining>) -> Amount {
        let Some(Remaining { limit, left }) = room else { return self };
        match self.total {
            0 => Amount { total: limit, free: left, available: left },
            _ => Amount { total: limit, free: left.min(self.free), available: left.min(self.available) },
        }
    }
}

#[allow(clippy::unnecessary_cast, reason = "the fields' widths differ between systems")]
fn used_bytes(behind: &Statvfs) -> u64 {
    let blocks = (behind.blocks() as u64).saturating_sub(behind.blocks_free() as u64);
    blocks.saturating_mul(behind.fragment_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_may_be_as_large_as_every_writable_place_lets_it_be_and_no_other_place_counts() {
        use super::super::spec::{Access, Entry, ViewSpec};
        let host = tempfile::tempdir().unwrap();
        let graft = |at: &str, source: &std::path::Path, access| Entry::Graft {
            at: at.into(),
            source: source.into(),
            access,
            optional: false,
        };
        let proc = || graft("/proc", "/proc".as_ref(), Access::Ro);
        let largest = |entries| {
            let view = View::open(&ViewSpec { entries }, None).unwrap();
            view.max_file_size(&view.root())
        };
        let behind = host::max_file_size(std::fs::File::open(host.path()).unwrap());
        let writable = graft("/writable", host.path(), Access::Rw);
        assert_eq!(largest(vec![proc(), writable]), behind.unwrap_or(host::MAX_FILE_SIZE));
        assert_eq!(largest(vec![proc()]), host::MAX_FILE_SIZE);
    }

    #[test]
    fn a_quota_leaves_what_the_file_system_has_and_no_more() {
        let amount = |total, free, available| Amount { total, free, available };
        let room = |limit, left| Some(Remaining { limit, left });
        assert_eq!(amount(100, 50, 40).within(None), amount(100, 50, 40));
        assert_eq!(amount(100, 50, 40).within(room(1000, 900)), amount(1000, 50, 40));
        assert_eq!(amount(100, 50, 40).within(room(60, 45)), amount(60, 45, 40));
        assert_eq!(amount(100, 50, 40).within(room(60, 7)), amount(60, 7, 7));
        // It does not count its inodes.
        assert_eq!(amount(0, 0, 0).within(room(60, 7)), amount(60, 7, 7));
    }
}
