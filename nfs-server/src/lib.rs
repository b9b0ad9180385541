//! A view of the host served by NFSv3 on a loopback socket.
//!
//! ```text
//! server → connection → rpc → { mount, nfs → nfs/* } → view
//! ```
//!
//! [`view::View`] is the filtered tree and knows nothing of NFS; [`Server`] answers NFS and MOUNT calls on it.

mod connection;
mod counts;
mod handle;
mod limits;
mod mount;
mod nfs;
mod record;
mod rpc;
mod server;
mod service;
pub mod view;
mod xdr;

pub use counts::Calls;
pub use handle::Secret;
pub use server::{Peers, Server, ServerError, ServerOptions};
pub use service::Users;
