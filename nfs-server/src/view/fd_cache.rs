//! A cache of open descriptors of host directories and files; the least recently used are closed.

use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use lru::LruCache;
use nix::fcntl::OFlag;
use parking_lot::Mutex;
use rustc_hash::FxBuildHasher;

use super::node::NodeId;
use crate::limits::{OPEN_DIRECTORIES_MAX, OPEN_FILES_MAX, OPEN_SOURCES_MAX};

/// The descriptors that a view keeps open.
pub(crate) struct FdCache {
    /// Directories of nodes.
    pub(crate) directories: Cache<NodeId, OwnedFd>,
    /// Directories that hold sources, by their index in the tree.
    pub(crate) sources: Cache<usize, OwnedFd>,
    /// Files of nodes.
    pub(crate) files: Cache<NodeId, OpenFile>,
}

/// A file opened for its data.
pub(crate) struct OpenFile {
    pub(crate) descriptor: OwnedFd,
    pub(crate) access: OpenMode,
    /// The user it was opened as, where the host checks permissions.
    pub(crate) opener: Option<u32>,
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenMode {
    Read,
    Write,
    Both,
}

/// An open file: cached, or an orphan without a name.
#[derive(Clone)]
pub(crate) enum OpenHandle {
    Named(Arc<OpenFile>),
    Orphan(Arc<OwnedFd>),
}

/// An LRU cache of shared values.
pub(crate) struct Cache<K: std::hash::Hash + Eq, V>(Mutex<LruCache<K, Arc<V>, FxBuildHasher>>);

impl FdCache {
    pub(crate) fn new() -> FdCache {
        let share = descriptors_allowed() / 4;
        FdCache {
            directories: Cache::new(OPEN_DIRECTORIES_MAX.min(share)),
            sources: Cache::new(OPEN_SOURCES_MAX.min(share / 2)),
            files: Cache::new(OPEN_FILES_MAX.min(share)),
        }
    }

    /// Has the kernel make room for all of these at once, in a process that has no other thread yet. Otherwise it doubles
    /// the room each time that it runs out, and where there are threads it waits then until none can be looking at the old
    /// table any more: some 10 ms on a kernel for more than one processor (`expand_fdtable`, fs/file.c).
    #[cfg(target_os = "linux")]
    pub(crate) fn make_room(&self) {
        let most = self.directories.capacity() + self.sources.capacity() + self.files.capacity();
        if let (Ok(root), Ok(last)) = (std::fs::File::open("/"), i32::try_from(most)) {
            // It fails where so many are not allowed: there is room for each when it is opened, then.
            let _ = rustix::io::fcntl_dupfd_cloexec(&root, last);
        }
    }

    /// Closes the descriptors of a removed node.
    pub(crate) fn forget(&self, id: NodeId) {
        self.directories.remove(&id);
        self.files.remove(&id);
    }

    /// Closes everything.
    pub(crate) fn clear(&self) {
        self.directories.clear();
        self.sources.clear();
        self.files.clear();
    }
}

impl OpenMode {
    /// The access mode of open(2).
    pub(crate) fn flag(self) -> OFlag {
        match self {
            OpenMode::Read => OFlag::O_RDONLY,
            OpenMode::Write => OFlag::O_WRONLY,
            OpenMode::Both => OFlag::O_RDWR,
        }
    }
}

impl OpenFile {
    /// Whether it can be used for reading or writing by this user.
    pub(crate) fn serves(&self, write: bool, uid: u32) -> bool {
        let other = if write { OpenMode::Read } else { OpenMode::Write };
        self.access != other && (uid == 0 || self.opener.is_none_or(|opener| opener == uid))
    }
}

impl OpenHandle {
    pub(crate) fn descriptor(&self) -> &OwnedFd {
        match self {
            OpenHandle::Named(file) => &file.descriptor,
            OpenHandle::Orphan(file) => file,
        }
    }
}

/// How many descriptors this process may have open: many systems start it with as few as 1,024, or macOS's 256.
fn descriptors_allowed() -> usize {
    let allowed = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
    allowed.map_or(usize::MAX, |(soft, _)| usize::try_from(soft).unwrap_or(usize::MAX))
}

impl<K: std::hash::Hash + Eq, V> Cache<K, V> {
    fn new(capacity: usize) -> Cache<K, V> {
        let capacity = NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN);
        Cache(Mutex::new(LruCache::with_hasher(capacity, FxBuildHasher)))
    }

    #[cfg(target_os = "linux")]
    fn capacity(&self) -> usize {
        self.0.lock().cap().get()
    }

    pub(crate) fn get(&self, key: &K) -> Option<Arc<V>> {
        self.0.lock().get(key).cloned()
    }

    pub(crate) fn insert(&self, key: K, value: V) -> Arc<V> {
        let value = Arc::new(value);
        // What falls out is closed after the lock is released: closing may take long.
        let evicted = self.0.lock().push(key, Arc::clone(&value));
        drop(evicted);
        value
    }

    fn remove(&self, key: &K) {
        let removed = self.0.lock().pop(key);
        drop(removed);
    }

    fn clear(&self) {
        self.0.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(access: OpenMode, opener: Option<u32>) -> OpenFile {
        OpenFile { descriptor: std::fs::File::open("/").unwrap().into(), access, opener }
    }

    #[test]
    fn a_descriptor_serves_what_it_was_opened_for() {
        let serves = |access| [false, true].map(|write| opened(access, None).serves(write, 7));
        assert_eq!(serves(OpenMode::Read), [true, false]);
        assert_eq!(serves(OpenMode::Write), [false, true]);
        assert_eq!(serves(OpenMode::Both), [true, true]);
    }

    #[test]
    fn a_descriptor_that_was_opened_as_a_user_serves_that_user_and_root() {
        let serves = |uid| opened(OpenMode::Both, Some(7)).serves(true, uid);
        assert_eq!([7, 0, 8].map(serves), [true, true, false]);
        assert!(!opened(OpenMode::Read, Some(7)).serves(true, 0), "root too cannot write by it");
    }

    #[test]
    fn the_least_recently_used_descriptor_is_closed() {
        let cache: Cache<u32, u32> = Cache::new(2);
        cache.insert(1, 10);
        cache.insert(2, 20);
        assert_eq!(cache.get(&1).as_deref(), Some(&10));
        cache.insert(3, 30);
        assert_eq!([1, 2, 3].map(|key| cache.get(&key).is_some()), [true, false, true]);
        cache.remove(&1);
        assert!(cache.get(&1).is_none() && cache.get(&3).is_some());
        cache.clear();
        assert!(cache.get(&3).is_none());
    }

    /// As the kernel tells it (`FDSize`, proc(5)).
    #[cfg(target_os = "linux")]
    #[test]
    fn there_is_room_for_all_descriptors_before_the_first_is_opened() {
        let room = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
            line.trim().parse::<usize>().unwrap()
        };
        let fds = FdCache::new();
        fds.make_room();
        let most = fds.directories.capacity() + fds.sources.capacity() + fds.files.capacity();
        assert!(room() > most || most >= descriptors_allowed(), "{} of {most}", room());
    }

    #[test]
    fn a_cache_holds_one_value_at_least() {
        let cache: Cache<u32, u32> = Cache::new(0);
        cache.insert(1, 10);
        assert!(cache.get(&1).is_some());
    }
}
