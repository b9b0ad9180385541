//! How failures add up to the exit status of `nix-build`.

use crate::failure::{BuildError, Failure};
use crate::output::{FixedError, OutputError};
use crate::plan::PlanError;
use sandbox::backend::BackendError;
use sandbox::limits::Exceeded;

/// The exit status when builds failed for what they asked for alone. Nix's are below it.
pub const UNDECLARED: u8 = 112;

/// The kinds of failures that there have been. Nix's manual describes the numbers on the page of `nix-store --realise`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    permanent: bool,
    timed_out: bool,
    hash_mismatch: bool,
    check_mismatch: bool,
    /// A build asked for what its view hides, which Nix does not see.
    undeclared: bool,
    /// Something that loopbox needs for itself, which Nix has no number for.
    own: bool,
}

impl Failures {
    /// Counts a failure.
    pub fn add(&mut self, error: &BuildError) {
        match error {
            BuildError::Builder(failure) => self.add_builder(failure),
            BuildError::Execute { .. } | BuildError::Plan(PlanError::System { .. }) => self.permanent = true,
            BuildError::Output(OutputError::Fixed(FixedError::Mismatch { .. })) => self.hash_mismatch = true,
            BuildError::Output(OutputError::NotDeterministic { .. }) => self.check_mismatch = true,
            BuildError::Undeclared(_) => self.undeclared = true,
            // What the derivation or the settings ask for cannot be had, or what was made is not accepted.
            BuildError::Kind(_)
            | BuildError::Input(_)
            | BuildError::Plan(_)
            | BuildError::Backend(BackendError::View(_))
            | BuildError::Output(_)
            | BuildError::NotStored { .. }
            | BuildError::Injected(_)
            | BuildError::NothingToCheck { .. }
            | BuildError::PreBuildHook(_)
            | BuildError::Hook(_)
            | BuildError::Interrupted => {}
            BuildError::Store(_)
            | BuildError::Lock(_)
            | BuildError::Note(_)
            | BuildError::User(_)
            | BuildError::Kill(_)
            | BuildError::WorkDir(_)
            | BuildError::Backend(_)
            | BuildError::Terminal(_)
            | BuildError::Log(_)
            | BuildError::LogConfig(_)
            | BuildError::KeptDirectory { .. }
            | BuildError::OthersDirectory { .. }
            | BuildError::Groups(_)
            | BuildError::Watch(_)
            | BuildError::Jail(_)
            | BuildError::Panicked { .. }
            | BuildError::InPlace(_) => self.own = true,
            #[cfg(target_os = "linux")]
            BuildError::Daemon(_) => self.own = true,
        }
    }

    fn add_builder(&mut self, failure: &Failure) {
        match failure.exceeded {
            Some(Exceeded::Time(_) | Exceeded::Silence(_)) => self.timed_out = true,
            Some(Exceeded::Log(_)) => {}
            None if failure.transient => {}
            None => self.permanent = true,
        }
    }

    /// The exit status; `None` when loopbox itself failed and nothing is to be said about the derivations.
    #[must_use]
    pub fn exit_status(self) -> Option<u8> {
        const SPECIAL: u8 = 0x60;
        const OTHER: u8 = 1;
        let build = self.permanent || self.timed_out || self.hash_mismatch;
        if !build && !self.check_mismatch {
            return if self.undeclared { Some(UNDECLARED) } else { (!self.own).then_some(OTHER) };
        }
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        Some(
            SPECIAL
                | bit(build, 4)
                | bit(self.timed_out, 1)
                | bit(self.hash_mismatch, 2)
                | bit(self.check_mismatch, 8),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_nix_and_add_up() {
        let none = Failures::default();
        let status = |failures: Failures| failures.exit_status();
        assert_eq!(status(none), Some(1));
        assert_eq!(status(Failures { own: true, ..none }), None);
        assert_eq!(status(Failures { permanent: true, own: true, ..none }), Some(100));
        assert_eq!(status(Failures { undeclared: true, own: true, ..none }), Some(112));
        assert_eq!(status(Failures { undeclared: true, permanent: true, ..none }), Some(100));
        assert_eq!(status(Failures { timed_out: true, ..none }), Some(101));
        assert_eq!(status(Failures { hash_mismatch: true, ..none }), Some(102));
        assert_eq!(status(Failures { timed_out: true, hash_mismatch: true, ..none }), Some(103));
        assert_eq!(status(Failures { check_mismatch: true, ..none }), Some(104));
        assert_eq!(status(Failures { check_mismatch: true, permanent: true, ..none }), Some(108));
    }
}
