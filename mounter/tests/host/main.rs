//! Jails whose root is a host directory: they need root and a kernel with namespaces, and no NFS client.
#![cfg(target_os = "linux")]

mod death;
mod inside;
mod support;
