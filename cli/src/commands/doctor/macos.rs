//! What loopbox needs of macOS.

use std::path::Path;

use sandbox::entry::decision::{MODES, MacCapabilities, ProbeResult, Sip};
use sandbox::jail::EntryMode;
use sandbox::recovery::StateDir;

use super::{Finding, State};
use crate::globals::Globals;
use crate::itself;

pub(super) fn findings(globals: &Globals) -> Vec<Finding> {
    let capabilities = capabilities(globals);
    let mut findings = vec![client(), protection(&capabilities)];
    findings.extend(entry_modes(&capabilities));
    findings
}

fn client() -> Finding {
    const SUBJECT: &str = "NFS client";
    if Path::new("/sbin/mount_nfs").exists() {
        return Finding::good(SUBJECT, "/sbin/mount_nfs is there");
    }
    Finding::other(
        SUBJECT,
        State::Bad,
        "there is no /sbin/mount_nfs",
        "it is part of macOS: repair the system",
    )
}

/// Root probes, whatever was saved; others cannot.
fn capabilities(globals: &Globals) -> MacCapabilities {
    let seen = sandbox::entry::probe::inspect();
    let probed = || {
        let state = StateDir::open(&globals.state_dir).ok()?;
        sandbox::entry::probe::probe_again(&state, &globals.state_dir, &itself::program().ok()?).ok()
    };
    let known = if nix::unistd::geteuid().is_root() { probed() } else { None };
    known.unwrap_or(seen)
}

fn protection(capabilities: &MacCapabilities) -> Finding {
    const SUBJECT: &str = "System Integrity Protection";
    Finding::good(
        SUBJECT,
        match capabilities.sip {
            Sip::Protects => "it guards the system's files",
            Sip::Off => "it does not guard the system's files",
            Sip::Unknown => "'csrutil status' does not say whether it guards the system's files",
        },
    )
}

/// The entry mode, why none before it, and what it does not hold back.
fn entry_modes(capabilities: &MacCapabilities) -> Vec<Finding> {
    const SUBJECT: &str = "way into views";
    let decision = capabilities.decide();
    let reasons: Vec<String> =
        decision.refused.iter().map(|(mode, reason)| format!("no {mode}: {reason}")).collect();
    let Some(mode) = decision.mode else {
        let untried = MODES.iter().all(|mode| *capabilities.probe(*mode) == ProbeResult::Untried);
        let advice = if untried {
            "run it with sudo: ways are tried as root"
        } else {
            "'sudo loopbox doctor --verify' says more; please report it"
        };
        let state = if untried { State::Missing } else { State::Bad };
        return vec![Finding::other(SUBJECT, state, reasons.join("; "), advice)];
    };
    if mode == EntryMode::Chroot {
        return vec![Finding::good(SUBJECT, mode.to_string())];
    }
    let advice =
        "chroot takes a Mac whose system's files are not guarded: 'csrutil enable --without fs' in recovery";
    let lost = Finding::other("lost without chroot", State::Missing, mode.limitations().join("; "), advice);
    vec![Finding::good(SUBJECT, format!("{mode}; {}", reasons.join("; "))), lost]
}
