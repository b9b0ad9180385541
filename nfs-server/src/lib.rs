//! A view of the host served by NFSv3 on a loopback socket.

pub mod view;
