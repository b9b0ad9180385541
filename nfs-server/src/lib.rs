//! A view of the host, served by NFSv3 on a loopback socket.
//!
//! A call passes the modules from left to right: `server → connection → rpc → {mount, nfs → nfs/*} → call → service → view`.
//!
#![doc = include_str!("../README.md")]

mod call;
mod call_counters;
mod call_counts;
mod connection;
mod credentials;
mod exclusive_creates;
pub mod faults;
mod handle;
mod limits;
mod mount;
mod nfs;
mod pages;
mod payload;
mod record;
mod reply_cache;
mod rpc;
mod server;
mod service;
mod silly;
mod size;
mod slow_calls;
mod sys;
pub mod view;
mod xdr;

pub use call_counts::CallCounts;
pub use handle::HandleKey;
pub use nfs::{status_number, wire_time};
pub use server::{Listener, Peers, Server, ServerError, ServerOptions};
pub use service::Users;
pub use silly::{SillyNames, SillyRenames};
pub use size::{SizeError, parse_size};
pub use slow_calls::SlowCall;
