//! The benchmarks: loopbox beside its peers, with the same client, the same files and the same work.
//!
//! ```text
//! xtask bench → machine (a round in the virtual machine) → inside → work/*   through the kernel's NFS client
//!             → wire/*                                                        the calls alone, over loopback
//!             → replay/*                                                      what that client asked, over loopback
//!             → results → statistics → report, plot
//! xtask bench --scaling → scaling/* (in the virtual machine)                  how backends grow with a closure
//! ```

pub mod inside;
pub mod machine;
pub mod plot;
pub mod private;
pub mod replay;
pub mod report;
pub mod results;
pub mod scaling;
pub mod servers;
pub mod statistics;
pub mod subjects;
pub mod wire;
pub mod work;
