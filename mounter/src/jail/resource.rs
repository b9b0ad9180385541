//! Resource limits, as plain data.

use serde::{Deserialize, Serialize};

/// One resource limit (setrlimit(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Of what.
    pub resource: Resource,
    /// The limit in force; none is no limit.
    pub soft: Option<u64>,
    /// How far the program may raise it; none is no limit.
    pub hard: Option<u64>,
}

/// What can be limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Resource {
    /// Bytes of address space.
    AddressSpace,
    /// Bytes of a core file.
    Core,
    /// Seconds of processor time.
    Cpu,
    /// Bytes of a file.
    FileSize,
    /// Open files.
    OpenFiles,
    /// Processes of the user.
    Processes,
    /// Bytes of stack.
    Stack,
}
