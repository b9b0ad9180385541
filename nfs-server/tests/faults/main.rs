//! What a server does when its peer errs, lies, repeats itself or goes away.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![allow(clippy::result_large_err, reason = "a failed call carries what the server sent along")]

#[allow(dead_code, reason = "the tests of procedures use the rest")]
#[path = "../wire/calls.rs"]
mod calls;
#[allow(dead_code, reason = "the tests of procedures use the rest")]
#[path = "../wire/client.rs"]
mod client;
mod connections;
mod credentials;
mod fragments;
mod malformed;
mod peers;
mod repeated;
mod samples;
mod stop;
mod streamed_write;
mod unknown;
// Other systems do not say whether data is in memory.
#[cfg(target_os = "linux")]
mod blocking;
#[allow(dead_code, reason = "the tests of procedures use the rest")]
#[path = "../wire/world.rs"]
mod world;
