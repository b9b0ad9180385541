//! What `cargo xtask` is made of: the lab (downloaded things), the virtual machine, and the cases that run in it.
//!
//! Every kind of test counts what passed and failed, and prints that last:
//!
//! ```
//! use tests::tally::Tally;
//!
//! let all: Tally = [Tally::one(true), Tally::one(false)].into_iter().sum();
//! assert_eq!(all.to_string(), "1 passed, 1 failed");
//! assert_eq!(Tally::parse("1 passed, 1 failed"), Some(all));
//! ```

pub mod attempts;
pub mod bench;
pub mod cases;
pub mod command;
pub mod demo;
pub mod differences;
pub mod dist;
pub mod fresh;
pub mod fuzz;
pub mod lab;
pub mod mach;
pub mod parity;
pub mod parts;
pub mod probe;
pub mod random;
pub mod site;
pub mod suites;
pub mod sys;
pub mod tally;
pub mod traced;
pub mod tracer;
pub mod tree;
pub mod vm;
pub mod xtask;
