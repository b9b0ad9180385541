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
pub(crate) enum Earlier<'d> {
    /// It is new, and has to be carried out.
    None(Running<'d>),
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

/// A call that is being carried out. Dropped without a reply, the call is forgotten.
pub(crate) struct Running<'d> {
    duplicates: &'d Duplicates,
    key: Key,
    reply: Option<Box<[u8]>>,
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

    /// Asks for an earlier call with this key.
    pub(crate) fn begin(&self, key: Key) -> Earlier<'_> {
        let mut known = self.known.lock();
        loop {
            match known.get(&key) {
                None => {
                    known.put(key, None);
                    return Earlier::None(Running { duplicates: self, key, reply: None });
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
}

impl Running<'_> {
    /// Keeps the reply for the call's repetitions, unless it is longer than any that is worth keeping.
    pub(crate) fn finish(mut self, reply: &[u8]) {
        if reply.len() <= DUPLICATE_REPLY_MAX {
            self.reply = Some(reply.into());
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut known = self.duplicates.known.lock();
        match self.reply.take() {
            Some(reply) => {
                known.put(self.key, Some(reply));
            }
            None => {
                known.pop(&self.key);
            }
        }
        self.duplicates.finished.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(duplicates: &Duplicates, key: Key) -> Running<'_> {
        match duplicates.begin(key) {
            Earlier::None(running) => running,
            _ => panic!("the call is known"),
        }
    }

    #[test]
    fn a_call_that_ends_without_a_reply_is_forgotten() {
        let duplicates = Duplicates::new();
        let key = Key::new(1, 2, Caller::ROOT, b"");
        drop(new(&duplicates, key));
        drop(new(&duplicates, key));
    }

    #[test]
    fn the_second_call_gets_the_first_ones_reply() {
        let duplicates = Duplicates::new();
        let key = Key::new(1, 2, Caller::ROOT, b"arguments");
        new(&duplicates, key).finish(b"reply");
        assert!(matches!(duplicates.begin(key), Earlier::Reply(reply) if *reply == *b"reply"));
        let begun = duplicates.begin(Key::new(1, 2, Caller::ROOT, b"others"));
        assert!(matches!(begun, Earlier::None(_)), "same number, other call");
        let other = Caller { uid: 1, ..Caller::ROOT };
        let begun = duplicates.begin(Key::new(1, 2, other, b"arguments"));
        assert!(matches!(begun, Earlier::None(_)), "same call, other caller");
    }

    #[test]
    fn a_repeated_call_waits_for_the_first_to_end() {
        let duplicates = Duplicates::new();
        let key = Key::new(1, 2, Caller::ROOT, b"");
        let first = new(&duplicates, key);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| duplicates.begin(key));
            first.finish(b"reply");
            assert!(matches!(second.join().unwrap(), Earlier::Reply(_)));
        });
    }
}
