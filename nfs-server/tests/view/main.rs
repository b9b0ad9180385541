//! The view through its public interface: what a specification has to be like, where paths lead, what is observed.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod fileids;
mod grafts;
mod observed;
mod open;
mod paths;
mod phantom;
mod readdir;
mod spec;
mod usage;
#[cfg(target_os = "linux")]
mod write;
