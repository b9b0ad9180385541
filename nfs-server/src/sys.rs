//! The only unsafe code of this crate: system calls that no safe wrapper covers.
#![allow(unsafe_code)]

#[cfg(not(target_os = "linux"))]
mod macos;
#[cfg(target_os = "linux")]
mod ring;

#[cfg(not(target_os = "linux"))]
pub(crate) use macos::{tcp_sockets, tells_case};
#[cfg(target_os = "linux")]
pub(crate) use ring::Ring;
