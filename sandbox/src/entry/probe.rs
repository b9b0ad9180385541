//! Which entry mode this Mac takes, found out by probes and saved until the system is another.

mod run;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mounter::jail::{EntryMode, ExitOutcome};

use crate::recovery::{StateDir, StateError};

use super::MacHost;
use super::decision::{Decision, MacCapabilities, ProbeResult, Sip};
use crate::causes;
use run::{Probe, ProbeProgram};

/// The file that the results of probes are saved in.
const PROBES_FILE: &str = "ways.json";

/// Where systems have the disk image of their shared cache, below a directory for each volume group.
const PREBOOT: &str = "/System/Volumes/Preboot";
const IMAGE: &str = "cryptex1/current/os.dmg";

/// Why no entry mode was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnterError {
    /// No mode works here.
    #[error("no entry mode works on this Mac{}", reasons(.0))]
    NoMode(Decision),
    /// A probe could not be recorded, or its result not be saved.
    #[error("cannot save the results of probes")]
    State(#[from] StateError),
    /// The results could not be saved.
    #[error("cannot save the results of probes")]
    Save(#[source] io::Error),
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
    Probe(String),
    /// It cannot connect to anything.
    #[error("a program that may connect to this machine cannot")]
    AllClosed,
    /// It can connect to the server.
    #[error("a program connects to the server's port, which its profile closes")]
    Open,
}

fn reasons(decision: &Decision) -> String {
    decision.refused.iter().map(|(mode, reason)| format!("\n  {mode}: {reason}")).collect()
}

/// The entry mode that this Mac takes.
///
/// # Errors
/// When there is none.
pub fn host(state: &StateDir, state_path: &Path, loopbox: &Path) -> Result<MacHost, EnterError> {
    let capabilities = find(state, state_path, loopbox)?;
    let decision = capabilities.decide();
    match decision.mode {
        Some(mode) => Ok(MacHost { mode, image: capabilities.cryptex }),
        None => Err(EnterError::NoMode(decision)),
    }
}

/// What this Mac allows: the saved results, or else those of new probes, which take root.
///
/// # Errors
/// When the results cannot be saved.
pub fn find(state: &StateDir, state_path: &Path, loopbox: &Path) -> Result<MacCapabilities, EnterError> {
    match inspect().load_saved(&state_path.join(PROBES_FILE)) {
        Some(known) => Ok(known),
        None => probe_again(state, state_path, loopbox),
    }
}

/// Probes again, whatever was saved. Results without a mode that works are not saved: the next probe may find one.
///
/// # Errors
/// When the results cannot be saved.
pub fn probe_again(
    state: &StateDir,
    state_path: &Path,
    loopbox: &Path,
) -> Result<MacCapabilities, EnterError> {
    let mut capabilities = inspect();
    let image = capabilities.cryptex.clone();
    capabilities.probe_all(|mode| probe(mode, image.as_deref(), state, loopbox));
    if capabilities.decide().mode.is_some() {
        capabilities.save(&state_path.join(PROBES_FILE)).map_err(EnterError::Save)?;
    }
    Ok(capabilities)
}

/// What can be seen without a probe.
#[must_use]
pub fn inspect() -> MacCapabilities {
    let build = output_of("/usr/bin/sw_vers", &["-buildVersion"]).trim().to_owned();
    let sip = Sip::read(&output_of("/usr/bin/csrutil", &["status"]));
    MacCapabilities { build, sip, cryptex: find_image(), probes: Default::default() }
}

/// Probes one entry mode.
#[must_use]
pub fn probe(mode: EntryMode, image: Option<&Path>, state: &StateDir, loopbox: &Path) -> ProbeResult {
    run_probe(&Probe { mode, image, state, loopbox }, ProbeProgram::Touch)
}

/// Tries whether a shell of the system's starts below another root. Since macOS 13 its programs may be bound to the
/// system's volume by launch constraints, which no source tells of.
#[must_use]
pub fn probe_shell(state: &StateDir, loopbox: &Path) -> ProbeResult {
    run_probe(&Probe { mode: EntryMode::Chroot, image: None, state, loopbox }, ProbeProgram::Shell)
}

/// Tries whether a program that is signed as Nix's are, by nobody, starts below another root when it is told to map the
/// shared cache for itself: dyld then asks nothing of the cache's files but that they can be mapped
/// (`mapSplitCachePrivate` in `SharedCacheRuntime.cpp`), if the system lets the program choose
/// (`AMFI_DYLD_OUTPUT_ALLOW_CUSTOM_SHARED_CACHE`).
#[must_use]
pub fn probe_private_cache(state: &StateDir, loopbox: &Path) -> ProbeResult {
    run_probe(&Probe { mode: EntryMode::Chroot, image: None, state, loopbox }, ProbeProgram::Own)
}

fn run_probe(probe: &Probe<'_>, program: ProbeProgram) -> ProbeResult {
    match probe.run(program) {
        Ok((ExitOutcome::Exited(0), arrived)) if arrived || !program.writes() => ProbeResult::Works,
        Ok((ExitOutcome::Exited(0), _)) => ProbeResult::Fails("what was written did not arrive".into()),
        Ok((ExitOutcome::Exited(status), _)) => {
            ProbeResult::Fails(format!("the program ended with status {status}"))
        }
        Ok((ExitOutcome::Signaled(libc::SIGKILL), _)) => ProbeResult::Fails(
            "the program was killed, as the kernel does with those that it does not let start".into(),
        ),
        Ok((ExitOutcome::Signaled(signal), _)) => {
            ProbeResult::Fails(format!("the program ended by signal {signal}"))
        }
        Err(error) => ProbeResult::Fails(causes::in_a_line(&error)),
    }
}

/// Makes sure that a profile that allows connections to this machine closes the port of the server.
///
/// # Errors
/// When it does not, or closes others too.
pub fn port_is_closed(state: &StateDir, loopbox: &Path) -> Result<(), PortError> {
    let probe = Probe { mode: EntryMode::Profile, image: None, state, loopbox };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(PortError::Listen)?;
    let other = listener.local_addr().map_err(PortError::Listen)?.port();
    let connects = |port| match probe.run(ProbeProgram::Connect(port)) {
        Ok((outcome, _)) => Ok(outcome == ExitOutcome::Exited(0)),
        Err(error) => Err(PortError::Probe(causes::in_a_line(&error))),
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

fn output_of(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}
