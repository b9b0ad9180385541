//! Which way into a view this Mac takes, found out by trials and kept until the system is another.

mod attempt;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mounter::jail::{EntryMode, ExitOutcome};

use crate::recovery::{StateDir, StateError};

use super::MacHost;
use super::decision::{Decision, Facts, Sip, Trial};
use crate::causes;
use attempt::{Attempt, Program};

/// The file that trials are kept in.
const KNOWN: &str = "ways.json";

/// Where systems have the disk image of their shared cache, below a directory for each volume group.
const PREBOOT: &str = "/System/Volumes/Preboot";
const IMAGE: &str = "cryptex1/current/os.dmg";

/// Why no way was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnterError {
    /// None of them works here.
    #[error("no way leads into a view on this Mac{}", reasons(.0))]
    NoWay(Decision),
    /// A trial could not be noted, or its result not be kept.
    #[error("cannot keep what was tried")]
    State(#[from] StateError),
    /// The same.
    #[error("cannot keep what was tried")]
    Keep(#[source] io::Error),
}

/// Why a profile does not close what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// There is nothing to connect to.
    #[error("cannot listen on a port")]
    Listen(#[source] io::Error),
    /// The program did not come to run.
    #[error("{0}")]
    Trial(String),
    /// It cannot connect to anything.
    #[error("a program that may connect to this machine cannot")]
    AllClosed,
    /// It can connect to the server.
    #[error("a program connects to the server's port, which its profile closes")]
    Open,
}

fn reasons(decision: &Decision) -> String {
    decision.refused.iter().map(|(way, reason)| format!("\n  {way}: {reason}")).collect()
}

/// The way that this Mac takes.
///
/// # Errors
/// When there is none.
pub fn host(state: &StateDir, state_path: &Path, loopbox: &Path) -> Result<MacHost, EnterError> {
    let facts = find(state, state_path, loopbox)?;
    let decision = facts.decide();
    match decision.way {
        Some(way) => Ok(MacHost { way, image: facts.cryptex }),
        None => Err(EnterError::NoWay(decision)),
    }
}

/// What is known of this Mac; what is not is tried, which takes root.
///
/// # Errors
/// When what was tried cannot be kept.
pub fn find(state: &StateDir, state_path: &Path, loopbox: &Path) -> Result<Facts, EnterError> {
    match look().known(&state_path.join(KNOWN)) {
        Some(known) => Ok(known),
        None => try_again(state, state_path, loopbox),
    }
}

/// Tries whatever is known already. What leads nowhere is not kept: the next one may have more luck.
///
/// # Errors
/// When what was tried cannot be kept.
pub fn try_again(state: &StateDir, state_path: &Path, loopbox: &Path) -> Result<Facts, EnterError> {
    let mut facts = look();
    let image = facts.cryptex.clone();
    facts.try_all(|way| attempt(way, image.as_deref(), state, loopbox));
    if facts.decide().way.is_some() {
        facts.keep(&state_path.join(KNOWN)).map_err(EnterError::Keep)?;
    }
    Ok(facts)
}

/// What can be seen without trying.
#[must_use]
pub fn look() -> Facts {
    let build = said("/usr/bin/sw_vers", &["-buildVersion"]).trim().to_owned();
    let sip = Sip::read(&said("/usr/bin/csrutil", &["status"]));
    Facts { build, sip, cryptex: find_image(), trials: Default::default() }
}

/// Tries one way, and says how it went.
#[must_use]
pub fn attempt(way: EntryMode, image: Option<&Path>, state: &StateDir, loopbox: &Path) -> Trial {
    judge(&Attempt { way, image, state, loopbox }, Program::Touch)
}

/// Tries whether a shell of the system's starts below another root. Since macOS 13 its programs may be bound to the
/// system's volume by launch constraints, which no source tells of.
#[must_use]
pub fn attempt_shell(state: &StateDir, loopbox: &Path) -> Trial {
    judge(&Attempt { way: EntryMode::Chroot, image: None, state, loopbox }, Program::Shell)
}

/// Tries whether a program that is signed as Nix's are, by nobody, starts below another root when it is told to map the
/// shared cache for itself: dyld then asks nothing of the cache's files but that they can be mapped
/// (`mapSplitCachePrivate` in `SharedCacheRuntime.cpp`), if the system lets the program choose
/// (`AMFI_DYLD_OUTPUT_ALLOW_CUSTOM_SHARED_CACHE`).
#[must_use]
pub fn attempt_private_cache(state: &StateDir, loopbox: &Path) -> Trial {
    judge(&Attempt { way: EntryMode::Chroot, image: None, state, loopbox }, Program::Own)
}

fn judge(attempt: &Attempt<'_>, program: Program) -> Trial {
    match attempt.run(program) {
        Ok((ExitOutcome::Exited(0), arrived)) if arrived || !program.writes() => Trial::Works,
        Ok((ExitOutcome::Exited(0), _)) => Trial::Fails("what was written did not arrive".into()),
        Ok((ExitOutcome::Exited(status), _)) => {
            Trial::Fails(format!("the program ended with status {status}"))
        }
        Ok((ExitOutcome::Signaled(libc::SIGKILL), _)) => Trial::Fails(
            "the program was killed, as the kernel does with those that it does not let start".into(),
        ),
        Ok((ExitOutcome::Signaled(signal), _)) => {
            Trial::Fails(format!("the program ended by signal {signal}"))
        }
        Err(error) => Trial::Fails(causes::in_a_line(&error)),
    }
}

/// Makes sure that a profile that allows connections to this machine closes the port of the server.
///
/// # Errors
/// When it does not, or closes others too.
pub fn port_is_closed(state: &StateDir, loopbox: &Path) -> Result<(), PortError> {
    let attempt = Attempt { way: EntryMode::Profile, image: None, state, loopbox };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(PortError::Listen)?;
    let other = listener.local_addr().map_err(PortError::Listen)?.port();
    let connects = |port| match attempt.run(Program::Connect(port)) {
        Ok((outcome, _)) => Ok(outcome == ExitOutcome::Exited(0)),
        Err(error) => Err(PortError::Trial(causes::in_a_line(&error))),
    };
    match (connects(Some(other))?, connects(None)?) {
        (true, false) => Ok(()),
        (false, _) => Err(PortError::AllClosed),
        (true, true) => Err(PortError::Open),
    }
}

fn find_image() -> Option<PathBuf> {
    let groups = fs::read_dir(PREBOOT).ok()?;
    let mut images: Vec<PathBuf> =
        groups.flatten().map(|group| group.path().join(IMAGE)).filter(|image| image.exists()).collect();
    images.sort();
    images.into_iter().next()
}

fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}
