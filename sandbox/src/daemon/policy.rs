//! Who may ask for sessions, and for how many: a file of TOML.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nfs_server::parse_size;
use nfs_server::view::Quota;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::Peer;
use super::peer::{gid_of, uid_of};

/// The longest file that is read, in bytes.
const SIZE_MAX: u64 = 1 << 20;

/// Who may ask. Root may always.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    /// Users, by name or number.
    pub users: Vec<String>,
    /// Groups, by name or number. Nix's build users are of one, those that it allocates automatically too.
    pub groups: Vec<String>,
    /// How many sessions there are at once.
    pub max_sessions: usize,
    /// How many one user has at once.
    pub max_sessions_per_user: usize,
    /// How many bytes a session may write, whatever is asked for.
    #[serde(deserialize_with = "size")]
    pub max_bytes_per_session: Option<u64>,
    /// How many inodes a session may make, whatever is asked for.
    pub max_inodes_per_session: Option<u64>,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// It cannot be read.
    #[error("cannot read {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// Somebody else than root could change it.
    #[error("{path:?} says who may use loopbox's daemon: it has to be root's, and writable by nobody else")]
    NotRoots {
        /// The file.
        path: PathBuf,
    },
    /// It says something else.
    #[error("{path:?} is not a policy of loopbox's daemon")]
    Toml {
        /// The file.
        path: PathBuf,
        /// The underlying error.
        source: Box<toml::de::Error>,
    },
}

impl Default for Policy {
    /// Nix's build users, by the group that Nix's installers make.
    fn default() -> Policy {
        Policy {
            users: Vec::new(),
            groups: vec!["nixbld".into()],
            max_sessions: 256,
            max_sessions_per_user: 32,
            max_bytes_per_session: None,
            max_inodes_per_session: None,
        }
    }
}

impl Policy {
    /// Reads it; without a file it is the default one.
    ///
    /// # Errors
    /// It cannot be read, says something else, or is not root's alone.
    pub fn read(path: &Path) -> Result<Policy, PolicyError> {
        let unreadable = |source| PolicyError::Read { path: path.into(), source };
        let metadata = match path.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Policy::default()),
            metadata => metadata.map_err(unreadable)?,
        };
        if metadata.uid() != 0 || metadata.mode() & 0o022 != 0 {
            return Err(PolicyError::NotRoots { path: path.into() });
        }
        if metadata.len() > SIZE_MAX {
            return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        toml::from_str(&text)
            .map_err(|source| PolicyError::Toml { path: path.into(), source: Box::new(source) })
    }

    /// What a session may write at most.
    #[must_use]
    pub fn quota(&self) -> Quota {
        Quota { bytes: self.max_bytes_per_session, inodes: self.max_inodes_per_session }
    }

    /// Whether somebody may ask. Names are looked up each time: users come and go.
    #[must_use]
    pub fn allows(&self, peer: &Peer) -> bool {
        peer.uid == 0
            || self.users.iter().any(|user| uid_of(user) == Some(peer.uid))
            || self.groups.iter().any(|group| gid_of(group).is_some_and(|gid| peer.is_of_group(gid)))
    }
}

/// Bytes as a number, or as people write them.
fn size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a number of bytes, or a text such as '4 GiB'")]
    enum Size {
        Bytes(u64),
        Text(String),
    }
    match Size::deserialize(from)? {
        Size::Bytes(bytes) => Ok(Some(bytes)),
        Size::Text(text) => parse_size(&text).map(Some).map_err(D::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Result<Policy, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn what_is_not_said_is_as_by_default() {
        assert_eq!(policy("").unwrap(), Policy::default());
        let some = policy("users = ['alice', '1000']\nmax-sessions-per-user = 4").unwrap();
        assert_eq!(
            (some.users.len(), some.max_sessions_per_user, some.groups),
            (2, 4, vec!["nixbld".into()])
        );
        let error = policy("user = ['alice']").unwrap_err().to_string();
        assert!(error.contains("unknown field `user`"), "{error}");
    }

    /// The one that packages bring says in comments what holds without it.
    #[test]
    fn the_file_of_packages_changes_nothing() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/daemon.toml");
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(policy(&text).unwrap(), Policy::default());
        let lines =
            text.lines().filter_map(|line| line.strip_prefix("# ").filter(|line| line.contains(" = ")));
        let all = policy(&lines.collect::<Vec<_>>().join("\n")).unwrap();
        let limited = Policy {
            max_bytes_per_session: Some(50 << 30),
            max_inodes_per_session: Some(1_000_000),
            ..Policy::default()
        };
        assert_eq!(all, limited, "and the limits are examples");
    }

    #[test]
    fn a_session_may_be_limited_in_bytes_and_inodes() {
        let limited = policy("max-bytes-per-session = '50G'\nmax-inodes-per-session = 1000").unwrap();
        assert_eq!(limited.quota(), Quota { bytes: Some(50 << 30), inodes: Some(1000) });
        assert_eq!(policy("max-bytes-per-session = 4096").unwrap().quota().bytes, Some(4096));
        let error = policy("max-bytes-per-session = '10Q'").unwrap_err().to_string();
        assert!(error.contains("\"10Q\" is not a size"), "{error}");
    }

    #[test]
    fn only_who_is_listed_may_ask() {
        let peer = |uid, gid, groups: &[u32]| {
            let (one, _two) = std::os::unix::net::UnixStream::pair().unwrap();
            let mut peer = Peer::of(&one).unwrap();
            (peer.uid, peer.gid, peer.groups) = (uid, gid, groups.into());
            peer
        };
        let policy = policy("users = ['4711']\ngroups = ['815']").unwrap();
        assert!(policy.allows(&peer(0, 0, &[])));
        assert!(policy.allows(&peer(4711, 1, &[])));
        assert!(policy.allows(&peer(4712, 815, &[])));
        assert!(policy.allows(&peer(4712, 1, &[2, 815])));
        assert!(!policy.allows(&peer(4712, 1, &[2])));
    }
}
