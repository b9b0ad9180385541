//! Builds Nix derivations in views.
//!
//! [`plan`] turns a derivation, its closure and Nix's settings into plain data; [`build`] carries that out and registers
//! the outputs; [`graph`] does so for derivations that depend on each other. Nothing here prints.
//!
//! Derivations are read and printed byte for byte as Nix does:
//!
//! ```
//! use builder::derivation::parse;
//!
//! let path = "/nix/store/0c8qx7rwazifyz8zz8qqlfv64b8ldyl5-hello";
//! let text = format!(
//!     r#"Derive([("out","{path}","","")],[],[],"x86_64-linux","/bin/sh",["-c","echo hello > $out"],[("out","{path}")])"#
//! );
//! let derivation = parse(text.as_bytes())?;
//! let (name, output) = &derivation.output_paths("/nix/store".as_ref())?[0];
//! assert_eq!((name.as_str(), output.name()), ("out", "hello"));
//! assert_eq!(derivation.variable("out"), Some(path.as_bytes()));
//! assert_eq!(derivation.print(), text.as_bytes());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod build;
mod build_dirs;
pub mod build_hook;
mod build_run;
mod caller;
#[cfg(target_os = "linux")]
pub mod check;
pub mod compare;
mod deep;
pub mod derivation;
#[cfg(target_os = "linux")]
pub mod external;
pub mod failure;
pub mod graph;
mod hooks;
mod in_place;
mod log;
pub mod nix32;
pub mod output;
pub mod plan;
pub mod report;
mod run;
#[cfg(target_os = "linux")]
pub mod setup;
pub mod shell;
pub mod status;
pub mod store;
pub mod store_path;
pub mod sweep;
#[cfg(target_os = "linux")]
pub mod through_nix;
pub mod variation;
mod visible;
mod waiting;
