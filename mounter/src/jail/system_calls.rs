//! How the kernel treats the program's system calls: its personality, what of it is refused, whom it can reach.

use std::io;

use landlock::{CompatLevel, Compatible, Ruleset, RulesetAttr, Scope};
use nix::sys::personality::{self, Persona};
use serde::{Deserialize, Serialize};

use super::filter;
use crate::sys;

/// What a program is told and allowed. By default as much as any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SystemCalls {
    /// Set-id modes cannot be set (`EPERM`) and extended attributes neither read nor set (`ENOTSUP`), whatever file
    /// system a file is on: what Nix's setting `filter-syscalls` stands for. Takes no new privileges.
    pub filtered: bool,
    /// Abstract Unix sockets of processes outside cannot be connected to, where the kernel knows how to refuse it
    /// (landlock(7), Linux 6.12). Takes no new privileges.
    pub own_abstract_sockets: bool,
    /// The machine says that it has 32 bits (`PER_LINUX32`).
    pub says_32_bits: bool,
    /// The kernel says that it is a Linux 2.6 (`UNAME26`).
    pub says_linux_26: bool,
    /// Addresses are the same in every run (`ADDR_NO_RANDOMIZE`).
    pub same_addresses: bool,
}

impl SystemCalls {
    /// Makes it so for this process and all that come of it.
    pub(super) fn apply(&self) -> io::Result<()> {
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

fn scope_abstract_sockets() -> Result<(), landlock::RulesetError> {
    let rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
    rules.scope(Scope::AbstractUnixSocket)?.create()?.restrict_self()?;
    Ok(())
}
