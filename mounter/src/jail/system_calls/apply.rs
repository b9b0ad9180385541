//! Applies [`SystemCalls`] to this process: seccomp(2), landlock(7), personality(2).

use std::io;

use landlock::{CompatLevel, Compatible, Ruleset, RulesetAttr, Scope};
use nix::sys::personality::{self, Persona};

use super::SystemCalls;
use crate::jail::filter;
use crate::sys;

impl SystemCalls {
    /// Applies them to this process and its children.
    pub(in crate::jail) fn apply(&self) -> io::Result<()> {
        if self.filtered {
            sys::filter_calls(&filter::program()?)?;
        }
        if self.own_abstract_sockets {
            scope_abstract_sockets().map_err(io::Error::other)?;
        }
        self.become_persona()
    }

    fn become_persona(&self) -> io::Result<()> {
        /// `PER_LINUX32` of linux/personality.h.
        const LINUX32: Persona = Persona::from_bits_retain(8);
        let mut persona = if self.says_32_bits { LINUX32 } else { personality::get()? };
        persona.set(Persona::UNAME26, self.says_linux_26);
        persona.set(Persona::ADDR_NO_RANDOMIZE, self.same_addresses);
        personality::set(persona)?;
        Ok(())
    }
}

/// Whether rules that ask for it can be made.
pub(super) fn can_scope() -> bool {
    let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    rules.scope(Scope::AbstractUnixSocket).and_then(landlock::Ruleset::create).is_ok()
}

fn scope_abstract_sockets() -> Result<(), landlock::RulesetError> {
    let rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
    rules.scope(Scope::AbstractUnixSocket)?.create()?.restrict_self()?;
    Ok(())
}
