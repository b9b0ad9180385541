//! Making paths valid: in Nix's database itself, or by Nix's program where that is not of the known kind.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

use super::database::Database;
use super::registrar::{RegisterWhen, RegistrationTicket};
use super::{PathInfo, Registration, Settings, Store, StoreError};
use crate::store_path::StorePath;

/// What Nix's settings say about the database and what is written to it.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    /// Whether Nix's programs use the database of this very store, and by the locks of the known kind.
    known_kind: bool,
    /// Whether files are written out before their paths become valid.
    sync_files: bool,
    /// Whether what is registered survives a crash of the machine.
    sync_metadata: bool,
    /// Keys that everything is signed with.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "Nix's program takes no signatures"))]
    keys: Vec<PathBuf>,
}

impl Policy {
    /// What the settings say.
    pub fn of(settings: &Settings) -> Policy {
        Policy {
            known_kind: settings.check_store().is_ok() && settings.use_sqlite_wal,
            sync_files: settings.sync_files,
            sync_metadata: settings.sync_metadata,
            keys: settings.secret_key_files.clone(),
        }
    }
}

impl Store {
    /// A build begins that may have something to register.
    #[must_use]
    pub fn ticket(&self) -> RegistrationTicket<'_> {
        self.registrar.ticket()
    }

    /// Makes a build's paths valid, all or none. Their files have to be in place in their canonical form already. By
    /// Nix's program it is perhaps done together with those of other builds.
    ///
    /// # Errors
    /// When they cannot be signed or registered.
    pub fn register(&self, registrations: Vec<Registration>, when: RegisterWhen) -> Result<(), StoreError> {
        let registrations = self.signed(registrations)?;
        if let Some(database) = self.database() {
            self.write_out();
            return Ok(database.register(&registrations, false)?);
        }
        self.registrar.register(&infos(registrations), when, |infos| self.tell(infos, &[]))
    }

    /// Makes paths valid of which some may be so already, and what is known of them has changed.
    ///
    /// # Errors
    /// When they cannot be signed or registered.
    pub fn register_again(&self, registrations: Vec<Registration>) -> Result<(), StoreError> {
        let registrations = self.signed(registrations)?;
        if let Some(database) = self.database() {
            self.write_out();
            return Ok(database.register(&registrations, true)?);
        }
        self.tell(&infos(registrations), &["--reregister"])
    }

    /// Notes that valid paths are what they are when they are built here, which they were not known to be if they
    /// were fetched. Nix's program has no words for that.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn trust(&self, paths: &BTreeSet<StorePath>) -> Result<(), StoreError> {
        match self.database() {
            Some(database) => Ok(database.trust(paths)?),
            None => Ok(()),
        }
    }

    /// Nix's database, when it is of the known kind and Nix's programs would use it themselves. Without knowing the
    /// settings it is not touched.
    pub(super) fn database(&self) -> Option<&Database> {
        let policy = self.policy.get()?;
        let open = || Database::open(&self.directory, &self.state, policy.sync_metadata);
        self.database.get_or_init(|| policy.known_kind.then(open).flatten()).as_ref()
    }

    #[cfg_attr(not(target_os = "linux"), allow(unused_mut, reason = "Nix's program takes no signatures"))]
    fn signed(&self, mut registrations: Vec<Registration>) -> Result<Vec<Registration>, StoreError> {
        #[cfg(target_os = "linux")]
        for key in self.policy.get().into_iter().flat_map(|policy| &policy.keys) {
            for registration in &mut registrations {
                registration.sign(key, &self.directory)?;
            }
        }
        Ok(registrations)
    }

    /// Nix's program does that itself.
    fn write_out(&self) {
        if self.policy.get().is_some_and(|policy| policy.sync_files) {
            nix::unistd::sync();
        }
    }

    fn tell(&self, infos: &[PathInfo], how: &[&str]) -> Result<(), StoreError> {
        let text: String = infos.iter().map(|info| info.registration(&self.directory)).collect();
        let words = ["--register-validity", "--hash-given"].iter().chain(how).map(OsString::from);
        self.programs().tell("nix-store", words.collect::<Vec<_>>(), text.as_bytes())?;
        Ok(())
    }
}

fn infos(registrations: Vec<Registration>) -> Vec<PathInfo> {
    registrations.into_iter().map(|registration| registration.info).collect()
}
