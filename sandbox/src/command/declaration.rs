//! What a person declares of a command's view, as the flags of `run` and a file of JSON have it.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nfs_server::view::{Access, Entry, path_text};
use serde::{Deserialize, Serialize};

use super::{BindSpec, Link};

/// The version of the form that a declaration has as JSON: it grows when a field is taken away or means something else.
pub const VERSION: u32 = 1;

/// What a command is shown, and how it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Declaration {
    /// Programs of this machine, each with all that it needs to start.
    #[serde(with = "path_text::all", skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<PathBuf>,
    /// Paths of the Nix store, each with all that it needs.
    #[serde(with = "path_text::all", skip_serializing_if = "Vec::is_empty")]
    pub closure: Vec<PathBuf>,
    /// What is shown read-only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ro: Vec<BindSpec>,
    /// What is shown read-only if this machine has it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ro_try: Vec<BindSpec>,
    /// What the command may write.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rw: Vec<BindSpec>,
    /// Symbolic links.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub symlink: Vec<Link>,
    /// Empty directories that it may write.
    #[serde(with = "path_text::all", skip_serializing_if = "Vec::is_empty")]
    pub tmpfs: Vec<PathBuf>,
    /// Empty directories that it may not, with the owner and the mode of this machine's at the same place.
    #[serde(with = "path_text::all", skip_serializing_if = "Vec::is_empty")]
    pub dir: Vec<PathBuf>,
    /// Variables of the environment, each a name, or a name and its value.
    #[serde(with = "words", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<OsString>,
    /// Whether all of the caller's environment is passed on.
    #[serde(skip_serializing_if = "is_false")]
    pub preserve_env: bool,
    /// Whether nothing is in the environment but the variables named here.
    #[serde(skip_serializing_if = "is_false")]
    pub clear_env: bool,
    /// Where the command starts; at the root if nothing is said.
    #[serde(with = "optional_path", skip_serializing_if = "Option::is_none")]
    pub chdir: Option<PathBuf>,
    /// Whether it uses the machine's network.
    #[serde(skip_serializing_if = "is_false")]
    pub net: bool,
    /// The name of the machine that it sees; `localhost` if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
}

/// A declaration as a file has it.
#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    view: Declaration,
}

/// Why there is no such file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeclarationError {
    /// It cannot be read.
    #[error("cannot read the view {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// It is something else.
    #[error("{path:?} is not a view of 'loopbox run'")]
    Form {
        /// The file.
        path: PathBuf,
        /// The underlying error.
        source: serde_json::Error,
    },
    /// Another loopbox has written it.
    #[error("{path:?} is a view of version {version}, and this loopbox reads version {VERSION}")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// It cannot be written.
    #[error("cannot write the view to {path:?}; the file is as it was")]
    Write {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}

impl Declaration {
    /// What a file declares.
    ///
    /// # Errors
    /// It cannot be read, or is something else.
    pub fn read(path: &Path) -> Result<Declaration, DeclarationError> {
        let text = fs::read(path).map_err(|source| DeclarationError::Read { path: path.into(), source })?;
        Declaration::parse(&text, path)
    }

    fn parse(text: &[u8], path: &Path) -> Result<Declaration, DeclarationError> {
        /// What all versions have.
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let form = |source| DeclarationError::Form { path: path.into(), source };
        let Versioned { version } = serde_json::from_slice(text).map_err(form)?;
        if version != VERSION {
            return Err(DeclarationError::Version { path: path.into(), version });
        }
        let Document { view, .. } = serde_json::from_slice(text).map_err(form)?;
        Ok(view)
    }

    /// Writes it to a file, which has all of it or is as it was.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), DeclarationError> {
        let failed = |source| DeclarationError::Write { path: path.into(), source };
        let document = Document { version: VERSION, view: self.clone() };
        let text = serde_json::to_string_pretty(&document).map_err(|error| failed(error.into()))?;
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let write = || {
            let mut file = fs::File::create(&new)?;
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&new, path)
        };
        write().map_err(|error| {
            // It has nothing that anybody wants.
            let _ = fs::remove_file(&new);
            failed(error)
        })
    }

    /// Adds what another one declares, whose words count where both say something.
    pub fn extend(&mut self, other: Declaration) {
        let Declaration {
            with,
            closure,
            ro,
            ro_try,
            rw,
            symlink,
            tmpfs,
            dir,
            env,
            preserve_env,
            clear_env,
            chdir,
            net,
            hostname,
        } = other;
        add(&mut self.with, with);
        add(&mut self.closure, closure);
        add(&mut self.ro, ro);
        add(&mut self.ro_try, ro_try);
        add(&mut self.rw, rw);
        add(&mut self.symlink, symlink);
        add(&mut self.tmpfs, tmpfs);
        add(&mut self.dir, dir);
        let named = |word: &OsString| word.as_bytes().split(|byte| *byte == b'=').next().map(<[u8]>::to_vec);
        self.env.retain(|word| env.iter().all(|newer| named(newer) != named(word)));
        add(&mut self.env, env);
        self.preserve_env |= preserve_env;
        self.clear_env |= clear_env;
        self.net |= net;
        self.chdir = chdir.or(self.chdir.take());
        self.hostname = hostname.or(self.hostname.take());
    }

    /// Leaves out what lies in something that is shown whole, and sorts the rest.
    pub fn fold(&mut self) {
        let shown: Vec<BindSpec> = self.ro.iter().chain(&self.ro_try).chain(&self.rw).cloned().collect();
        let is_inside = |at: &Path| shown.iter().any(|shown| at != shown.at && at.starts_with(&shown.at));
        let writable: Vec<BindSpec> = self.rw.clone();
        self.ro.retain(|bind| !is_inside(&bind.at) && writable.iter().all(|other| other.at != bind.at));
        self.dir.retain(|at| !is_inside(at) && shown.iter().all(|shown| shown.at != *at));
        self.with.retain(|at| !is_inside(at));
        self.ro.sort_unstable();
        for paths in [&mut self.with, &mut self.closure, &mut self.dir] {
            paths.sort_unstable();
        }
    }

    /// The flags of `loopbox run` that say the same, each with its value if it has one.
    #[must_use]
    pub fn flags(&self) -> Vec<(&'static str, Option<OsString>)> {
        let paths = |flag, paths: &[PathBuf]| -> Vec<_> {
            paths.iter().map(|path| (flag, Some(path.clone().into_os_string()))).collect()
        };
        let binds = |flag, binds: &[BindSpec]| -> Vec<_> {
            binds.iter().map(|bind| (flag, Some(bind.word()))).collect()
        };
        let env = self.env.iter().map(|word| ("--env", Some(word.clone()))).collect();
        let all = [
            paths("--with", &self.with),
            paths("--closure", &self.closure),
            binds("--ro", &self.ro),
            binds("--ro-try", &self.ro_try),
            binds("--rw", &self.rw),
            self.symlink.iter().map(|link| ("--symlink", Some(link.word()))).collect(),
            paths("--tmpfs", &self.tmpfs),
            paths("--dir", &self.dir),
            env,
        ];
        let mut flags: Vec<_> = all.into_iter().flatten().collect();
        flags.extend(self.chdir.iter().map(|chdir| ("--chdir", Some(chdir.clone().into_os_string()))));
        flags.extend(self.hostname.iter().map(|name| ("--hostname", Some(name.into()))));
        flags.extend(self.preserve_env.then_some(("--preserve-env", None)));
        flags.extend(self.clear_env.then_some(("--clear-env", None)));
        flags.extend(self.net.then_some(("--net", None)));
        flags
    }

    /// The entries of what is shown and written, programs, store paths and scratches not included.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let ro = self.ro.iter().map(|bind| bind.entry(Access::Ro));
        let ro_try = self.ro_try.iter().map(BindSpec::optional);
        let rw = self.rw.iter().map(|bind| bind.entry(Access::Rw));
        let links = self.symlink.iter().map(Link::entry);
        let directories = self.dir.iter().map(|at| super::directory(&super::without_slash(at.as_os_str())));
        ro.chain(ro_try).chain(rw).chain(links).chain(directories).collect()
    }
}

fn add<T: PartialEq>(all: &mut Vec<T>, more: Vec<T>) {
    for one in more {
        if !all.contains(&one) {
            all.push(one);
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Words that need not be UTF-8.
mod words {
    use super::{OsString, PathBuf, path_text};
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(words: &[OsString], to: S) -> Result<S::Ok, S::Error> {
        let words: Vec<PathBuf> = words.iter().map(PathBuf::from).collect();
        path_text::all::serialize(&words, to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<OsString>, D::Error> {
        let words: Vec<PathBuf> = path_text::all::deserialize(from)?;
        Ok(words.into_iter().map(PathBuf::into_os_string).collect())
    }
}

/// A path, where there is one.
mod optional_path {
    use super::{PathBuf, path_text};
    use serde::{Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
        match path {
            Some(path) => path_text::serialize(path, to),
            None => None::<()>.serialize(to),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
        path_text::deserialize(from).map(Some)
    }
}

#[cfg(test)]
mod tests;
