//! The verifiers of exclusively created files (RFC 1813, section 3.3.8).

use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;

use crate::limits::REPLY_CACHE_MAX;
use crate::view::NodeId;

/// `createverf3`.
pub(crate) type Verifier = [u8; 8];

/// Files with the verifier that they were created with: a retransmitted CREATE succeeds even if its reply was evicted from
/// the reply cache. Bounded; the least recently used is evicted.
pub(crate) struct ExclusiveCreates(Mutex<LruCache<NodeId, Verifier>>);

impl Default for ExclusiveCreates {
    fn default() -> ExclusiveCreates {
        let capacity = NonZeroUsize::new(REPLY_CACHE_MAX).unwrap_or(NonZeroUsize::MIN);
        ExclusiveCreates(Mutex::new(LruCache::new(capacity)))
    }
}

impl ExclusiveCreates {
    pub(crate) fn insert(&self, file: NodeId, verifier: Verifier) {
        self.0.lock().put(file, verifier);
    }

    pub(crate) fn contains(&self, file: NodeId, verifier: Verifier) -> bool {
        self.0.lock().get(&file) == Some(&verifier)
    }
}
