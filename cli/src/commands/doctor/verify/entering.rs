//! The ways into a view.

#[cfg(target_os = "macos")]
use sandbox::entry::decision::{ProbeResult, Sip};
#[cfg(target_os = "macos")]
use sandbox::jail::EntryMode;

use super::ground::Ground;
use super::{Doing, Verdict, demand, loopbox};
#[cfg(target_os = "macos")]
use crate::itself;

/// A program of the system's that prints its arguments, and how it is shown.
const PROGRAM: [&str; 2] =
    if cfg!(target_os = "macos") { ["--ro", "/bin/echo"] } else { ["--with", "/bin/echo"] };

/// Whichever way loopbox takes by itself.
pub fn run(ground: &Ground) -> Verdict {
    let output = loopbox(&ground.state)?
        .arg("run")
        .args(PROGRAM)
        .args(["--", PROGRAM[1], "entered"])
        .output()
        .doing("starting loopbox")?;
    demand(output.stdout == b"entered\n", || {
        format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr))
    })?;
    Ok(format!("{} ran in it", PROGRAM[1]))
}

#[cfg(target_os = "macos")]
pub fn chroot(ground: &Ground) -> Verdict {
    attempt(ground, EntryMode::Chroot)
}

#[cfg(target_os = "macos")]
pub fn cryptex(ground: &Ground) -> Verdict {
    attempt(ground, EntryMode::Cryptex)
}

#[cfg(target_os = "macos")]
pub fn profile(ground: &Ground) -> Verdict {
    attempt(ground, EntryMode::Profile)
}

/// No way that views are entered by: what it is good for is known once somebody has seen it work.
#[cfg(target_os = "macos")]
pub fn private_cache(ground: &Ground) -> Verdict {
    let loopbox = itself::program().doing("finding this program")?;
    let trial = sandbox::entry::probe::probe_private_cache(&ground.records, &loopbox);
    explain(trial, "a program that is signed as Nix's are started, and mapped the shared cache for itself")
}

/// The system's programs may be bound to the system's volume (launch constraints), whatever is protected.
#[cfg(target_os = "macos")]
pub fn shell(ground: &Ground) -> Verdict {
    if sandbox::entry::probe::inspect().sip == Sip::Protects {
        return Err(super::Trouble::NotHere(
            "this system's files are protected, so that nothing starts there".into(),
        ));
    }
    let loopbox = itself::program().doing("finding this program")?;
    let trial = sandbox::entry::probe::probe_shell(&ground.records, &loopbox);
    explain(trial, "/bin/bash ran, and wrote to the view")
}

#[cfg(target_os = "macos")]
pub fn port(ground: &Ground) -> Verdict {
    let loopbox = itself::program().doing("finding this program")?;
    sandbox::entry::probe::port_is_closed(&ground.records, &loopbox).doing("connecting from a sandbox")?;
    Ok("another port is reached, the server's is not".into())
}

/// Tried even where the decision is made without: that is what is to be found out.
#[cfg(target_os = "macos")]
fn attempt(ground: &Ground, mode: EntryMode) -> Verdict {
    let loopbox = itself::program().doing("finding this program")?;
    let facts = sandbox::entry::probe::inspect();
    if mode == EntryMode::Cryptex && facts.cryptex.is_none() {
        return Err(super::Trouble::NotHere("this system has no such disk image".into()));
    }
    match sandbox::entry::probe::probe(mode, facts.cryptex.as_deref(), &ground.records, &loopbox) {
        ProbeResult::Fails(said) if mode == EntryMode::Profile => Err(super::Trouble::Failed(said)),
        trial => explain(trial, "a program of the system's ran, and wrote to the view"),
    }
}

/// What came of trying what need not work: where files are protected, failing is to be expected, and no fault.
#[cfg(target_os = "macos")]
fn explain(trial: ProbeResult, works: &str) -> Verdict {
    let protection = format!("System Integrity Protection: {:?}", sandbox::entry::probe::inspect().sip);
    match trial {
        ProbeResult::Works => Ok(format!("{works} ({protection})")),
        ProbeResult::Fails(said) => {
            Err(super::Trouble::NotHere(format!("it does not work here: {said} ({protection})")))
        }
        ProbeResult::Untried => Err(super::Trouble::Failed("it was not tried".into())),
    }
}

#[cfg(not(target_os = "macos"))]
pub use elsewhere::{chroot, cryptex, port, private_cache, profile, shell};

#[cfg(not(target_os = "macos"))]
mod elsewhere {
    use super::super::only_on_macos;
    use super::{Ground, Verdict};

    pub fn chroot(_ground: &Ground) -> Verdict {
        only_on_macos("enters views so; Linux has namespaces")
    }

    pub fn cryptex(_ground: &Ground) -> Verdict {
        only_on_macos("has a shared cache in a disk image")
    }

    pub fn private_cache(_ground: &Ground) -> Verdict {
        only_on_macos("has a shared cache of libraries")
    }

    pub fn shell(_ground: &Ground) -> Verdict {
        only_on_macos("binds its programs to a volume")
    }

    pub fn profile(_ground: &Ground) -> Verdict {
        only_on_macos("has sandbox profiles")
    }

    pub fn port(_ground: &Ground) -> Verdict {
        only_on_macos("has sandbox profiles")
    }
}
