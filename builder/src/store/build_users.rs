//! Build users: members of the group that Nix's setting `build-users-group` names, one for each build at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::unistd::{Gid, Group, Uid, User};

use sandbox::cancel::Cancel;

/// The users to choose from.
#[derive(Debug)]
pub struct BuildUsers {
    pool: PathBuf,
    group: Option<Members>,
}

/// A user who builds for us alone until this is dropped.
#[derive(Debug)]
pub struct BuildUser {
    /// User id on the host.
    pub uid: u32,
    /// Group id on the host.
    pub gid: u32,
    /// Other groups of the user, such as `kvm`.
    pub groups: Vec<u32>,
    lock: Option<File>,
}

#[derive(Debug)]
struct Members {
    gid: u32,
    users: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    user: User,
    /// All that the user is in: looked up once, as that takes longer than much else of a small build.
    groups: OnceLock<Vec<u32>>,
}

/// Why there is no build user.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// The group or one of its users cannot be looked up.
    #[error("cannot look up the {what} '{name}'")]
    LookUp {
        /// `group` or `user`.
        what: &'static str,
        /// Its name.
        name: String,
        /// The I/O error.
        source: io::Error,
    },
    /// The group does not exist.
    #[error("the group '{name}' of Nix's setting 'build-users-group' does not exist")]
    NoGroup {
        /// Its name.
        name: String,
    },
    /// The group has no members.
    #[error("the group '{name}' of Nix's setting 'build-users-group' has no members")]
    NoMembers {
        /// Its name.
        name: String,
    },
    /// A member of the group is no user, or is root.
    #[error("'{user}' in the group '{name}' cannot be a build user: {problem}")]
    Member {
        /// The group's name.
        name: String,
        /// The user's name.
        user: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// Somebody else's.
    #[error("uid {uid} is none of the build users of Nix's setting 'build-users-group'")]
    NotOurs {
        /// The user.
        uid: u32,
    },
    /// A lock file cannot be made.
    #[error("cannot open and lock {path:?}")]
    Lock {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}

impl BuildUsers {
    /// Looks up the group. An empty name means that builds run as this process' own user.
    ///
    /// # Errors
    /// When there is no such group, it has no members, or one of them is root.
    pub fn of_group(name: &str, state: &Path) -> Result<BuildUsers, UserError> {
        let pool = state.join("userpool");
        if name.is_empty() {
            return Ok(BuildUsers { pool, group: None });
        }
        let failed = |what, name: &str, error| UserError::LookUp {
            what,
            name: name.into(),
            source: io::Error::from(error),
        };
        let group = Group::from_name(name).map_err(|error| failed("group", name, error))?;
        let group = group.ok_or_else(|| UserError::NoGroup { name: name.into() })?;
        let mut users = Vec::new();
        for member in &group.mem {
            let user = User::from_name(member).map_err(|error| failed("user", member, error))?;
            let bad = |problem| UserError::Member { name: name.into(), user: member.clone(), problem };
            let user = user.ok_or_else(|| bad("there is no such user"))?;
            if user.uid.is_root() || user.uid == Uid::effective() {
                return Err(bad("it is the user that loopbox runs as"));
            }
            users.push(Member::new(user));
        }
        if users.is_empty() {
            return Err(UserError::NoMembers { name: name.into() });
        }
        Ok(BuildUsers { pool, group: Some(Members { gid: group.gid.as_raw(), users }) })
    }

    /// How many builds can run at once, when that is limited.
    #[must_use]
    pub fn count(&self) -> Option<usize> {
        self.group.as_ref().map(|group| group.users.len())
    }

    /// Takes a user that no other build has, of Nix or of loopbox. When all are taken, waits for whichever becomes
    /// free first; `None` when that is cancelled. `waiting` is called when that takes long.
    ///
    /// # Errors
    /// When the lock files cannot be made.
    pub fn acquire(&self, cancel: &Cancel, waiting: impl FnOnce()) -> Result<Option<BuildUser>, UserError> {
        cancel.until(|| self.try_acquire(), waiting)
    }

    /// Takes the user of a number, waiting until no other build has it; `None` when that is cancelled. `waiting` is
    /// called when that takes long.
    ///
    /// # Errors
    /// When it is no build user, or its lock file cannot be made.
    pub fn acquire_one(
        &self,
        uid: u32,
        cancel: &Cancel,
        waiting: impl FnOnce(),
    ) -> Result<Option<BuildUser>, UserError> {
        let not_ours = || UserError::NotOurs { uid };
        let Some(Members { gid, users }) = &self.group else {
            let ourselves = BuildUser::ourselves();
            return if ourselves.uid == uid { Ok(Some(ourselves)) } else { Err(not_ours()) };
        };
        let user = users.iter().find(|member| member.user.uid.as_raw() == uid).ok_or_else(not_ours)?;
        std::fs::create_dir_all(&self.pool)
            .map_err(|source| UserError::Lock { path: self.pool.clone(), source })?;
        cancel.until(|| self.try_acquire_one(user, *gid), waiting)
    }

    /// Some user, for a plan that nobody is going to run.
    #[must_use]
    pub fn example(&self) -> BuildUser {
        match &self.group {
            Some(Members { gid, users }) if !users.is_empty() => BuildUser::new(&users[0], *gid, None),
            _ => BuildUser::ourselves(),
        }
    }

    fn try_acquire(&self) -> Result<Option<BuildUser>, UserError> {
        let Some(Members { gid, users }) = &self.group else {
            return Ok(Some(BuildUser::ourselves()));
        };
        std::fs::create_dir_all(&self.pool)
            .map_err(|source| UserError::Lock { path: self.pool.clone(), source })?;
        for user in users {
            if let Some(user) = self.try_acquire_one(user, *gid)? {
                return Ok(Some(user));
            }
        }
        Ok(None)
    }

    fn try_acquire_one(&self, member: &Member, gid: u32) -> Result<Option<BuildUser>, UserError> {
        let (path, file) = self.open(&member.user)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(BuildUser::new(member, gid, Some(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(UserError::Lock { path, source }),
        }
    }

    fn open(&self, user: &User) -> Result<(PathBuf, File), UserError> {
        let path = self.pool.join(user.uid.to_string());
        let opened = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path);
        match opened {
            Ok(file) => Ok((path, file)),
            Err(source) => Err(UserError::Lock { path, source }),
        }
    }
}

impl BuildUser {
    /// Who runs loopbox, and so may have processes that are no builds.
    fn ourselves() -> BuildUser {
        let (uid, gid) = (Uid::effective().as_raw(), Gid::effective().as_raw());
        BuildUser { uid, gid, groups: Vec::new(), lock: None }
    }

    fn new(member: &Member, gid: u32, lock: Option<File>) -> BuildUser {
        let groups = member.groups().iter().copied().filter(|other| *other != gid).collect();
        BuildUser { uid: member.user.uid.as_raw(), gid, groups, lock }
    }

    /// The user as a plan names it.
    #[must_use]
    pub fn as_user(&self) -> sandbox::jail::User {
        sandbox::jail::User { groups: self.groups.clone(), ..sandbox::jail::User::new(self.uid, self.gid) }
    }

    /// Whether it is a user that does nothing but build.
    #[must_use]
    pub fn is_dedicated(&self) -> bool {
        self.lock.is_some()
    }
}

impl Member {
    fn new(user: User) -> Member {
        Member { user, groups: OnceLock::new() }
    }

    fn groups(&self) -> &[u32] {
        self.groups.get_or_init(|| groups_of(&self.user).into_iter().map(Gid::as_raw).collect())
    }
}

#[cfg(target_os = "linux")]
fn groups_of(user: &User) -> Vec<Gid> {
    let name = std::ffi::CString::new(user.name.as_str()).unwrap_or_default();
    nix::unistd::getgrouplist(&name, user.gid).unwrap_or_default()
}

/// Groups such as `kvm`, which builds are given on Linux, are not there on macOS.
#[cfg(not(target_os = "linux"))]
fn groups_of(user: &User) -> Vec<Gid> {
    vec![user.gid]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_group_builds_run_as_ourselves() {
        let users = BuildUsers::of_group("", Path::new("/nonexistent")).unwrap();
        let user = users.acquire(&Cancel::default(), || ()).unwrap().unwrap();
        assert_eq!((user.uid, user.is_dedicated(), users.count()), (Uid::effective().as_raw(), false, None));
    }

    fn user(uid: u32) -> User {
        User {
            name: format!("build{uid}"),
            uid: Uid::from_raw(uid),
            ..User::from_uid(Uid::effective()).unwrap().unwrap()
        }
    }

    #[test]
    fn whichever_user_becomes_free_is_taken_and_waiting_can_be_cancelled() {
        let pool = tempfile::tempdir().unwrap();
        let group = Some(Members { gid: 1, users: [30_001, 30_002].map(user).map(Member::new).into() });
        let users = BuildUsers { pool: pool.path().into(), group };
        let cancel = Cancel::default();
        let acquire = || users.acquire(&cancel, || ()).unwrap();
        let (first, second) = (acquire().unwrap(), acquire().unwrap());
        assert_eq!((first.uid, second.uid, users.example().uid), (30_001, 30_002, 30_001));
        std::thread::scope(|scope| {
            let third = scope.spawn(acquire);
            drop(second);
            let third = third.join().unwrap().unwrap();
            assert_eq!(third.uid, 30_002, "the first one is taken still");
            let waiting = scope.spawn(acquire);
            cancel.cancel();
            assert!(waiting.join().unwrap().is_none());
        });
    }

    #[test]
    fn a_group_that_does_not_exist_is_named() {
        let error =
            BuildUsers::of_group("no-such-group", Path::new("/nonexistent")).expect_err("no such group");
        assert_eq!(
            error.to_string(),
            "the group 'no-such-group' of Nix's setting 'build-users-group' does not exist"
        );
    }
}
