//! What `cargo xtask` is made of: the lab (downloaded things), the virtual machine, and the cases that run in it.

pub mod attempts;
pub mod bench;
pub mod cases;
pub mod command;
pub mod demo;
pub mod differences;
pub mod fresh;
pub mod fuzz;
pub mod lab;
pub mod parity;
pub mod probe;
pub mod suites;
pub mod sys;
pub mod tally;
pub mod vm;
pub mod xtask;
