//! A view of the host served by NFSv3 on a loopback socket.
//!
//! ```text
//! server → connection → rpc → { mount, nfs → nfs/* } → call → service → view
//! ```
//!
//! [`view::View`] is the filtered tree and knows nothing of NFS; [`Server`] answers NFS and MOUNT calls on it.

mod call;
mod call_counters;
mod call_counts;
mod connection;
mod credentials;
mod handle;
mod limits;
mod mount;
mod nfs;
mod record;
mod reply_cache;
mod rpc;
mod server;
mod service;
mod sys;
pub mod view;
mod xdr;

pub use call_counts::CallCounts;
pub use handle::HandleKey;
pub use nfs::status_number;
pub use server::{Peers, Server, ServerError, ServerOptions};
pub use service::Users;
