//! The files that a server may open, by landlock(7): the kernel asks for each open(2), whatever path led there.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope, make_bitflags,
};
use nfs_server::view::{Access, Entry, ViewSpec};
use rustix::fs::{FileType, Mode, OFlags};

/// Rules that are not in force yet.
pub(super) struct LandlockRules(Option<RulesetCreated>);

impl LandlockRules {
    /// Those of a view. None on a kernel without landlock, or with its first version (Linux 5.13), which lets nobody move a
    /// file from one directory to another.
    pub fn of(view: &ViewSpec) -> io::Result<LandlockRules> {
        if !can_move_files() {
            tracing::debug!(
                "this kernel cannot restrict the view's server to the files of the view (landlock)"
            );
            return Ok(LandlockRules(None));
        }
        let mut rules = ruleset().map_err(io::Error::other)?;
        for entry in &view.entries {
            let (source, access) = match entry {
                // Only looked up, which nothing forbids: nothing of it is ever opened.
                Entry::Graft { access: Access::Phantom, .. } => continue,
                Entry::Graft { source, access, .. } => (source, *access),
                Entry::Scratch { source, .. } => (source, Access::Rw),
                _ => continue,
            };
            rules = match rule(source, access)? {
                Some(rule) => rules.add_rule(rule).map_err(io::Error::other)?,
                None => rules,
            };
        }
        Ok(LandlockRules(Some(rules)))
    }

    /// Puts them in force, for good.
    pub fn apply(self) -> io::Result<()> {
        match self.0 {
            Some(rules) => rules.restrict_self().map(drop).map_err(io::Error::other),
            None => Ok(()),
        }
    }
}

/// What is allowed with a source; nothing with what has no data, or is not there.
fn rule(source: &Path, access: Access) -> io::Result<Option<PathBeneath<OwnedFd>>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = |path: &Path| rustix::fs::open(path, flags, Mode::empty());
    let opened = match open(source) {
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        opened => opened?,
    };
    let data = match access {
        Access::Rw => make_bitflags!(AccessFs::{ReadFile | WriteFile | Truncate}),
        Access::Ro | Access::Fixed | Access::Phantom => make_bitflags!(AccessFs::{ReadFile}),
    };
    Ok(match FileType::from_raw_mode(rustix::fs::fstat(&opened)?.st_mode) {
        FileType::Directory if access == Access::Rw => Some(PathBeneath::new(opened, data | change_names())),
        FileType::Directory => Some(PathBeneath::new(opened, data | AccessFs::ReadDir)),
        FileType::RegularFile if access == Access::Fixed => Some(PathBeneath::new(opened, data)),
        // Somebody may put another file in its place, which is shown then.
        FileType::RegularFile => {
            let directory = source.parent().unwrap_or(source);
            let directory = rustix::fs::open(directory, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            Some(PathBeneath::new(directory, data))
        }
        _ => None,
    })
}

/// Everything that names stand for, but for devices.
fn change_names() -> BitFlags<AccessFs> {
    make_bitflags!(AccessFs::{
        ReadDir | MakeReg | MakeDir | MakeSym | MakeFifo | MakeSock | RemoveFile | RemoveDir | Refer
    })
}

/// Rules by which nothing is allowed that any kernel could forbid.
fn ruleset() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))?
        .handle_access(AccessNet::from_all(ABI::V5))?
        .scope(Scope::from_all(ABI::V6))?
        .create()
}

pub(super) fn can_move_files() -> bool {
    let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    rules.handle_access(AccessFs::Refer).and_then(Ruleset::create).is_ok()
}
