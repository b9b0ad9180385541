//! The view: a filtered tree of the host. Nothing in here knows NFS.

mod spec;

pub use spec::{Access, Entry, NAME_MAX, Owner, PATH_MAX, SpecError, ViewSpec};
