//! Entering a view: the entry modes of macOS.

#[cfg(target_os = "macos")]
use sandbox::entry::decision::{ProbeResult, Sip};
#[cfg(target_os = "macos")]
use sandbox::jail::EntryMode;

use super::fixture::Fixture;
use super::{CheckResult, Context, ensure, loopbox};
#[cfg(target_os = "macos")]
use crate::itself;

/// A program of the system's that prints its arguments, and how it is shown.
const PROGRAM: [&str; 2] =
    if cfg!(target_os = "macos") { ["--ro", "/bin/echo"] } else { ["--with", "/bin/echo"] };

/// In the entry mode that loopbox chooses itself.
pub fn run(fixture: &Fixture) -> CheckResult {
    let output = loopbox(&fixture.state)?
        .arg("run")
        .args(PROGRAM)
        .args(["--", PROGRAM[1], "entered"])
        .output()
        .context("starting loopbox")?;
    ensure(output.stdout == b"entered\n", || {
        format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr))
    })?;
    Ok(format!("{} ran in it", PROGRAM[1]))
}

#[cfg(target_os = "macos")]
pub fn chroot(fixture: &Fixture) -> CheckResult {
    probe_mode(fixture, EntryMode::Chroot)
}

#[cfg(target_os = "macos")]
pub fn cryptex(fixture: &Fixture) -> CheckResult {
    probe_mode(fixture, EntryMode::Cryptex)
}

#[cfg(target_os = "macos")]
pub fn profile(fixture: &Fixture) -> CheckResult {
    probe_mode(fixture, EntryMode::Profile)
}

/// Not an entry mode of loopbox: what it is good for is known once somebody has seen it work.
#[cfg(target_os = "macos")]
pub fn private_cache(fixture: &Fixture) -> CheckResult {
    let loopbox = itself::program().context("finding this program")?;
    let result = sandbox::entry::probe::probe_private_cache(&fixture.records, &loopbox);
    explain(result, "a program that is signed as Nix's are started, and mapped the shared cache for itself")
}

/// The system's programs may be bound to the system's volume (launch constraints), whatever is protected.
#[cfg(target_os = "macos")]
pub fn shell(fixture: &Fixture) -> CheckResult {
    if sandbox::entry::probe::inspect().sip == Sip::Protects {
        return Err(super::CheckError::NotHere(
            "this system's files are protected, so that nothing starts there".into(),
        ));
    }
    let loopbox = itself::program().context("finding this program")?;
    let result = sandbox::entry::probe::probe_shell(&fixture.records, &loopbox);
    explain(result, "/bin/bash ran, and wrote to the view")
}

#[cfg(target_os = "macos")]
pub fn port(fixture: &Fixture) -> CheckResult {
    let loopbox = itself::program().context("finding this program")?;
    sandbox::entry::probe::port_is_closed(&fixture.records, &loopbox).context("connecting from a sandbox")?;
    Ok("another port is reached, the server's is not".into())
}

/// Tried even where the decision is made without: that is what is to be found out.
#[cfg(target_os = "macos")]
fn probe_mode(fixture: &Fixture, mode: EntryMode) -> CheckResult {
    let loopbox = itself::program().context("finding this program")?;
    let capabilities = sandbox::entry::probe::inspect();
    if mode == EntryMode::Cryptex && capabilities.cryptex.is_none() {
        return Err(super::CheckError::NotHere("this system has no such disk image".into()));
    }
    match sandbox::entry::probe::probe(mode, capabilities.cryptex.as_deref(), &fixture.records, &loopbox) {
        ProbeResult::Fails(said) if mode == EntryMode::Profile => Err(super::CheckError::Failed(said)),
        result => explain(result, "a program of the system's ran, and wrote to the view"),
    }
}

/// The result of a probe that need not work: where files are protected, failing is to be expected, and no fault.
#[cfg(target_os = "macos")]
fn explain(result: ProbeResult, works: &str) -> CheckResult {
    let protection = format!("System Integrity Protection: {:?}", sandbox::entry::probe::inspect().sip);
    match result {
        ProbeResult::Works => Ok(format!("{works} ({protection})")),
        ProbeResult::Fails(said) => {
            Err(super::CheckError::NotHere(format!("it does not work here: {said} ({protection})")))
        }
        ProbeResult::Untried => Err(super::CheckError::Failed("it was not tried".into())),
    }
}

#[cfg(not(target_os = "macos"))]
pub use elsewhere::{chroot, cryptex, port, private_cache, profile, shell};

#[cfg(not(target_os = "macos"))]
mod elsewhere {
    use super::super::only_on_macos;
    use super::{CheckResult, Fixture};

    pub fn chroot(_ground: &Fixture) -> CheckResult {
        only_on_macos("enters views so; Linux has namespaces")
    }

    pub fn cryptex(_ground: &Fixture) -> CheckResult {
        only_on_macos("has a shared cache in a disk image")
    }

    pub fn private_cache(_ground: &Fixture) -> CheckResult {
        only_on_macos("has a shared cache of libraries")
    }

    pub fn shell(_ground: &Fixture) -> CheckResult {
        only_on_macos("binds its programs to a volume")
    }

    pub fn profile(_ground: &Fixture) -> CheckResult {
        only_on_macos("has sandbox profiles")
    }

    pub fn port(_ground: &Fixture) -> CheckResult {
        only_on_macos("has sandbox profiles")
    }
}
