//! The duplicate request cache: a retransmitted call gets the first reply and is not executed twice.

use std::hash::Hasher;
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;
use parking_lot::{Condvar, Mutex};
use siphasher::sip::SipHasher13;

use crate::limits::{CACHED_REPLY_MAX, REPLY_CACHE_MAX};
use crate::view::Caller;

/// How long a retransmission waits for the first execution before it is dropped; the client sends it again.
const IN_PROGRESS_WAIT: Duration = Duration::from_secs(10);

/// What identifies a call. Not the xid alone, since a client may restart its numbers; nor the port, since it may reconnect
/// from another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CallKey {
    xid: u32,
    procedure: u32,
    /// User and group: a reply must not leak from one user to another.
    caller: (u32, u32),
    arguments: u64,
}

/// The result of looking a call up.
pub(crate) enum CacheLookup<'d> {
    /// A new call, to be executed.
    Miss(PendingReply<'d>),
    /// Its reply record.
    Hit(Box<[u8]>),
    /// Another thread is still executing it.
    InProgress,
}

/// Replies to non-idempotent calls. Bounded; the least recently used is evicted.
pub(crate) struct ReplyCache {
    known: Mutex<LruCache<CallKey, Option<Box<[u8]>>>>,
    finished: Condvar,
}

/// A call being executed. When dropped without a reply, the call is forgotten.
pub(crate) struct PendingReply<'d> {
    reply_cache: &'d ReplyCache,
    key: CallKey,
    reply: Option<Box<[u8]>>,
}

impl CallKey {
    pub(crate) fn new(xid: u32, procedure: u32, caller: Caller<'_>, arguments: &[u8]) -> CallKey {
        let mut hasher = SipHasher13::new();
        hasher.write(arguments);
        CallKey { xid, procedure, caller: (caller.uid, caller.gid), arguments: hasher.finish() }
    }
}

impl ReplyCache {
    pub(crate) fn new() -> ReplyCache {
        let capacity = NonZeroUsize::new(REPLY_CACHE_MAX).unwrap_or(NonZeroUsize::MIN);
        ReplyCache { known: Mutex::new(LruCache::new(capacity)), finished: Condvar::new() }
    }

    /// Looks a call up, and waits for one that is in progress.
    pub(crate) fn lookup(&self, key: CallKey) -> CacheLookup<'_> {
        let mut known = self.known.lock();
        loop {
            match known.get(&key) {
                None => {
                    known.put(key, None);
                    return CacheLookup::Miss(PendingReply { reply_cache: self, key, reply: None });
                }
                Some(Some(reply)) => return CacheLookup::Hit(reply.clone()),
                Some(None) => {
                    if self.finished.wait_for(&mut known, IN_PROGRESS_WAIT).timed_out() {
                        return CacheLookup::InProgress;
                    }
                }
            }
        }
    }
}

impl PendingReply<'_> {
    /// Caches the reply, unless it is too long.
    pub(crate) fn finish(mut self, reply: &[u8]) {
        if reply.len() <= CACHED_REPLY_MAX {
            self.reply = Some(reply.into());
        }
    }
}

impl Drop for PendingReply<'_> {
    fn drop(&mut self) {
        let mut known = self.reply_cache.known.lock();
        match self.reply.take() {
            Some(reply) => {
                known.put(self.key, Some(reply));
            }
            None => {
                known.pop(&self.key);
            }
        }
        self.reply_cache.finished.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(reply_cache: &ReplyCache, key: CallKey) -> PendingReply<'_> {
        match reply_cache.lookup(key) {
            CacheLookup::Miss(pending) => pending,
            _ => panic!("the call is known"),
        }
    }

    #[test]
    fn a_call_that_ends_without_a_reply_is_forgotten() {
        let reply_cache = ReplyCache::new();
        let key = CallKey::new(1, 2, Caller::ROOT, b"");
        drop(new(&reply_cache, key));
        drop(new(&reply_cache, key));
    }

    #[test]
    fn the_second_call_gets_the_first_ones_reply() {
        let reply_cache = ReplyCache::new();
        let key = CallKey::new(1, 2, Caller::ROOT, b"arguments");
        new(&reply_cache, key).finish(b"reply");
        assert!(matches!(reply_cache.lookup(key), CacheLookup::Hit(reply) if *reply == *b"reply"));
        let lookup = reply_cache.lookup(CallKey::new(1, 2, Caller::ROOT, b"others"));
        assert!(matches!(lookup, CacheLookup::Miss(_)), "same number, other call");
        let other = Caller { uid: 1, ..Caller::ROOT };
        let lookup = reply_cache.lookup(CallKey::new(1, 2, other, b"arguments"));
        assert!(matches!(lookup, CacheLookup::Miss(_)), "same call, other caller");
    }

    #[test]
    fn a_repeated_call_waits_for_the_first_to_end() {
        let reply_cache = ReplyCache::new();
        let key = CallKey::new(1, 2, Caller::ROOT, b"");
        let first = new(&reply_cache, key);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| reply_cache.lookup(key));
            first.finish(b"reply");
            assert!(matches!(second.join().unwrap(), CacheLookup::Hit(_)));
        });
    }
}
