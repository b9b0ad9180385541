//! Nix's own database of valid paths, read and written in this process by Nix's rules: its schema, its locks, its
//! settings of SQLite (`openDB` and `registerValidPaths` in Nix's `local-store.cc`; docs/adr/0016).
//!
//! Whatever is not exactly as it is known here, another schema or a journal of another kind, is left to Nix's programs.

mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::unistd::{AccessFlags, access};
use rusqlite::{Connection, FileControl, OpenFlags, TransactionBehavior};

use super::{PathInfo, Registration};
use crate::store_path::{StorePath, StorePathError};

use rows::Rows;

/// The schema that Nix has had since 1.12, as the file `schema` numbers it.
const SCHEMA: &str = "10";

/// The columns that are written.
const COLUMNS: [(&str, &[&str]); 2] = [
    (
        "ValidPaths",
        &["id", "path", "hash", "registrationTime", "deriver", "narSize", "ultimate", "sigs", "ca"],
    ),
    ("Refs", &["referrer", "reference"]),
];

/// How long another process' transaction is waited for: as long as Nix does.
const BUSY: Duration = Duration::from_secs(60 * 60);

/// Pages in the log before they are moved into the database, and bytes that the log keeps afterwards: Nix's numbers.
const CHECKPOINT_PAGES: u32 = 40_000;
const LOG_SIZE: u64 = 1 << 40;

/// The database of a store on this machine.
#[derive(Debug)]
pub(super) struct Database {
    store: PathBuf,
    directory: PathBuf,
    /// Shared with whoever uses the database; exclusive while a newer Nix changes the schema.
    big_lock: File,
    connection: Mutex<Connection>,
}

/// Why the database did not do what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// SQLite says why.
    #[error("cannot read or write Nix's database {path:?}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// The underlying error.
        source: rusqlite::Error,
    },
    /// The lock of the whole database could not be taken.
    #[error("cannot lock {path:?}")]
    Lock {
        /// The lock's file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// A newer Nix has changed the schema meanwhile.
    #[error(
        "the schema of Nix's database {path:?} has been changed meanwhile: it is '{found}' now, and {SCHEMA} is known"
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// What it is now.
        found: String,
    },
    /// What is registered has a reference that is not valid.
    #[error("cannot register '{path}': it refers to '{reference}', which is not valid")]
    Reference {
        /// What is registered.
        path: StorePath,
        /// What it refers to.
        reference: StorePath,
    },
    /// A row cannot be understood.
    #[error("Nix's database has an entry for '{path}' that cannot be understood: {value:?}")]
    Value {
        /// The path.
        path: String,
        /// The value in the database.
        value: String,
    },
    /// What should be a store path is none.
    #[error("Nix's database has an entry that is not a store path")]
    Path(#[from] StorePathError),
}

impl Database {
    /// Opens the database of a store. `None` when there is none, this user may not write it, or it is of a kind that
    /// is not known here.
    pub fn open(store: &Path, state: &Path, sync: bool) -> Option<Database> {
        let directory = state.join("db");
        access(&directory, AccessFlags::R_OK | AccessFlags::W_OK).ok()?;
        let big_lock = OpenOptions::new().read(true).write(true).open(directory.join("big-lock")).ok()?;
        let path = directory.join("db.sqlite");
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        big_lock.lock_shared().ok()?;
        let opened = (schema(&directory) == SCHEMA).then(|| Connection::open_with_flags(&path, flags)).map(
            |connection| connection.and_then(|connection| Ok((prepare(&connection, sync)?, connection))),
        );
        big_lock.unlock().ok()?;
        match opened? {
            Ok((true, connection)) => Some(Database {
                store: store.into(),
                directory,
                big_lock,
                connection: Mutex::new(connection),
            }),
            Ok((false, _)) => None,
            Err(error) => {
                tracing::debug!(?path, %error, "Nix's database is left to Nix's programs");
                None
            }
        }
    }

    /// Those of some paths that are not valid.
    pub fn invalid(&self, paths: &BTreeSet<StorePath>) -> Result<BTreeSet<StorePath>, DatabaseError> {
        self.transaction(TransactionBehavior::Deferred, |rows| {
            let mut invalid = BTreeSet::new();
            for path in paths {
                if rows.id(path)?.is_none() {
                    invalid.insert(path.clone());
                }
            }
            Ok(invalid)
        })
    }

    /// The closure of some paths, themselves included; or those of them that are not valid.
    pub fn closure(
        &self,
        paths: &BTreeSet<StorePath>,
    ) -> Result<Result<BTreeSet<StorePath>, Vec<StorePath>>, DatabaseError> {
        self.transaction(TransactionBehavior::Deferred, |rows| {
            let (mut closure, mut left, mut invalid) = (BTreeSet::new(), Vec::new(), Vec::new());
            for path in paths {
                match rows.id(path)? {
                    Some(id) if closure.insert(path.clone()) => left.push(id),
                    Some(_) => {}
                    None => invalid.push(path.clone()),
                }
            }
            while let Some(id) = left.pop() {
                for (id, path) in rows.references(id)? {
                    if closure.insert(path) {
                        left.push(id);
                    }
                }
            }
            Ok(if invalid.is_empty() { Ok(closure) } else { Err(invalid) })
        })
    }

    /// What is known of those of some paths that are valid, with their content addresses.
    pub fn infos(
        &self,
        paths: &BTreeSet<StorePath>,
    ) -> Result<BTreeMap<StorePath, (PathInfo, Option<String>)>, DatabaseError> {
        self.transaction(TransactionBehavior::Deferred, |rows| {
            let mut infos = BTreeMap::new();
            for path in paths {
                if let Some(info) = rows.info(path)? {
                    infos.insert(path.clone(), info);
                }
            }
            Ok(infos)
        })
    }

    /// Makes paths valid, all or none. What is valid already is left as it is, unless it is to be replaced.
    pub fn register(&self, registrations: &[Registration], replace: bool) -> Result<(), DatabaseError> {
        self.transaction(TransactionBehavior::Immediate, |rows| {
            let mut new = Vec::new();
            for registration in registrations {
                match rows.id(&registration.info.path)? {
                    None => new.push((rows.insert(registration)?, registration)),
                    Some(id) if replace => {
                        rows.update(id, registration)?;
                        new.push((id, registration));
                    }
                    Some(_) => {}
                }
            }
            // They may refer to each other.
            for (id, registration) in new {
                for reference in &registration.info.references {
                    let path = &registration.info.path;
                    let found = rows.id(reference)?.ok_or_else(|| DatabaseError::Reference {
                        path: path.clone(),
                        reference: reference.clone(),
                    })?;
                    rows.refer(id, found)?;
                }
            }
            Ok(())
        })
    }

    /// Marks valid paths as built on this machine.
    pub fn trust(&self, paths: &BTreeSet<StorePath>) -> Result<(), DatabaseError> {
        self.transaction(TransactionBehavior::Immediate, |rows| {
            paths.iter().try_for_each(|path| rows.trust(path))
        })
    }

    /// One transaction under the shared lock, which is not kept longer: a Nix that is started meanwhile may have to
    /// change the schema, and waits for all who hold it.
    fn transaction<T>(
        &self,
        behavior: TransactionBehavior,
        act: impl FnOnce(&Rows<'_>) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let lock_failed = |source| DatabaseError::Lock { path: self.directory.join("big-lock"), source };
        self.big_lock.lock_shared().map_err(lock_failed)?;
        let done = self.transaction_locked(&mut connection, behavior, act);
        self.big_lock.unlock().map_err(lock_failed)?;
        done
    }

    fn transaction_locked<T>(
        &self,
        connection: &mut MutexGuard<'_, Connection>,
        behavior: TransactionBehavior,
        act: impl FnOnce(&Rows<'_>) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        let path = self.directory.join("db.sqlite");
        let found = schema(&self.directory);
        if found != SCHEMA {
            return Err(DatabaseError::Changed { path, found });
        }
        let failed = |source| DatabaseError::Sqlite { path: path.clone(), source };
        let transaction = connection.transaction_with_behavior(behavior).map_err(failed)?;
        // Dropped without a commit, it is rolled back.
        let done = act(&Rows::new(&transaction, &self.store, &path))?;
        transaction.commit().map_err(failed)?;
        Ok(done)
    }
}

/// The schema's number, or whatever the file holds; nothing when there is none.
fn schema(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("schema")).unwrap_or_default().trim().to_owned()
}

/// Sets a connection up as Nix does. False when something in the database is not as it is known here.
fn prepare(connection: &Connection, sync: bool) -> rusqlite::Result<bool> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "synchronous", if sync { "normal" } else { "off" })?;
    let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if journal != "wal" {
        return Ok(false);
    }
    // As Nix does, so that the log is there for those who may only read.
    connection.query_row(&format!("pragma main.journal_size_limit = {LOG_SIZE}"), [], |_| Ok(()))?;
    connection.file_control(None::<&str>, FileControl::PersistWal(&mut 1))?;
    connection.query_row(&format!("pragma wal_autocheckpoint = {CHECKPOINT_PAGES}"), [], |_| Ok(()))?;
    for (table, columns) in COLUMNS {
        let mut statement = connection.prepare("select name from pragma_table_info(?)")?;
        let found = statement.query_map([table], |row| row.get(0))?;
        if found.collect::<rusqlite::Result<Vec<String>>>()? != columns {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
