//! Any command in a view: from what a person asks for to a view and a jail, as plain data.

mod bind;
mod console;
mod declaration;
mod defaults;
mod environment;
mod link;
mod mac;
mod machine;
mod preset;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mounter::jail::{Ids, JailSpec, SystemCalls, User};
use nfs_server::view::{Access, Entry, FileType, Owner, View, ViewSpec};
use serde::Serialize;

use crate::backend::Changes;
use crate::conditions::Conditions;
use crate::entry::MacHost;
use crate::local::Scratches;
use crate::program::{self, ShowError};
use crate::server::Rights;

pub use bind::BindSpec;
pub(crate) use console::is_console;
pub use console::show_console;
pub use declaration::{Declaration, DeclarationError};
pub use link::{Link, LinkError};
pub use preset::{Preset, PresetContext, UnknownPreset};

/// The name of the machine that a command sees if nothing is said.
const HOSTNAME: &str = "localhost";

/// What a person asks for.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is shown, beside what every command finds in its view, and how the command starts. Programs are paths, or names
    /// in PATH.
    pub declared: Declaration,
    /// The entries of the store paths that are declared.
    pub closure: Vec<Entry>,
    /// Whether the rest of the machine is shown too, read-only.
    pub whole_machine: bool,
    /// How scratches are reached.
    pub scratches: Scratches,
    /// The terminal that it has for itself, by its path on the host.
    pub console: Option<PathBuf>,
    /// Who runs it.
    pub user: Owner,
    /// The permission bits that its files do not get (umask(2)).
    pub umask: u32,
    /// Host paths that never change while they exist: the Nix store.
    pub immutable: PathBuf,
    /// The command and its arguments; one at least.
    pub command: Vec<OsString>,
    /// Quotas and faults that are imposed on it.
    pub conditions: Conditions,
}

/// A command and the view that it is run in.
#[derive(Clone, Debug, Serialize)]
pub struct Command {
    /// What it sees.
    pub view: ViewSpec,
    /// Who runs it, and with which limits. The program is the command's first word, which only the view says the
    /// meaning of ([`Command::resolve`]).
    pub jail: JailSpec,
    /// What its view is served with.
    pub server: Rights,
    /// Scratches that are the machine's own, if the view is served.
    pub local: Vec<PathBuf>,
    /// Quotas and faults that are imposed on it.
    #[serde(skip_serializing_if = "Conditions::are_none")]
    pub conditions: Conditions,
    /// Who else changes what it sees.
    #[serde(skip)]
    pub changes: Changes,
    /// What of the view is the rest of the machine, where that is shown.
    #[serde(skip)]
    pub machine: Vec<Entry>,
    /// The session's directory.
    #[serde(skip)]
    pub base: PathBuf,
    /// Directories to be made in it, the host side of the view's scratch.
    #[serde(skip)]
    pub scratch: Vec<PathBuf>,
}

/// Why a command cannot be run in a view.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Where the machine's root stays, things are where they are.
    #[error("{0:?} cannot be shown in a view on this Mac, whose root stays the machine's")]
    NeedsRoot(PathBuf),
    /// The rest of the machine cannot be shown.
    #[error("cannot examine {path:?}, which is to be shown")]
    Machine {
        /// The directory.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// A program of this machine cannot be shown.
    #[error(transparent)]
    Show(#[from] ShowError),
    /// The command is in no directory of its PATH.
    #[error("{0:?} is in no directory of the PATH in the view")]
    NotInPath(String),
    /// The command does not exist.
    #[error("{0:?} does not exist in the view")]
    NoProgram(PathBuf),
}

/// An empty directory with the mode and the owner of this machine's at the same place, or root's if it has none.
pub(crate) fn directory(at: &Path) -> Entry {
    let (mode, owner) = at.metadata().ok().filter(std::fs::Metadata::is_dir).map_or_else(
        || (0o755, Owner::default()),
        |found| (found.mode() & 0o1777, Owner { uid: found.uid(), gid: found.gid() }),
    );
    Entry::Directory { at: at.into(), mode, owner }
}

/// A path without the slashes at its end, which shells add to directories that they complete.
#[must_use]
pub fn without_slash(path: &OsStr) -> PathBuf {
    let bytes = path.as_bytes();
    let end = bytes.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    match (end, bytes.is_empty()) {
        (0, false) => "/".into(),
        _ => OsStr::from_bytes(&bytes[..end]).into(),
    }
}

/// The two parts of a word of the command line.
fn at_last_colon(word: &OsStr) -> Option<(&OsStr, &OsStr)> {
    let bytes = word.as_bytes();
    let colon = bytes.iter().rposition(|byte| *byte == b':')?;
    Some((OsStr::from_bytes(&bytes[..colon]), OsStr::from_bytes(&bytes[colon + 1..])))
}

impl Command {
    /// Asks the host what the programs need; changes nothing.
    ///
    /// # Errors
    /// When a program cannot be shown, or a Mac cannot show something where it is asked for.
    pub fn plan(request: &Request, base: &Path, mac: Option<MacHost>) -> Result<Command, RequestError> {
        let (user, declared) = (request.user, &request.declared);
        let hostname = declared.hostname.as_deref().unwrap_or(HOSTNAME);
        let cwd = declared.chdir.as_deref().unwrap_or(Path::new("/"));
        let mut own = declared.entries();
        own.extend(request.closure.iter().cloned());
        let mut scratch = Vec::new();
        for at in &declared.tmpfs {
            let source = base.join(format!("scratch-{}", scratch.len()));
            let at = without_slash(at.as_os_str());
            let mode = if at == Path::new("/tmp") { 0o1777 } else { 0o755 };
            own.push(Entry::Scratch { at, source: source.clone(), mode, owner: user });
            scratch.push(source);
        }
        let (programs, places) = programs(&declared.with, &own)?;
        own.extend(programs);

        let tmp = base.join("tmp");
        let defaults = match &mac {
            None => defaults::entries(user, hostname, &tmp),
            Some(host) => mac::entries(host, user, hostname, &tmp),
        };
        let own_root = mac.as_ref().is_none_or(|host| host.mode.changes_root());
        let mut entries = defaults::without_replaced(defaults, &own);
        if entries.iter().any(|entry| matches!(entry, Entry::Scratch { source, .. } if *source == tmp)) {
            scratch.push(tmp);
        }
        if mac.is_none() {
            entries.append(&mut own);
            request.console.iter().for_each(|terminal| show_console(terminal, &mut entries));
        }
        let machine = if request.whole_machine { machine::around(&entries, cwd)? } else { Vec::new() };
        entries.extend(machine.iter().cloned());
        let shown = |directory: &Path| match own_root {
            true => defaults::shows_directory(&entries, directory),
            false => directory.is_dir(),
        };
        let caller = std::env::vars_os().collect();
        let mut env = environment::make(&caller, declared, &places, shown);
        let mac = match mac {
            None => None,
            Some(host) => Some(mac::enter(host, &mut entries, own, &mut env, base, declared.net)?),
        };
        // Root keeps its number, and loses all power outside a namespace of its own.
        let Owner { uid, gid } = user;
        let user = User { inside: (uid == 0).then_some(Ids { uid, gid }), ..User::new(uid, gid) };
        let word = request.command.first().cloned().unwrap_or_default();
        let jail = JailSpec {
            network: declared.net,
            hostname: hostname.into(),
            proc: defaults::is_directory(&entries, "/proc"),
            pts: defaults::is_directory(&entries, "/dev/pts"),
            shm: defaults::is_directory(&entries, "/dev/shm"),
            env,
            cwd: without_slash(cwd.as_os_str()),
            umask: request.umask,
            // Programs that are no builders may well set modes and attributes of their own files.
            system_calls: SystemCalls::default(),
            own_init: true,
            mac,
            ..JailSpec::new(user, word, request.command.clone())
        };
        let (base, changes) = (base.into(), changes(request));
        let server = Rights::of(&jail.user);
        let (view, conditions) = (ViewSpec { entries }, request.conditions.clone());
        let local = conditions.scratches(request.scratches).local_in(&view, None);
        Ok(Command { view, jail, server, conditions, local, changes, machine, base, scratch })
    }

    /// Finds the program in the view that the command's first word means, as execvp(3) does: in the PATH, the first that can be
    /// executed; or else, so that it is told why, the first that is a file.
    ///
    /// # Errors
    /// If there is none.
    pub fn resolve(&self, view: &View) -> Result<PathBuf, RequestError> {
        let word = &self.jail.program;
        // Whether it is a file, and its mode.
        let found = |program: &Path| match self.jail.changes_root() {
            true => {
                let attributes = view.find(program).ok()?.attributes;
                Some((attributes.kind == FileType::Regular, attributes.mode))
            }
            false => program.metadata().ok().map(|metadata| (metadata.is_file(), metadata.mode())),
        };
        if word.as_os_str().as_bytes().contains(&b'/') {
            let program = self.jail.cwd.join(word);
            return found(&program).map(|_| program.clone()).ok_or(RequestError::NoProgram(program));
        }
        let path = self.jail.env.iter().find(|(name, _)| name == "PATH");
        let path = path.map_or(OsStr::new(defaults::PATH), |(_, path)| path.as_os_str());
        let places: Vec<PathBuf> =
            std::env::split_paths(path).map(|directory| directory.join(word)).collect();
        let first = |is: fn((bool, u32)) -> bool| places.iter().find(|place| found(place).is_some_and(is));
        first(|(is_file, mode)| is_file && mode & 0o111 != 0)
            .or_else(|| first(|(is_file, _)| is_file))
            .cloned()
            .ok_or_else(|| RequestError::NotInPath(word.display().to_string()))
    }
}

/// Whoever is shown directories of his own goes on working there meanwhile, and is to see what he did. What is immutable
/// never changes, and neither do the programs while a command runs: they are the machine's own, and its libraries.
fn changes(request: &Request) -> Changes {
    let may_change = |entry: &Entry| match entry {
        Entry::Graft { access: Access::Rw, .. } => true,
        Entry::Graft { access: Access::Ro, source, .. } => !source.starts_with(&request.immutable),
        _ => false,
    };
    let shown = request.declared.entries();
    let live = request.whole_machine || shown.iter().any(may_change);
    if live { Changes::Live } else { Changes::Exclusive }
}

/// The entries of host programs, but for what the caller shows anyway, and the directories the programs are in.
fn programs(words: &[PathBuf], own: &[Entry]) -> Result<(Vec<Entry>, Vec<PathBuf>), ShowError> {
    let mut found: BTreeMap<PathBuf, Entry> = BTreeMap::new();
    let mut places = Vec::new();
    for word in words {
        let program = program::which(word)?;
        places.extend(program.parent().map(Path::to_path_buf));
        found.extend(program::entries(&program)?.into_iter().map(|entry| (entry.at().into(), entry)));
    }
    let shown = |entry: &Entry| {
        // Below a link nothing can be: it leads to where the rest is shown.
        let holds = |own: &Entry| matches!(own, Entry::Graft { .. } | Entry::Symlink { .. });
        own.iter().any(|own| holds(own) && entry.at().starts_with(own.at()))
    };
    Ok((found.into_values().filter(|entry| !shown(entry)).collect(), places))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_at_the_end_of_a_path_do_not_matter() {
        for (word, path) in [("/a/", "/a"), ("/b//", "/b"), ("/", "/"), ("//", "/"), ("", ""), ("c", "c")] {
            assert_eq!(without_slash(word.as_ref()), Path::new(path), "{word}");
        }
    }
}
