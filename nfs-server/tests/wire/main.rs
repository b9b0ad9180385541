//! Every procedure over the real loopback socket, with `nfs3_types` as the other side: one file each.
//!
//! The tests act for several users, which only root can: they fail, and say so, for anybody else.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![allow(clippy::result_large_err, reason = "a failed call carries what the server sent along")]

mod access;
mod caching;
mod callers;
mod calls;
#[allow(dead_code, reason = "the tests of faults use it too, and other parts of it")]
mod client;
mod commit;
mod create;
mod escape;
mod fsinfo;
mod fsstat;
mod getattr;
mod injected;
mod link;
mod lookup;
mod mac_client;
mod mkdir;
mod mknod;
mod model;
mod mount;
mod names;
mod null;
mod pathconf;
mod quota;
mod read;
mod readdir;
mod readdirplus;
mod readlink;
mod remove;
mod rename;
mod rmdir;
mod setattr;
mod silly;
mod slowest;
mod symlink;
mod world;
mod write;
