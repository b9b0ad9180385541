//! The Nix store, asked through its database and Nix's own programs, and held alive while it is used.

mod build_log;
mod build_users;
mod command;
#[cfg(target_os = "linux")]
mod database;
#[cfg(not(target_os = "linux"))]
#[path = "store/no_database.rs"]
mod database;
mod derivation_file;
mod error;
mod evaluation;
mod lock_holder;
mod path_info;
mod path_locks;
mod register;
mod registrar;
mod registration;
mod roots;
mod served_roots;
mod settings;
mod temp_roots;
mod validity_cache;
#[cfg(target_os = "linux")]
mod writable;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::derivation::Derivation;
use crate::store_path::StorePath;

use database::Database;
use register::Policy;
use registrar::Registrar;
use roots::Roots;
use validity_cache::ValidityCache;

pub use build_log::{BuildLog, LogError, log_path};
pub use build_users::{BuildUser, BuildUsers, UserError};
pub(crate) use command::Programs;
pub use command::{CommandError, OptionError};
pub use database::DatabaseError;
pub use derivation_file::read_derivation;
pub use error::StoreError;
pub use evaluation::{Evaluation, Target, is_flake};
pub use lock_holder::LockHolder;
pub use path_info::{InfoError, PathInfo};
pub use path_locks::{LockError, PathLocks};
pub use registrar::{RegisterWhen, RegistrationTicket};
pub use registration::{KeyError, Registration};
pub use settings::{ExternalBuilder, Settings, SettingsError, version_of_starter};
pub use temp_roots::{RootsError, TempRoots};
#[cfg(target_os = "linux")]
pub use writable::{WritableError, is_read_only, make_writable};

/// A store on this machine.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    state: PathBuf,
    logs: PathBuf,
    roots: OnceLock<Roots>,
    validity_cache: ValidityCache,
    registrar: Registrar,
    policy: OnceLock<Policy>,
    database: OnceLock<Option<Database>>,
    programs: Programs,
}

impl Store {
    /// The store that Nix's programs use with this environment (`NIX_STORE_DIR`, `NIX_STATE_DIR`,
    /// `NIX_LOG_DIR`).
    #[must_use]
    pub fn from_environment() -> Store {
        let from = |name, default: &str| std::env::var_os(name).map_or_else(|| default.into(), PathBuf::from);
        let directory = from("NIX_STORE_DIR", "/nix/store");
        Store::at(directory, from("NIX_STATE_DIR", "/nix/var/nix"), from("NIX_LOG_DIR", "/nix/var/log/nix"))
    }

    /// A store by its directories.
    #[must_use]
    pub fn at(directory: PathBuf, state: PathBuf, logs: PathBuf) -> Store {
        let (roots, validity_cache, registrar) =
            (OnceLock::new(), ValidityCache::default(), Registrar::default());
        let (policy, database) = (OnceLock::new(), OnceLock::new());
        let programs = Programs::default();
        Store { directory, state, logs, roots, validity_cache, registrar, policy, database, programs }
    }

    /// The same with settings of Nix's that count more than those that it is configured with.
    ///
    /// # Errors
    /// A name or a value cannot be that of a setting.
    pub fn with_options(self, options: &[(String, String)]) -> Result<Store, OptionError> {
        Ok(Store { programs: Programs::with_options(options)?, ..self })
    }

    /// How Nix's programs are asked.
    pub(crate) fn programs(&self) -> &Programs {
        &self.programs
    }

    /// The store directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Nix's state directory, with its locks and its database.
    #[must_use]
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The directory of the logs of builds.
    #[must_use]
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// Makes the file for a derivation's log; what an earlier build wrote is gone.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create_log(&self, derivation: &StorePath, compressed: bool) -> Result<BuildLog, LogError> {
        BuildLog::create(&self.logs, derivation, compressed)
    }

    /// The place of a store path.
    #[must_use]
    pub fn locate(&self, path: &StorePath) -> PathBuf {
        path.within(&self.directory)
    }

    /// Nix's settings, which are those of this store from now on.
    ///
    /// # Errors
    /// When Nix is missing or says something that cannot be understood.
    pub fn settings(&self) -> Result<Settings, StoreError> {
        Ok(self.remember_policy(Settings::ask(&self.programs)?))
    }

    /// The same in the words of Nix's configuration files.
    ///
    /// # Errors
    /// When Nix does not print them.
    pub fn settings_as_text(&self) -> Result<String, SettingsError> {
        settings::as_text(&self.programs)
    }

    /// The same as a Nix of some version tells them, in the words of its configuration files.
    ///
    /// # Errors
    /// When one of them cannot be understood.
    pub fn told_settings(
        &self,
        texts: &BTreeMap<String, String>,
        version: (u32, u32),
    ) -> Result<Settings, StoreError> {
        Ok(self.remember_policy(Settings::of_texts(texts, version)?))
    }

    fn remember_policy(&self, settings: Settings) -> Settings {
        // They stay what they were when they were first asked for.
        let _ = self.policy.set(Policy::of(&settings));
        settings
    }

    /// Reads a derivation's file.
    ///
    /// # Errors
    /// When there is none, or it is malformed.
    pub fn derivation(&self, path: &StorePath) -> Result<Derivation<'static>, StoreError> {
        read_derivation(&self.locate(path))
    }

    /// The closure of some paths, themselves included.
    ///
    /// # Errors
    /// When one of them is not valid.
    pub fn closure(&self, paths: &BTreeSet<StorePath>) -> Result<BTreeSet<StorePath>, StoreError> {
        if let Some(closure) = self.validity_cache.closure(paths) {
            return Ok(closure);
        }
        if let Some(database) = self.database() {
            return database.closure(paths)?.map_err(|paths| StoreError::NotValid { paths });
        }
        let mut closure = BTreeSet::new();
        self.in_batches(paths, |batch| {
            let printed = self
                .programs
                .ask("nix-store", [&["--query".into(), "--requisites".into()], batch].concat())?;
            closure.extend(self.read_paths("nix-store --query --requisites", &printed)?);
            Ok(())
        })?;
        self.validity_cache.set_closure(paths, &closure);
        Ok(closure)
    }

    /// What the store knows about some paths.
    ///
    /// # Errors
    /// When one of them is not valid.
    pub fn infos(&self, paths: &BTreeSet<StorePath>) -> Result<BTreeMap<StorePath, PathInfo>, StoreError> {
        if let Some(database) = self.database() {
            let found = database.infos(paths)?;
            let lacking: Vec<StorePath> =
                paths.iter().filter(|path| !found.contains_key(*path)).cloned().collect();
            if !lacking.is_empty() {
                return Err(StoreError::NotValid { paths: lacking });
            }
            return Ok(found.into_iter().map(|(path, (info, _))| (path, info)).collect());
        }
        let mut infos = BTreeMap::new();
        self.in_batches(paths, |batch| {
            let printed = self.programs.ask("nix-store", [&["--dump-db".into()], batch].concat())?;
            for info in path_info::read_all(&printed, &self.directory)? {
                infos.insert(info.path.clone(), info);
            }
            Ok(())
        })?;
        Ok(infos)
    }

    /// The content addresses of those paths that have one, as Nix writes them (`fixed:r:sha256:…`).
    ///
    /// # Errors
    /// When Nix's answer cannot be understood.
    pub fn content_addresses(
        &self,
        paths: &BTreeSet<StorePath>,
    ) -> Result<BTreeMap<StorePath, String>, StoreError> {
        if let Some(database) = self.database() {
            let found = database.infos(paths)?.into_iter();
            return Ok(found.filter_map(|(path, (_, address))| Some((path, address?))).collect());
        }
        let mut addresses = BTreeMap::new();
        self.in_batches(paths, |batch| {
            let words = ["--extra-experimental-features", "nix-command", "path-info", "--json"];
            let printed = self.programs.ask("nix", [&words.map(OsString::from)[..], batch].concat())?;
            let answer: serde_json::Value = serde_json::from_slice(&printed)
                .map_err(|source| StoreError::Json { program: "nix path-info --json", source })?;
            addresses.extend(path_info::content_addresses(&answer, &self.directory));
            Ok(())
        })?;
        Ok(addresses)
    }

    /// Those of some paths that are not valid.
    ///
    /// # Errors
    /// When Nix does not answer.
    pub fn invalid(&self, paths: &BTreeSet<StorePath>) -> Result<BTreeSet<StorePath>, StoreError> {
        if let Some(database) = self.database() {
            return Ok(database.invalid(paths)?);
        }
        let mut invalid = BTreeSet::new();
        self.in_batches(paths, |batch| {
            let words = ["--check-validity".into(), "--print-invalid".into()];
            let printed = self.programs.ask("nix-store", [&words, batch].concat())?;
            invalid.extend(self.read_paths("nix-store --check-validity", &printed)?);
            Ok(())
        })?;
        Ok(invalid)
    }

    /// Keeps the closures of some paths from the garbage collector for as long as this store lives, and checks
    /// afterwards that the collector had not taken any of `valid` already. The others may not exist yet.
    ///
    /// # Errors
    /// When they cannot be protected, or some of `valid` are not valid.
    pub fn hold(&self, valid: &BTreeSet<StorePath>, others: &BTreeSet<StorePath>) -> Result<(), StoreError> {
        let roots = match self.roots.get() {
            Some(roots) => roots,
            None => {
                let made = Roots::create(&self.state, &self.programs)?;
                self.roots.get_or_init(|| made)
            }
        };
        roots.add(valid.union(others).map(|path| self.locate(path)))?;
        let unknown = self.validity_cache.unknown(valid);
        let invalid = self.invalid(&unknown)?;
        if invalid.is_empty() {
            self.validity_cache.set_valid(unknown);
            Ok(())
        } else {
            Err(StoreError::NotValid { paths: invalid.into_iter().collect() })
        }
    }

    /// The outputs of a derivation, which Nix makes if they are not there.
    ///
    /// # Errors
    /// When it cannot.
    pub fn realised(&self, derivation: &StorePath) -> Result<Vec<StorePath>, StoreError> {
        let printed = self.programs.ask("nix-store", ["--realise".into(), self.locate(derivation).into()])?;
        self.read_paths("nix-store --realise", &printed)
    }

    /// Those paths that Nix would fetch rather than build, were it to make these derivations' outputs.
    ///
    /// # Errors
    /// When Nix does not answer.
    pub fn fetchable(&self, derivations: &BTreeSet<StorePath>) -> Result<BTreeSet<StorePath>, StoreError> {
        let mut fetchable = BTreeSet::new();
        self.in_batches(derivations, |batch| {
            let words = ["--realise".into(), "--dry-run".into()];
            let report = self.programs.ask_stderr("nix-store", [&words, batch].concat())?;
            fetchable.extend(fetched_paths(&report, &self.directory));
            Ok(())
        })?;
        Ok(fetchable)
    }

    /// Lets Nix fetch paths, as many of them as it can.
    ///
    /// # Errors
    /// When it could not fetch all of them.
    pub fn fetch(&self, paths: &BTreeSet<StorePath>) -> Result<(), StoreError> {
        self.in_batches(paths, |batch| {
            self.programs.ask("nix-store", [&["--realise".into(), "--keep-going".into()], batch].concat())?;
            Ok(())
        })
    }

    /// Makes a symbolic link to a valid path that keeps it from the garbage collector while the link exists.
    ///
    /// # Errors
    /// When Nix cannot.
    pub fn add_root(&self, path: &StorePath, link: &Path) -> Result<(), StoreError> {
        let words = ["--add-root".into(), link.into(), "--indirect".into(), "--realise".into()];
        self.programs.ask("nix-store", [&words[..], &[self.locate(path).into()]].concat())?;
        Ok(())
    }

    fn in_batches(
        &self,
        paths: &BTreeSet<StorePath>,
        mut each: impl FnMut(&[OsString]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let words: Vec<OsString> = paths.iter().map(|path| self.locate(path).into()).collect();
        words.chunks(command::MAX_PATHS).try_for_each(&mut each)
    }

    fn read_paths(&self, program: &'static str, printed: &[u8]) -> Result<Vec<StorePath>, StoreError> {
        let text = String::from_utf8_lossy(printed);
        let read = |line| StorePath::parse(line, &self.directory);
        text.lines()
            .filter(|line| !line.is_empty())
            .map(|line| read(line).map_err(|source| StoreError::Answer { program, source }))
            .collect()
    }
}

/// The paths that Nix's report of a dry run lists under "will be fetched".
fn fetched_paths(report: &str, store: &Path) -> Vec<StorePath> {
    let mut fetched = false;
    let mut paths = Vec::new();
    for line in report.lines() {
        match line.strip_prefix("  ") {
            Some(path) if fetched => paths.extend(StorePath::parse(path.trim(), store)),
            Some(_) => {}
            None => fetched = line.contains("will be fetched"),
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_be_fetched_is_read_from_a_dry_run() {
        let report = "\
these 2 derivations will be built:
  /nix/store/axkxi7ggzyj40i6l6ic8a9rx3msmqy75-a.drv
  /nix/store/q3b0hd0q850n5gqdwdfd5dlyc9vwpp2v-b.drv
these 1 paths will be fetched (0.04 MiB download, 0.20 MiB unpacked):
  /nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-busybox
";
        let paths = fetched_paths(report, Path::new("/nix/store"));
        assert_eq!(paths, [StorePath::new("71fc7s32zl20dc955bhghy5dvalm7ndz-busybox").unwrap()]);
    }
}
