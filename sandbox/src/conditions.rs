//! Under which conditions a program runs: how much it may write, and which calls fail on purpose.

use std::sync::LazyLock;

use nfs_server::view::Quota;
use serde::{Deserialize, Serialize};

use crate::local::Scratches;

pub use nfs_server::faults::{Fault, InjectedFault};
pub use nfs_server::view::QuotaUsage;
pub use nfs_server::{SizeError, parse_size};

/// What a view's server makes harder than it has to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Conditions {
    /// How much may be written in all writable places together.
    pub quota: Quota,
    /// Which calls fail, wait or do less on purpose.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

/// How often the conditions were met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConditionReport {
    /// How often the quota was met.
    pub quota: QuotaUsage,
    /// How often each fault was injected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<InjectedFault>,
}

impl Conditions {
    /// None at all.
    #[must_use]
    pub fn none() -> &'static Conditions {
        static NONE: LazyLock<Conditions> = LazyLock::new(Conditions::default);
        &NONE
    }

    /// How scratches are reached: what is not served, nobody counts.
    #[must_use]
    pub fn scratches(&self, asked: Scratches) -> Scratches {
        if self.are_none() { asked } else { Scratches::Nfs }
    }

    /// Whether there are none.
    #[must_use]
    pub fn are_none(&self) -> bool {
        self == Conditions::none()
    }
}

impl ConditionReport {
    /// Whether nothing was refused.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        !self.quota.is_met() && self.faults.iter().all(|fault| fault.count == 0)
    }

    /// Whether calls failed that would not have failed by themselves or for want of room.
    #[must_use]
    pub fn has_injected_errors(&self) -> bool {
        self.faults.iter().any(|injected| injected.count > 0 && injected.fault.changes_results())
    }
}
