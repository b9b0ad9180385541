//! The only unsafe code of this crate: system calls that no safe wrapper covers.
#![allow(unsafe_code)]

#[cfg(not(target_os = "linux"))]
mod macos;
#[cfg(target_os = "linux")]
mod stat_ring;
mod ticks;

#[cfg(not(target_os = "linux"))]
pub(crate) use macos::{case_sensitive, tcp_sockets};
#[cfg(target_os = "linux")]
pub(crate) use stat_ring::StatRing;
pub(crate) use ticks::ticks;
