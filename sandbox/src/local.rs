//! Scratches of a served view that are the machine's own directories in the jail.
//!
//! The view serves a scratch like anything else. The jail mounts over it the very directory that the server shows there, so
//! that what is written takes no server. What stays on the machine is served always: what it may be is for the server to say.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nfs_server::view::{Entry, ViewSpec};
use serde::{Deserialize, Serialize};

/// How the scratches of a served view are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scratches {
    /// As the machine's own, where this system can mount them in a jail. What is mounted needs no server, which then can
    /// neither count nor change anything there.
    Local,
    /// Over NFS, as everything else.
    Nfs,
    /// In a farm of hard links itself, which needs no mount for them.
    Farm,
}

/// A word that is neither.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownScratches {
    /// It is nothing.
    #[error("{0:?} is none of local, nfs, and farm")]
    Unknown(String),
    /// This system has no bind mounts.
    #[error(
        "macOS has no bind mounts: what is written can only be reached over nfs, or in a farm of hard links"
    )]
    NotHere,
}

impl Default for Scratches {
    fn default() -> Scratches {
        if cfg!(target_os = "linux") { Scratches::Local } else { Scratches::Nfs }
    }
}

impl fmt::Display for Scratches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Scratches::Local => "local",
            Scratches::Nfs => "nfs",
            Scratches::Farm => "farm",
        })
    }
}

impl FromStr for Scratches {
    type Err = UnknownScratches;

    fn from_str(word: &str) -> Result<Scratches, UnknownScratches> {
        match word {
            "local" if cfg!(target_os = "linux") => Ok(Scratches::Local),
            "local" => Err(UnknownScratches::NotHere),
            "nfs" => Ok(Scratches::Nfs),
            "farm" => Ok(Scratches::Farm),
            word => Err(UnknownScratches::Unknown(word.into())),
        }
    }
}

impl Scratches {
    /// The scratches of a view that are local, but for `served`, whose contents are worth more if nobody outside can have
    /// them open.
    ///
    /// A scratch with another entry below it is served as well: a mount would hide that entry.
    #[must_use]
    pub fn local_in(self, view: &ViewSpec, served: Option<&Path>) -> Vec<PathBuf> {
        if self != Scratches::Local {
            return Vec::new();
        }
        let alone = |place: &Path| {
            let below = |other: &Entry| other.at() != place && other.at().starts_with(place);
            !view.entries.iter().any(below)
        };
        let scratches = view.entries.iter().filter(|entry| matches!(entry, Entry::Scratch { .. }));
        let may_be = |place: &&Path| *place != Path::new("/") && Some(*place) != served && alone(place);
        scratches.map(Entry::at).filter(may_be).map(Path::to_path_buf).collect()
    }
}

/// The directory of the machine that a scratch is.
pub(crate) fn source<'a>(view: &'a ViewSpec, scratch: &Path) -> Option<&'a Path> {
    view.entries.iter().find_map(|entry| match entry {
        Entry::Scratch { at, source, .. } if at == scratch => Some(&**source),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use nfs_server::view::{Access, Owner};

    use super::*;

    fn scratch(at: &str) -> Entry {
        Entry::Scratch { at: at.into(), source: "/s".into(), mode: 0o700, owner: Owner::default() }
    }

    fn graft(at: &str, access: Access) -> Entry {
        Entry::Graft { at: at.into(), source: "/g".into(), access, optional: false }
    }

    fn local(entries: Vec<Entry>) -> Vec<PathBuf> {
        Scratches::Local.local_in(&ViewSpec { entries }, Some(Path::new("/nix/store")))
    }

    #[test]
    fn scratches_are_local_and_what_is_shown_is_not() {
        let entries =
            vec![scratch("/build"), graft("/home", Access::Rw), scratch("/nix/store"), scratch("/tmp")];
        assert_eq!(local(entries.clone()), [Path::new("/build"), Path::new("/tmp")]);
        assert_eq!(Scratches::Nfs.local_in(&ViewSpec { entries }, None), [] as [&Path; 0]);
    }

    #[test]
    fn a_scratch_with_something_below_it_is_served() {
        let entries = vec![scratch("/tmp"), graft("/tmp/work", Access::Rw), scratch("/tmp-2")];
        assert_eq!(local(entries), [Path::new("/tmp-2")]);
        assert_eq!(local(vec![scratch("/"), graft("/etc", Access::Ro)]), [] as [&Path; 0]);
    }

    #[test]
    fn the_words_are_those_that_are_printed() {
        assert_eq!("nfs".parse(), Ok(Scratches::Nfs));
        assert_eq!(Scratches::default().to_string().parse(), Ok(Scratches::default()));
        let error = "tmpfs".parse::<Scratches>().unwrap_err();
        assert_eq!(error.to_string(), "\"tmpfs\" is none of local, nfs, and farm");
    }
}
