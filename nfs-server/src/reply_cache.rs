//! The duplicate request cache: a call that was sent again gets its first reply, and is not carried out twice.

use std::hash::Hasher;
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;
use parking_lot::{Condvar, Mutex};
use siphasher::sip::SipHasher13;

use crate::limits::{CACHED_REPLY_MAX, REPLY_CACHE_MAX};
use crate::view::Caller;

/// How long a repeated call waits for the first to end before it is left unanswered, to be sent once more.
const IN_PROGRESS_WAIT: Duration = Duration::from_secs(10);

/// What makes two calls the same: a client may take its numbers from the start again, and after a reconnect it may
/// come from another port, so neither is asked alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CallKey {
    xid: u32,
    procedure: u32,
    /// User and group: the numbers of two users' clients may meet, and what one may do the other may not.
    caller: (u32, u32),
    arguments: u64,
}

/// What is known of a call.
pub(crate) enum CacheLookup<'d> {
    /// It is new, and has to be carried out.
    Miss(PendingReply<'d>),
    /// It was answered with this record.
    Hit(Box<[u8]>),
    /// Another thread is still at it.
    InProgress,
}

/// Replies to calls that must not be carried out twice. Bounded; the least recently used goes first.
pub(crate) struct ReplyCache {
    known: Mutex<LruCache<CallKey, Option<Box<[u8]>>>>,
    finished: Condvar,
}

/// A call that is being carried out. Dropped without a reply, the call is forgotten.
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

    /// Asks for an earlier call with this key.
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
    /// Keeps the reply for the call's repetitions, unless it is longer than any that is worth keeping.
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
