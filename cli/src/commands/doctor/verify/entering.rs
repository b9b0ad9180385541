//! The ways into a view.

#[cfg(target_os = "macos")]
use mounter::ways::{Trial, Way};

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
    attempt(ground, Way::Chroot)
}

#[cfg(target_os = "macos")]
pub fn cryptex(ground: &Ground) -> Verdict {
    attempt(ground, Way::Cryptex)
}

#[cfg(target_os = "macos")]
pub fn profile(ground: &Ground) -> Verdict {
    attempt(ground, Way::Profile)
}

#[cfg(target_os = "macos")]
pub fn port(ground: &Ground) -> Verdict {
    let loopbox = itself::program().doing("finding this program")?;
    builder::entering::port_is_closed(&ground.notes, &loopbox).doing("connecting from a sandbox")?;
    Ok("another port is reached, the server's is not".into())
}

/// Tried even where the decision is made without: that is what is to be found out.
#[cfg(target_os = "macos")]
fn attempt(ground: &Ground, way: Way) -> Verdict {
    let loopbox = itself::program().doing("finding this program")?;
    let facts = builder::entering::look();
    let protection = format!("System Integrity Protection: {:?}", facts.sip);
    if way == Way::Cryptex && facts.cryptex.is_none() {
        return Err(super::Trouble::NotHere("this system has no such disk image".into()));
    }
    match builder::entering::attempt(way, facts.cryptex.as_deref(), &ground.notes, &loopbox) {
        Trial::Works => Ok(format!("a program of the system's ran, and wrote to the view ({protection})")),
        // Where files are protected, this is what is to be expected, and no fault.
        Trial::Fails(said) if way != Way::Profile => {
            Err(super::Trouble::NotHere(format!("it does not work here: {said} ({protection})")))
        }
        Trial::Fails(said) => Err(super::Trouble::Failed(said)),
        Trial::Untried => Err(super::Trouble::Failed("it was not tried".into())),
    }
}

#[cfg(not(target_os = "macos"))]
pub use elsewhere::{chroot, cryptex, port, profile};

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

    pub fn profile(_ground: &Ground) -> Verdict {
        only_on_macos("has sandbox profiles")
    }

    pub fn port(_ground: &Ground) -> Verdict {
        only_on_macos("has sandbox profiles")
    }
}
