//! The duplicate request cache: a call that was sent again gets its first reply, and is not carried out twice.

use std::hash::Hasher;
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;
use parking_lot::{Condvar, Mutex};
use siphasher::sip::SipHasher13;

use crate::limits::{DUPLICATE_REPLY_MAX, DUPLICATES_MAX};
use crate::view::Caller;

/// How long a repeated call waits for the first to end before it is left unanswered, to be sent once more.
const PATIENCE: Duration = Duration::from_secs(10);

/// What makes two calls the same: a client may take its numbers from the start again, and after a reconnect it may
/// come from another port, so neither is asked alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    xid: u32,
    procedure: u32,
    /// User and group: the numbers of two users' clients may meet, and what one may do the other may not.
    caller: (u32, u32),
    arguments: u64,
}

/// What is known of a call.
pub(crate) enum Earlier {
    /// It is new.
    None,
    /// It was answered with this record.
    Reply(Box<[u8]>),
    /// Another thread is still at it.
    StillRunning,
}

/// Replies to calls that must not be carried out twice. Bounded; the least recently used goes first.
pub(crate) struct Duplicates {
    known: Mutex<LruCache<Key, Option<Box<[u8]>>>>,
    finished: Condvar,
}

impl Key {
    pub(crate) fn new(xid: u32, procedure: u32, caller: Caller<'_>, arguments: &[u8]) -> Key {
        let mut hasher = SipHasher13::new();
        hasher.write(arguments);
        Key { xid, procedure, caller: (caller.uid, caller.gid), arguments: hasher.finish() }
    }
}

impl Duplicates {
    pub(crate) fn new() -> Duplicates {
        let capacity = NonZeroUsize::new(DUPLICATES_MAX).unwrap_or(NonZeroUsize::MIN);
        Duplicates { known: Mutex::new(LruCache::new(capacity)), finished: Condvar::new() }
    }

    /// Asks for an earlier call with this key; without one, the caller has to carry it out and
    /// [`finish`](Duplicates::finish).
    pub(crate) fn begin(&self, key: &Key) -> Earlier {
        let mut known = self.known.lock();
        loop {
            match known.get(key) {
                None => {
                    known.put(*key, None);
                    return Earlier::None;
                }
                Some(Some(reply)) => return Earlier::Reply(reply.clone()),
                Some(None) => {
                    if self.finished.wait_for(&mut known, PATIENCE).timed_out() {
                        return Earlier::StillRunning;
                    }
                }
            }
        }
    }

    /// Keeps the reply of a call, or forgets the call when it has none worth keeping.
    pub(crate) fn finish(&self, key: Key, reply: Option<&[u8]>) {
        let mut known = self.known.lock();
        match reply.filter(|reply| reply.len() <= DUPLICATE_REPLY_MAX) {
            Some(reply) => {
                known.put(key, Some(reply.into()));
            }
            None => {
                known.pop(&key);
            }
        }
        self.finished.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_call_gets_the_first_ones_reply() {
        let duplicates = Duplicates::new();
        let key = Key::new(1, 2, Caller::ROOT, b"arguments");
        assert!(matches!(duplicates.begin(&key), Earlier::None));
        duplicates.finish(key, Some(b"reply"));
        assert!(matches!(duplicates.begin(&key), Earlier::Reply(reply) if *reply == *b"reply"));
        assert!(
            matches!(duplicates.begin(&Key::new(1, 2, Caller::ROOT, b"others")), Earlier::None),
            "same number, other call"
        );
        let other = Caller { uid: 1, ..Caller::ROOT };
        let begun = duplicates.begin(&Key::new(1, 2, other, b"arguments"));
        assert!(matches!(begun, Earlier::None), "same call, other caller");
    }

    #[test]
    fn a_repeated_call_waits_for_the_first_to_end() {
        let duplicates = Duplicates::new();
        let key = Key::new(1, 2, Caller::ROOT, b"");
        assert!(matches!(duplicates.begin(&key), Earlier::None));
        std::thread::scope(|scope| {
            let second = scope.spawn(|| duplicates.begin(&key));
            duplicates.finish(key, Some(b"reply"));
            assert!(matches!(second.join().unwrap(), Earlier::Reply(_)));
        });
    }
}
