//! Jails whose root is a host directory: they need root and a kernel with namespaces, and no NFS client.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod death;
mod devices;
mod inside;
mod support;
