//! One probe: a program of the system's is run in a view.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mounter::jail::{EntryMode, ExitOutcome, JailSpec, Mac, Spawner, StdioFds, User};
use mounter::profile::{Files, NetworkAccess, Profile};
use nfs_server::view::{Access, Entry, Owner, ViewSpec};

use crate::backend::Nfs;
use crate::cancel::Cancel;
use crate::entry::system as mac;
use crate::recovery::StateDir;
use crate::server::ServeOptions;
use crate::session::{self, Privilege, SessionError, Setup};
use crate::work_dir::{Layout, TopDir, WorkDir, WorkDirError};

/// Programs of the system's, which need its shared cache.
const TOUCH: &str = "/usr/bin/touch";
const CONNECT: &str = "/usr/bin/nc";
const SHELL: &str = "/bin/bash";
/// Signs programs where they are.
const CODESIGN: &str = "/usr/bin/codesign";

/// The copy of loopbox in the directory that is written to.
const OWN: &str = "program";

/// What the first leaves.
const PROOF: &str = "proof";

/// Where it is made: the program has to reach its view there.
const PLACE: &str = "/private/tmp";

/// A user who owns nothing (`nobody` of macOS).
const NOBODY: User = User::new(u32::MAX - 1, u32::MAX - 1);

/// How the view of a probe is entered.
pub(super) struct Probe<'a> {
    pub mode: EntryMode,
    pub image: Option<&'a Path>,
    pub state: &'a StateDir,
    pub loopbox: &'a Path,
}

/// What is run in it.
#[derive(Clone, Copy)]
pub(super) enum ProbeProgram {
    /// It leaves something to be seen.
    Touch,
    /// It connects to a port of this machine, or else to the server's.
    Connect(Option<u16>),
    /// A shell of the system's, which leaves the same.
    Shell,
    /// loopbox itself, signed by nobody, with the shared cache mapped for it alone. It does nothing.
    Own,
}

/// Why nothing was run.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProbeError {
    #[error(transparent)]
    Make(#[from] WorkDirError),
    #[error("cannot open /dev/null")]
    Quiet(#[source] io::Error),
    #[error("cannot copy loopbox to be signed")]
    Copy(#[source] io::Error),
    #[error("codesign does not sign the copy of loopbox: {0}")]
    Sign(String),
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl Probe<'_> {
    /// How the program ended, and whether it left something.
    pub(super) fn run(&self, program: ProbeProgram) -> Result<(ExitOutcome, bool), ProbeError> {
        let base = Path::new(PLACE).join(mounter::unguessable("loopbox-trial"));
        let written = base.join("written");
        let top = TopDir { children: vec![written.clone()], ..TopDir::new(base) };
        let layout = Layout { tops: vec![top], mount_in: Some(0), reachable: true };
        let work_dir = WorkDir::create(self.state, layout)?;
        if let ProbeProgram::Own = program {
            sign(self.loopbox, &written.join(OWN))?;
        }
        let view = self.view(program, &written);
        let setup = Setup {
            view: &view,
            user: &NOBODY,
            backend: &Nfs::default(),
            work_dir: &work_dir,
            privilege: Privilege::Own(&Spawner::new(self.loopbox.into())),
            serve: ServeOptions::default(),
        };
        let session = setup.open().map_err(SessionError::from)?;
        let jail = self.jail(program, work_dir.mount_point(), session.port());
        let ended = session.run(session::Program {
            jail,
            stdio: StdioFds::null().map_err(ProbeError::Quiet)?,
            terminal: None,
            cancel: &Cancel::default(),
            stop: &Cancel::default(),
            worthless_on_failure: false,
        })?;
        Ok((ended.outcome, written.join(PROOF).symlink_metadata().is_ok()))
    }

    fn view(&self, program: ProbeProgram, written: &Path) -> ViewSpec {
        let directory = |at: &str| Entry::Directory { at: at.into(), mode: 0o755, owner: Owner::default() };
        let owner = Owner { uid: NOBODY.uid, gid: NOBODY.gid };
        let mut entries =
            vec![Entry::Scratch { at: "/build".into(), source: written.into(), mode: 0o700, owner }];
        if self.mode.changes_root() {
            let graft =
                |at: PathBuf| Entry::Graft { source: at.clone(), at, access: Access::Ro, optional: true };
            entries.push(directory("/dev"));
            entries.extend((self.mode == EntryMode::Cryptex).then(|| directory(mac::CRYPTEX)));
            entries.extend(mac::links());
            entries.extend(mac::system_paths(self.mode).into_iter().map(graft));
            entries.extend(program.of_the_system().map(|path| graft(path.into())));
        }
        ViewSpec { entries }
    }

    fn jail(&self, program: ProbeProgram, mount_point: &Path, port: Option<u16>) -> JailSpec {
        let own_root = self.mode.changes_root();
        let build = if own_root { PathBuf::from("/build") } else { mount_point.join("build") };
        let image = self.image.filter(|_| self.mode == EntryMode::Cryptex);
        let path = program.of_the_system().map_or_else(|| build.join(OWN), PathBuf::from);
        let mut argv = vec![path.clone()];
        argv.extend(program.arguments(port, &build));
        let argv = argv.into_iter().map(PathBuf::into_os_string).collect();
        JailSpec {
            mac: Some(Mac {
                mode: self.mode,
                profile: Profile {
                    files: self.files(program, &build),
                    network: program.network(),
                    extra: String::new(),
                },
                devices: own_root.then(|| "/dev".into()),
                image: image.map(|image| (image.into(), mac::CRYPTEX.into())),
                record: None,
                architecture: None,
                // Other programs of the system run as this user.
                alone: false,
            }),
            env: program.environment(),
            cwd: build,
            ..JailSpec::new(NOBODY, path, argv)
        }
    }

    fn files(&self, program: ProbeProgram, build: &Path) -> Files {
        if self.mode.changes_root() {
            return Files::View;
        }
        let mut read = mac::system_paths(self.mode);
        read.extend(program.of_the_system().map(PathBuf::from));
        Files::Listed { fixed: Vec::new(), read, write: vec![build.into()], lists_above: false }
    }
}

impl ProbeProgram {
    /// Its path, if it is a program of the system's.
    fn of_the_system(self) -> Option<&'static str> {
        match self {
            ProbeProgram::Touch => Some(TOUCH),
            ProbeProgram::Connect(_) => Some(CONNECT),
            ProbeProgram::Shell => Some(SHELL),
            ProbeProgram::Own => None,
        }
    }

    /// Whether it leaves something when it has run.
    pub(super) fn writes(self) -> bool {
        matches!(self, ProbeProgram::Touch | ProbeProgram::Shell)
    }

    fn arguments(self, server: Option<u16>, build: &Path) -> Vec<PathBuf> {
        match self {
            ProbeProgram::Touch => vec![build.join(PROOF)],
            ProbeProgram::Shell => {
                ["-c", ": >\"$0\""].map(PathBuf::from).into_iter().chain([build.join(PROOF)]).collect()
            }
            ProbeProgram::Own => vec!["--version".into()],
            ProbeProgram::Connect(port) => {
                let port = port.or(server).unwrap_or_default().to_string();
                ["-z", "-w", "2", "127.0.0.1", &port].map(PathBuf::from).into()
            }
        }
    }

    /// What dyld reads (`DyldProcessConfig.cpp`).
    fn environment(self) -> Vec<(OsString, OsString)> {
        if !matches!(self, ProbeProgram::Own) {
            return Vec::new();
        }
        let directory = mac::CACHE_DIRECTORIES.into_iter().find(|directory| Path::new(directory).exists());
        let directory = directory.map(|directory| ("DYLD_SHARED_CACHE_DIR".into(), directory.into()));
        directory.into_iter().chain([("DYLD_SHARED_REGION".into(), "private".into())]).collect()
    }

    fn network(self) -> NetworkAccess {
        match self {
            ProbeProgram::Connect(_) => NetworkAccess::Local,
            ProbeProgram::Touch | ProbeProgram::Shell | ProbeProgram::Own => NetworkAccess::None,
        }
    }
}

/// Makes a copy of a program with a signature that names nobody, as linkers give it.
fn sign(program: &Path, copy: &Path) -> Result<(), ProbeError> {
    fs::copy(program, copy).map_err(ProbeError::Copy)?;
    let mut codesign = Command::new(CODESIGN);
    codesign.args(["--force", "--sign", "-"]).arg(copy).stdin(Stdio::null());
    let output = codesign.output().map_err(ProbeError::Copy)?;
    if output.status.success() {
        return Ok(());
    }
    Err(ProbeError::Sign(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
