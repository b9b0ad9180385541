//! The specification of a jail, as plain data.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::place::is_normalized;
use super::{Device, JailError, Limit, Local, Mac, Places, SystemCalls};
use crate::{MountOptions, Source, text};

/// Default size limit of shared memory.
const SHM_SIZE: &str = "50%";

/// What setresuid(2) and its like take for "as it is": nobody has this number, and who asked for it would stay root.
pub const NO_ID: u32 = u32::MAX;

/// The longest host or domain name that Linux takes, in bytes (`__NEW_UTS_LEN`).
const NAME_MAX: usize = 64;

/// A program and the root that it is started in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpawnRequest {
    /// The root directory.
    pub root: Root,
    /// Devices in it. No other device node works: the root is mounted `nodev`.
    #[serde(default)]
    pub devices: Vec<Device>,
    /// Places in it that are the machine's own, and may be written.
    #[serde(default)]
    pub local: Local,
    /// Who runs what there.
    pub spec: JailSpec,
}

/// Who runs what in a root, and with which limits. Paths are paths inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JailSpec {
    /// Who the program runs as.
    pub user: User,
    /// True for the host's network, false for one of its own with nothing but a loopback interface.
    pub network: bool,
    /// The machine's name inside.
    pub hostname: String,
    /// The machine's NIS domain inside; `(none)` is what a kernel starts with.
    pub domainname: String,
    /// An existing directory to mount the process file system on.
    pub proc: Option<PathBuf>,
    /// An existing directory to mount a new set of pseudo-terminals on.
    pub pts: Option<PathBuf>,
    /// An existing directory to mount an empty file system in memory on.
    pub shm: Option<PathBuf>,
    /// How large that may become: a number, with a unit or with `%` of the memory (tmpfs(5)).
    pub shm_size: String,
    /// The program to execute.
    #[serde(with = "text::path")]
    pub program: PathBuf,
    /// Its arguments, the zeroth included.
    #[serde(with = "text::list")]
    pub argv: Vec<OsString>,
    /// Its environment, nothing else.
    #[serde(with = "text::pairs")]
    pub env: Vec<(OsString, OsString)>,
    /// Where it starts.
    #[serde(with = "text::path")]
    pub cwd: PathBuf,
    /// Its file mode creation mask.
    pub umask: u32,
    /// Its resource limits, where they are not those of loopbox.
    pub limits: Vec<Limit>,
    /// Whether set-id programs and file capabilities give nothing inside.
    pub no_new_privs: bool,
    /// How the kernel treats its system calls.
    pub system_calls: SystemCalls,
    /// Whether the program leads a session of its own, without a controlling terminal.
    pub new_session: bool,
    /// Whether its standard input is a terminal that is to control this session: for a person at work inside.
    #[serde(default)]
    pub terminal: bool,
    /// Whether process 1 inside is one of loopbox's, and starts the program: process 1 has to reap orphans, and is ended
    /// by no signal that it does not handle. On macOS, which has no such process, it means nothing.
    #[serde(default)]
    pub own_init: bool,
    /// Whether loopbox's own [`Task`](super::Task) runs inside, with these arguments, rather than the program.
    #[serde(default)]
    pub own_task: bool,
    /// What makes it a jail on macOS; none elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
}

/// The root directory of a jail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Root {
    /// A served view, mounted for this jail alone.
    Nfs {
        /// What to mount.
        source: Source,
        /// Options of the mount.
        options: MountOptions,
        /// An existing host directory to mount it on; nobody outside the jail sees the mount.
        #[serde(with = "text::path")]
        mount_point: PathBuf,
    },
    /// A tree that is put together of mounts, for this jail alone.
    Places(Places),
    /// A host directory that is complete as it is.
    Directory(#[serde(with = "text::path")] PathBuf),
}

/// Who the program runs as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The user, as the host and the server know it.
    pub uid: u32,
    /// The group, as the host and the server know it.
    pub gid: u32,
    /// Further groups, as the host knows them.
    #[serde(default)]
    pub groups: Vec<u32>,
    /// The numbers that the two have inside: a user namespace in which no others exist. Without it, the numbers are
    /// the host's.
    #[serde(default)]
    pub inside: Option<Ids>,
}

/// A user and a group by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ids {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl SpawnRequest {
    /// Checks what can be checked without a system call.
    ///
    /// # Errors
    /// [`JailError::Spec`] with the first thing that is wrong.
    pub fn validate(&self) -> Result<(), JailError> {
        absolute(&self.root.path())?;
        let wrong = match &self.root {
            Root::Places(places) => places.first_wrong(),
            Root::Nfs { .. } | Root::Directory(_) => None,
        };
        let devices = self.devices.iter().map(|device| &*device.at);
        let mut places = devices.chain(self.local.places.iter().map(|place| &*place.at));
        if let Some(at) = wrong.or_else(|| places.find(|at| !is_normalized(at))) {
            let problem = format!("the place {at:?} is not an absolute, normalized path");
            return Err(JailError::Spec { problem });
        }
        if cfg!(target_os = "macos") && !self.devices.is_empty() {
            // Its devices are where it mounts a devfs, and nowhere else.
            return Err(JailError::Spec { problem: "macOS has no devices at places of one's own".into() });
        }
        if cfg!(target_os = "macos") && !self.local.places.is_empty() {
            return Err(JailError::Spec { problem: "macOS has no bind mounts".into() });
        }
        self.spec.validate()
    }
}

fn absolute(path: &Path) -> Result<(), JailError> {
    if path.is_absolute() {
        Ok(())
    } else {
        Err(JailError::Spec { problem: format!("the path {path:?} is not absolute") })
    }
}

impl JailSpec {
    /// The jail that gives a program the least: no network, none of the kernel's file systems, no environment, no new
    /// privileges, no calls that can be refused, a session of its own, and its root to start in. What a program needs
    /// besides is added by whoever asks for it.
    #[must_use]
    pub fn new(user: User, program: impl Into<PathBuf>, argv: Vec<OsString>) -> JailSpec {
        JailSpec {
            user,
            network: false,
            hostname: "localhost".into(),
            domainname: "(none)".into(),
            proc: None,
            pts: None,
            shm: None,
            shm_size: SHM_SIZE.into(),
            program: program.into(),
            argv,
            env: Vec::new(),
            cwd: "/".into(),
            umask: 0o022,
            limits: Vec::new(),
            no_new_privs: true,
            system_calls: SystemCalls::strict(),
            new_session: true,
            terminal: false,
            own_init: false,
            own_task: false,
            mac: None,
        }
    }

    /// Whether the view becomes the program's root directory.
    #[must_use]
    pub fn changes_root(&self) -> bool {
        self.mac.as_ref().is_none_or(|mac| mac.mode.changes_root())
    }

    /// Checks what can be checked without a system call.
    ///
    /// # Errors
    /// [`JailError::Spec`] with the first thing that is wrong.
    pub fn validate(&self) -> Result<(), JailError> {
        let places =
            [Some(&self.program), Some(&self.cwd), self.proc.as_ref(), self.pts.as_ref(), self.shm.as_ref()];
        places.into_iter().flatten().try_for_each(|path| absolute(path))?;
        for name in [&self.hostname, &self.domainname] {
            if name.is_empty() || name.len() > NAME_MAX {
                let problem = format!("the name {name:?} is empty or longer than {NAME_MAX} bytes");
                return Err(JailError::Spec { problem });
            }
        }
        if self.argv.is_empty() {
            return Err(JailError::Spec { problem: "the program has no zeroth argument".into() });
        }
        if self.shm_size.is_empty()
            || !self.shm_size.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'%')
        {
            let problem = format!("{:?} is not a size of a file system in memory", self.shm_size);
            return Err(JailError::Spec { problem });
        }
        if (self.system_calls.filtered || self.system_calls.own_abstract_sockets) && !self.no_new_privs {
            let problem = "only who takes no new privileges can have fewer calls".into();
            return Err(JailError::Spec { problem });
        }
        if self.umask & !0o777 != 0 {
            return Err(JailError::Spec {
                problem: format!("the umask {:o} has more than nine bits", self.umask),
            });
        }
        if self.user.numbers().any(|id| id == NO_ID) {
            return Err(JailError::Spec { problem: format!("nobody has the number {NO_ID}") });
        }
        if self.user.uid == 0 && self.user.inside.is_none() {
            // It could mount, make devices and load modules: the whole host is one such call away.
            return Err(JailError::Spec { problem: "root needs a user namespace of its own".into() });
        }
        if self.mac.is_some() != cfg!(target_os = "macos") {
            return Err(JailError::Spec { problem: "it is meant for another system".into() });
        }
        Ok(())
    }
}

impl User {
    /// A user with one group, and the host's numbers inside.
    #[must_use]
    pub const fn new(uid: u32, gid: u32) -> User {
        User { uid, gid, groups: Vec::new(), inside: None }
    }

    /// All numbers of users and groups that it has.
    fn numbers(&self) -> impl Iterator<Item = u32> {
        let inside = self.inside.iter().flat_map(|ids| [ids.uid, ids.gid]);
        [self.uid, self.gid].into_iter().chain(self.groups.iter().copied()).chain(inside)
    }
}

impl Root {
    /// The host directory that becomes the root.
    #[must_use]
    pub fn path(&self) -> Cow<'_, Path> {
        match self {
            Root::Nfs { mount_point, .. } => mount_point.into(),
            Root::Places(places) => places.root().into(),
            Root::Directory(path) => path.into(),
        }
    }

    /// Whether it is a mount of its own, with everything on it that belongs there.
    #[cfg(target_os = "linux")]
    pub(super) fn is_mount(&self) -> bool {
        matches!(self, Root::Places(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_nobody_would_leave_a_program_root() {
        let ids = |uid, gid| Some(Ids { uid, gid });
        let users = [
            User::new(NO_ID, 1),
            User::new(1, NO_ID),
            User { groups: vec![2, NO_ID], ..User::new(1, 1) },
            User { inside: ids(NO_ID, 0), ..User::new(1, 1) },
            User { inside: ids(0, NO_ID), ..User::new(1, 1) },
        ];
        for user in users {
            let error = JailSpec::new(user, "/p", vec!["p".into()]).validate().unwrap_err();
            assert_eq!(error.to_string(), "invalid jail specification: nobody has the number 4294967295");
        }
    }

    #[test]
    fn names_of_any_bytes_cross_the_pipe() {
        use std::os::unix::ffi::OsStringExt;
        let path: PathBuf = OsString::from_vec(b"/a/\xff".into()).into();
        let mut spec = JailSpec::new(User::new(1, 1), path.clone(), vec!["p".into()]);
        spec.cwd.clone_from(&path);
        let roots = [
            Root::Directory(path.clone()),
            Root::Nfs {
                source: Source { addr: ([127, 0, 0, 1], 1).into(), export: "/e".into(), namespace: None },
                options: MountOptions::default(),
                mount_point: path.clone(),
            },
        ];
        for root in roots {
            let request =
                SpawnRequest { root, devices: Vec::new(), local: Local::default(), spec: spec.clone() };
            let text = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<SpawnRequest>(&text).unwrap(), request);
        }
        let error = JailError::WorkingDirectory { path, source: std::io::ErrorKind::NotFound.into() };
        serde_json::to_string(&error).unwrap();
    }
}
