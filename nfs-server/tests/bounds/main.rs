//! What serving may cost, whatever the peer sends: memory and descriptors of the process. One test at a time, since
//! all tests of this program share them.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![allow(clippy::result_large_err, reason = "a failed call carries what the server sent along")]

#[allow(dead_code, reason = "the tests of procedures use the rest")]
#[path = "../wire/calls.rs"]
mod calls;
#[allow(dead_code, reason = "the tests of procedures use the rest")]
#[path = "../wire/client.rs"]
mod client;
mod descriptors;
mod memory;
mod size;
#[allow(dead_code, reason = "the tests of procedures use the rest")]
#[path = "../wire/world.rs"]
mod world;

use std::sync::{Mutex, MutexGuard, PoisonError};

static ALONE: Mutex<()> = Mutex::new(());

/// Waits until no other test of this program runs.
fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
