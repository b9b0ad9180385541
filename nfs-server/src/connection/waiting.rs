//! Calls that wait for a disk, apart from the quick ones behind them.

use std::collections::VecDeque;
use std::net::Shutdown;
use std::thread::{Builder, Scope};

use parking_lot::{Condvar, Mutex};

use super::{ConnectionError, Output, send};
use crate::limits::{WAITING_CALLS_MAX, WAITING_THREADS_MAX};
use crate::rpc::{self, Replies, Request};
use crate::service::Service;
use crate::view::{Patience, prepare_thread};

/// A connection's calls that wait, and the threads that carry them out: none before there is such a call.
pub(super) struct Waiting<'s> {
    service: &'s Service,
    output: &'s Output<'s>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    calls: VecDeque<Box<[u8]>>,
    /// Bytes of them.
    bytes: usize,
    threads: usize,
    /// Threads that have nothing to do.
    idle: usize,
    ended: bool,
}

/// Ends the threads when the connection does, in whatever way.
pub(super) struct End<'w, 's>(&'w Waiting<'s>);

impl<'s> Waiting<'s> {
    pub(super) fn new(service: &'s Service, output: &'s Output<'s>) -> Waiting<'s> {
        Waiting { service, output, queue: Mutex::default(), changed: Condvar::new() }
    }

    pub(super) fn ends_with_this(&self) -> End<'_, 's> {
        End(self)
    }

    /// Takes over a call, unless too many are waiting or no thread can be had for it.
    pub(super) fn take<'scope>(&'scope self, call: &[u8], scope: &'scope Scope<'scope, '_>) -> bool {
        let mut queue = self.queue.lock();
        if queue.bytes + call.len() > WAITING_CALLS_MAX {
            return false;
        }
        if queue.idle <= queue.calls.len()
            && queue.threads < WAITING_THREADS_MAX
            && let Ok(replies) = Replies::new()
        {
            let thread = Builder::new().name("nfs-waiting".into());
            if thread.spawn_scoped(scope, || self.work(replies)).is_ok() {
                queue.threads += 1;
            }
        }
        if queue.threads == 0 {
            return false;
        }
        queue.bytes += call.len();
        queue.calls.push_back(call.into());
        self.changed.notify_one();
        true
    }

    fn work(&self, mut replies: Replies) {
        prepare_thread();
        while let Some(call) = self.next() {
            let answered = rpc::answer(self.service, Request::whole(&call, Patience::Any), &mut replies);
            let sent = answered
                .map_err(ConnectionError::from)
                .and_then(|_| Ok(send::all(self.output, &mut replies)?));
            if let Err(error) = sent {
                tracing::debug!(error = &error as &dyn std::error::Error, "a reply could not be sent");
                // The peer has to hear that no reply will come; who receives from it ends then.
                let _ = self.output.lock().shutdown(Shutdown::Both);
                return;
            }
        }
    }

    fn next(&self) -> Option<Box<[u8]>> {
        let mut queue = self.queue.lock();
        queue.idle += 1;
        loop {
            if queue.ended {
                return None;
            }
            if let Some(call) = queue.calls.pop_front() {
                queue.idle -= 1;
                queue.bytes -= call.len();
                return Some(call);
            }
            self.changed.wait(&mut queue);
        }
    }
}

impl Drop for End<'_, '_> {
    fn drop(&mut self) {
        self.0.queue.lock().ended = true;
        self.0.changed.notify_all();
    }
}
