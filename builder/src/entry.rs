//! Which way into a view this Mac takes, found out by trials and kept until the system is another.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mounter::jail::{Jail, JailError, JailSpec, Mac, Outcome, Stdio3, SystemCalls, User};
use mounter::profile::{Files, Network, Profile};
use mounter::stale::{Leftovers, StateDir, StateError};
use mounter::ways::{Decision, Facts, Sip, Trial, Way};
use nfs_server::view::{Access, Entry, Owner, ViewSpec};

use crate::backend::{Backend, BackendError, Nfs, Wish};
use crate::plan::{self, MacHost, mac};
use crate::scratch;

/// The file that trials are kept in.
const KNOWN: &str = "ways.json";

/// Where systems have the disk image of their shared cache, below a directory for each volume group.
const PREBOOT: &str = "/System/Volumes/Preboot";
const IMAGE: &str = "cryptex1/current/os.dmg";

/// A program of the system's that needs the shared cache, and leaves something to be seen.
const PROGRAM: &str = "/usr/bin/touch";
const PROOF: &str = "proof";

/// Where trials are made: the program has to reach its view there.
const TRIALS: &str = "/private/tmp";

/// A user who owns nothing (`nobody` of macOS).
const NOBODY: u32 = u32::MAX - 1;

/// Why no way was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
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

/// Why a trial failed before it began.
#[derive(Debug, thiserror::Error)]
enum TrialError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Place(#[from] io::Error),
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error(transparent)]
    Jail(#[from] JailError),
}

fn reasons(decision: &Decision) -> String {
    decision.refused.iter().map(|(way, reason)| format!("\n  {way}: {reason}")).collect()
}

/// The way that this Mac takes.
///
/// # Errors
/// When there is none.
pub fn host(state: &StateDir, state_path: &Path, loopbox: &Path) -> Result<MacHost, EntryError> {
    let facts = find(state, state_path, loopbox)?;
    let decision = facts.decide();
    match decision.way {
        Some(way) => Ok(MacHost { way, image: facts.cryptex }),
        None => Err(EntryError::NoWay(decision)),
    }
}

/// What is known of this Mac; what is not is tried, which takes root.
///
/// # Errors
/// When what was tried cannot be kept.
pub fn find(state: &StateDir, state_path: &Path, loopbox: &Path) -> Result<Facts, EntryError> {
    let mut facts = look();
    let file = state_path.join(KNOWN);
    if let Some(known) = facts.known(&file) {
        return Ok(known);
    }
    let image = facts.cryptex.clone();
    facts.try_all(|way| attempt(way, image.as_deref(), state, loopbox));
    facts.keep(&file).map_err(EntryError::Keep)?;
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
pub fn attempt(way: Way, image: Option<&Path>, state: &StateDir, loopbox: &Path) -> Trial {
    match run(way, image, state, loopbox) {
        Ok((Outcome::Exited(0), true)) => Trial::Works,
        Ok((Outcome::Exited(0), false)) => Trial::Fails("what was written did not arrive".into()),
        Ok((Outcome::Exited(status), _)) => Trial::Fails(format!("the program ended with status {status}")),
        Ok((Outcome::Signaled(signal), _)) => Trial::Fails(format!("the program ended by signal {signal}")),
        Err(error) => Trial::Fails(in_words(&error)),
    }
}

/// How the program ended, and whether it left what it should.
fn run(
    way: Way,
    image: Option<&Path>,
    state: &StateDir,
    loopbox: &Path,
) -> Result<(Outcome, bool), TrialError> {
    let base = Path::new(TRIALS).join(format!("loopbox-trial-{}", std::process::id()));
    let (mount_point, written) = (base.join("view.noindex"), base.join("written"));
    let leftovers = Leftovers { mount: Some(mount_point.clone()), temporary: vec![base.clone()] };
    let note = state.note(leftovers)?;
    scratch::remove(&base)?;
    for directory in [&base, &mount_point, &written] {
        scratch::make_private(directory)?;
    }
    fs::set_permissions(&base, Permissions::from_mode(0o711))?;
    let view = view(way, &written);
    let user = plan::User { uid: NOBODY, gid: NOBODY, groups: Vec::new() };
    let wish = Wish { view: &view, user: &user, at: &mount_point, note: &note, sink: None };
    let realised = Nfs::default().realise(wish)?;
    let spec = spec(way, image, &mount_point, realised.root());
    let quiet = Stdio3 { stdin: Stdio::null(), stdout: Stdio::null(), stderr: Stdio::null() };
    let ended = Jail::spawn(loopbox, &spec, quiet).and_then(Jail::wait);
    realised.end()?;
    let arrived = written.join(PROOF).symlink_metadata().is_ok();
    if !mounter::is_mount_point(&mount_point) {
        scratch::remove(&base)?;
    }
    drop(note);
    Ok((ended?, arrived))
}

fn view(way: Way, written: &Path) -> ViewSpec {
    let directory = |at: &str| Entry::Directory { at: at.into(), mode: 0o755, owner: Owner::default() };
    let owner = Owner { uid: NOBODY, gid: NOBODY };
    let mut entries =
        vec![Entry::Scratch { at: "/build".into(), source: written.into(), mode: 0o700, owner }];
    if way.changes_root() {
        let graft = |at: PathBuf| Entry::Graft { source: at.clone(), at, access: Access::Ro, optional: true };
        entries.push(directory("/dev"));
        entries.extend((way == Way::Cryptex).then(|| directory(mac::CRYPTEX)));
        entries.extend(mac::links());
        entries.extend(mac::system_paths(way).into_iter().map(graft));
        entries.push(graft(PROGRAM.into()));
    }
    ViewSpec { entries }
}

fn spec(way: Way, image: Option<&Path>, mount_point: &Path, root: mounter::jail::Root) -> JailSpec {
    let build = if way.changes_root() { PathBuf::from("/build") } else { mount_point.join("build") };
    let proof = build.join(PROOF);
    let files = if way.changes_root() {
        Files::View
    } else {
        let mut read = mac::system_paths(way);
        read.push(PROGRAM.into());
        Files::Listed { fixed: Vec::new(), read, write: vec![build.clone()] }
    };
    JailSpec {
        root,
        user: User { uid: NOBODY, gid: NOBODY, groups: Vec::new(), inside: None },
        network: false,
        hostname: "localhost".into(),
        domainname: "(none)".into(),
        proc: None,
        pts: None,
        shm: None,
        shm_size: "0".into(),
        program: PROGRAM.into(),
        argv: vec![PROGRAM.into(), proof.into()],
        env: Vec::new(),
        cwd: build,
        umask: 0o022,
        limits: Vec::new(),
        no_new_privs: true,
        system_calls: SystemCalls::default(),
        new_session: true,
        terminal: false,
        own_task: false,
        mac: Some(Mac {
            way,
            profile: Profile { files, network: Network::None, extra: String::new() },
            devices: way.changes_root().then(|| "/dev".into()),
            image: image.filter(|_| way == Way::Cryptex).map(|image| (image.into(), mac::CRYPTEX.into())),
            architecture: None,
            // Other programs of the system run as this user.
            alone: false,
        }),
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

fn in_words(error: &TrialError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text += &format!(": {cause}");
        next = cause.source();
    }
    text
}
