//! From words to data: the view and the jail of one run.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use builder::plan::MacHost;
use builder::program;
use builder::store::Store;
use builder::store_path::StorePath;
use mounter::jail::{Ids, JailSpec, Mac, Root, SystemCalls, User};
use mounter::options::Changes;
use nfs_server::view::{Access, Entry, Owner, View, ViewSpec};

use super::bind::{Bind, without_slash};
use super::{Arguments, RunError, defaults, environment, mac};
use crate::error::CommandError;

/// All of one run as plain data.
#[derive(Debug)]
pub struct Plan {
    /// What the command sees.
    pub view: ViewSpec,
    /// Who it runs as.
    pub user: Owner,
    /// Who else changes what it sees.
    pub changes: Changes,
    /// The run's temporary directory.
    pub base: PathBuf,
    /// Directories to be made in it, the host side of the view's scratch.
    pub scratch: Vec<PathBuf>,
    env: Vec<(OsString, OsString)>,
    cwd: PathBuf,
    network: bool,
    hostname: String,
    mac: Option<Mac>,
    proc: Option<PathBuf>,
    pts: Option<PathBuf>,
    shm: Option<PathBuf>,
    command: Vec<OsString>,
}

impl Plan {
    /// Asks the host what `--with` and `--closure` mean; changes nothing.
    pub fn make(arguments: &Arguments, base: &Path, mac: Option<MacHost>) -> Result<Plan, CommandError> {
        let user = user(arguments);
        let mut own: Vec<Entry> = Vec::new();
        own.extend(arguments.ro.iter().map(|bind| bind.entry(Access::Ro)));
        own.extend(arguments.rw.iter().map(|bind| bind.entry(Access::Rw)));
        own.extend(closure(&arguments.closure)?);
        let mut scratch = Vec::new();
        for at in &arguments.tmpfs {
            let source = base.join(format!("scratch-{}", scratch.len()));
            let at = without_slash(&at.to_string_lossy());
            let mode = if at == Path::new("/tmp") { 0o1777 } else { 0o755 };
            own.push(Entry::Scratch { at, source: source.clone(), mode, owner: user });
            scratch.push(source);
        }
        let (programs, places) = programs(&arguments.with, &own)?;
        own.extend(programs);

        let tmp = base.join("tmp");
        let defaults = match &mac {
            None => defaults::entries(user, &arguments.hostname, &tmp),
            Some(host) => mac::entries(host, user, &arguments.hostname, &tmp),
        };
        let own_root = mac.as_ref().is_none_or(|host| host.way.changes_root());
        let mut entries = defaults::without_replaced(defaults, &own);
        if entries.iter().any(|entry| matches!(entry, Entry::Scratch { source, .. } if *source == tmp)) {
            scratch.push(tmp);
        }
        if mac.is_none() {
            entries.append(&mut own);
        }
        let shown = |directory: &Path| match own_root {
            true => defaults::shows_directory(&entries, directory),
            false => directory.is_dir(),
        };
        let caller = std::env::vars_os().collect();
        let mut env = environment::make(&caller, &arguments.env, arguments.preserve_env, &places, shown);
        let mac = match mac {
            None => None,
            Some(host) => Some(mac::enter(host, &mut entries, own, &mut env, base, arguments.net)?),
        };
        Ok(Plan {
            mac,
            proc: defaults::is_directory(&entries, "/proc"),
            pts: defaults::is_directory(&entries, "/dev/pts"),
            shm: defaults::is_directory(&entries, "/dev/shm"),
            view: ViewSpec { entries },
            user,
            changes: changes(arguments, Store::from_environment().directory()),
            base: base.into(),
            scratch,
            env,
            cwd: without_slash(&arguments.chdir.to_string_lossy()),
            network: arguments.net,
            hostname: arguments.hostname.clone(),
            command: arguments.command.clone(),
        })
    }

    /// The program in the view that the command's first word means.
    pub fn program(&self, view: &View) -> Result<PathBuf, RunError> {
        let word = Path::new(&self.command[0]);
        let exists = |program: &Path| match self.has_own_root() {
            true => view.find(program).is_ok(),
            false => program.exists(),
        };
        if word.as_os_str().as_bytes().contains(&b'/') {
            let program = self.cwd.join(word);
            return if exists(&program) { Ok(program) } else { Err(RunError::NoProgram(program)) };
        }
        self.search_path()
            .into_iter()
            .map(|directory| directory.join(word))
            .find(|program| exists(program))
            .ok_or_else(|| RunError::NotInPath(word.display().to_string()))
    }

    /// Whether the view is the command's root directory.
    pub fn has_own_root(&self) -> bool {
        self.mac.as_ref().is_none_or(|mac| mac.way.changes_root())
    }

    /// Where the command's words are looked up.
    pub fn search_path(&self) -> Vec<PathBuf> {
        std::env::split_paths(self.variable("PATH").unwrap_or_default()).collect()
    }

    /// Where the command's loader looks before anywhere else.
    pub fn library_path(&self) -> Vec<PathBuf> {
        std::env::split_paths(self.variable("LD_LIBRARY_PATH").unwrap_or_default()).collect()
    }

    /// The jail of a served view.
    pub fn jail(&self, root: Root, program: PathBuf) -> JailSpec {
        let Owner { uid, gid } = self.user;
        // Root keeps its number, and loses all power outside a namespace of its own.
        let user = User { inside: (uid == 0).then_some(Ids { uid, gid }), ..User::new(uid, gid) };
        JailSpec {
            network: self.network,
            hostname: self.hostname.clone(),
            proc: self.proc.clone(),
            pts: self.pts.clone(),
            shm: self.shm.clone(),
            env: self.env.clone(),
            cwd: self.cwd.clone(),
            // Programs that are no builders may well set modes and attributes of their own files.
            system_calls: SystemCalls::default(),
            own_init: true,
            mac: self.mac.clone(),
            ..JailSpec::new(root, user, program, self.command.clone())
        }
    }

    /// The view and the jail. The root of the jail is known only when the view is served, so it is left out.
    pub fn to_json(&self) -> Result<serde_json::Value, CommandError> {
        let word = PathBuf::from(&self.command[0]);
        let mut jail = serde_json::to_value(self.jail(Root::Directory(self.base.clone()), word))?;
        if let Some(fields) = jail.as_object_mut() {
            fields.remove("root");
        }
        Ok(serde_json::json!({ "view": self.view, "jail": jail }))
    }

    fn variable(&self, name: &str) -> Option<&OsStr> {
        self.env.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
    }
}

/// Under sudo, the user who called it; its numbers are sudo's own word.
fn user(arguments: &Arguments) -> Owner {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let uid = arguments.uid.or_else(|| number("SUDO_UID")).unwrap_or_else(|| nix::unistd::getuid().as_raw());
    let by_uid = || if arguments.uid.is_some() { Some(uid) } else { number("SUDO_GID") };
    let gid = arguments.gid.or_else(by_uid).unwrap_or_else(|| nix::unistd::getgid().as_raw());
    Owner { uid, gid }
}

/// Whoever is shown directories of his own goes on working there meanwhile, and is to see what he did. Store paths never
/// change, and neither does what `--with` shows while a command runs: the machine's own programs and libraries.
fn changes(arguments: &Arguments, store: &Path) -> Changes {
    let may_change = |bind: &Bind| !bind.source.starts_with(store);
    if arguments.rw.is_empty() && !arguments.ro.iter().any(may_change) {
        Changes::Exclusive
    } else {
        Changes::Live
    }
}

fn closure(paths: &[PathBuf]) -> Result<Vec<Entry>, CommandError> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let store = Store::from_environment();
    let mut roots = std::collections::BTreeSet::new();
    for path in paths {
        roots.insert(StorePath::containing(path, store.directory())?);
    }
    let graft = |path: StorePath| {
        let at = store.locate(&path);
        Entry::Graft { source: at.clone(), at, access: Access::Fixed, optional: false }
    };
    Ok(store.closure(&roots)?.into_iter().map(graft).collect())
}

/// The entries of host programs, but for what the caller shows anyway, and the directories the programs are in.
fn programs(words: &[PathBuf], own: &[Entry]) -> Result<(Vec<Entry>, Vec<PathBuf>), CommandError> {
    let mut found: BTreeMap<PathBuf, Entry> = BTreeMap::new();
    let mut places = Vec::new();
    for word in words {
        let program = program::which(word)?;
        places.extend(program.parent().map(Path::to_path_buf));
        found.extend(program::entries(&program)?.into_iter().map(|entry| (entry.at().into(), entry)));
    }
    let shown = |entry: &Entry| {
        own.iter().any(|own| matches!(own, Entry::Graft { .. }) && entry.at().starts_with(own.at()))
    };
    Ok((found.into_values().filter(|entry| !shown(entry)).collect(), places))
}
