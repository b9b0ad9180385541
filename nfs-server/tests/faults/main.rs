//! What a server does when its peer errs, lies, repeats itself or goes away.

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
mod unknown;
#[allow(dead_code, reason = "the tests of procedures use the rest")]
#[path = "../wire/world.rs"]
mod world;
