//! A view of the host served by NFSv3 on a loopback socket.
//!
//! ```text
//! server → connection → rpc → { mount, nfs → nfs/* } → call → service → view
//! ```
//!
//! [`view::View`] is the filtered tree and knows nothing of NFS; [`Server`] answers NFS and MOUNT calls on it.

mod call;
mod calls;
mod connection;
mod counts;
mod credentials;
mod duplicates;
mod handle;
mod limits;
mod mount;
mod nfs;
mod record;
mod rpc;
mod server;
mod service;
mod sys;
pub mod view;
mod xdr;

pub use calls::Calls;
pub use handle::Secret;
pub use nfs::status_number;
pub use server::{Peers, Server, ServerError, ServerOptions};
pub use service::Users;
