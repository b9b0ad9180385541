//! Applies [`SystemCalls`] to this process: seccomp(2), landlock(7), personality(2).

use std::io;

use defences::Defence;
use landlock::{CompatLevel, Compatible, Ruleset, RulesetAttr, Scope};
use nix::sys::personality::{self, Persona};

use super::SystemCalls;
use crate::jail::filter;
use crate::sys;

impl SystemCalls {
    /// Applies them to this process and its children.
    pub(in crate::jail) fn apply(&self) -> io::Result<()> {
        if self.filtered && Defence::SystemCalls.stands() {
            sys::filter_calls(&filter::program()?)?;
        }
        if self.own_abstract_sockets && Defence::AbstractSockets.stands() {
            scope_abstract_sockets().map_err(io::Error::other)?;
        }
        self.become_persona()
    }

    fn become_persona(&self) -> io::Result<()> {
        /// `PER_LINUX32` of linux/personality.h.
        const LINUX32: Persona = Persona::from_bits_retain(8);
        /// `UNAME26` there, which musl's headers leave out.
        const UNAME26: Persona = Persona::from_bits_retain(0x002_0000);
        let mut persona = if self.says_32_bits { LINUX32 } else { personality::get()? };
        persona.set(UNAME26, self.says_linux_26);
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

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
    use std::process::Command;

    use nix::sys::prctl;

    use super::*;

    /// Names the socket to the process that is to be kept from it.
    const SOCKET: &str = "SCOPED_SOCKET";

    /// Not a test of its own: the process of the test below.
    #[test]
    fn scoped() {
        let Ok(name) = std::env::var(SOCKET) else { return };
        let address = SocketAddr::from_abstract_name(name).unwrap();
        prctl::set_no_new_privs().unwrap();
        SystemCalls { own_abstract_sockets: true, ..SystemCalls::default() }.apply().unwrap();
        println!("connected: {}", UnixStream::connect_addr(&address).is_ok());
    }

    #[test]
    fn only_its_scope_keeps_a_program_from_the_machines_abstract_sockets() {
        if !can_scope() {
            println!("not tried: it takes a kernel whose landlock has scopes");
            return;
        }
        let name = format!("loopbox-scoped-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let _listens = UnixListener::bind_addr(&address).unwrap();
        for (without, connects) in [("", false), (Defence::AbstractSockets.name(), true)] {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "jail::system_calls::apply::tests::scoped", "--nocapture"]);
            let output = command.env(SOCKET, &name).env(defences::VARIABLE, without).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains(&format!("connected: {connects}")), "without {without:?}: {text}");
        }
    }
}
