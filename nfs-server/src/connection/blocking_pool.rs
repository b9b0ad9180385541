//! Threads for calls that block on a disk, so that those behind them need not wait.

use std::collections::VecDeque;
use std::net::Shutdown;
use std::thread::{Builder, Scope};

use parking_lot::{Condvar, Mutex};

use super::{ConnectionError, Output, send};
use crate::limits::{BLOCKING_CALL_BYTES_MAX, BLOCKING_THREADS_MAX};
use crate::rpc::{self, ReplyBuffer, Request};
use crate::service::Service;
use crate::view::{Blocking, prepare_thread};

/// A connection's queue of blocking calls and the threads that execute them, started on demand.
pub(super) struct BlockingPool<'s> {
    service: &'s Service,
    output: &'s Output<'s>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    calls: VecDeque<Box<[u8]>>,
    /// Bytes in `calls`.
    bytes: usize,
    threads: usize,
    /// Threads without a call.
    idle: usize,
    ended: bool,
}

/// Stops the threads when dropped.
pub(super) struct PoolGuard<'w, 's>(&'w BlockingPool<'s>);

impl<'s> BlockingPool<'s> {
    pub(super) fn new(service: &'s Service, output: &'s Output<'s>) -> BlockingPool<'s> {
        BlockingPool { service, output, queue: Mutex::default(), changed: Condvar::new() }
    }

    pub(super) fn guard(&self) -> PoolGuard<'_, 's> {
        PoolGuard(self)
    }

    /// Queues a call; false when the queue is full or no thread could be started.
    pub(super) fn submit<'scope>(&'scope self, call: &[u8], scope: &'scope Scope<'scope, '_>) -> bool {
        let mut queue = self.queue.lock();
        if queue.bytes + call.len() > BLOCKING_CALL_BYTES_MAX {
            return false;
        }
        if queue.idle <= queue.calls.len()
            && queue.threads < BLOCKING_THREADS_MAX
            && let Ok(replies) = ReplyBuffer::new()
        {
            let thread = Builder::new().name("nfs-blocking".into());
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

    fn work(&self, mut replies: ReplyBuffer) {
        prepare_thread();
        while let Some(call) = self.next() {
            let answered = rpc::answer(self.service, Request::whole(&call, Blocking::Allowed), &mut replies);
            let sent = answered
                .map_err(ConnectionError::from)
                .and_then(|_| Ok(send::all(self.output, &mut replies)?));
            if let Err(error) = sent {
                tracing::debug!(error = &error as &dyn std::error::Error, "a reply could not be sent");
                // The peer must learn that no reply will come. This also ends the thread that receives.
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

impl Drop for PoolGuard<'_, '_> {
    fn drop(&mut self) {
        self.0.queue.lock().ended = true;
        self.0.changed.notify_all();
    }
}
