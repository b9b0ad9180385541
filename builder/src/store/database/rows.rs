//! The statements on Nix's database, within a transaction.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{OptionalExtension, Transaction};

use super::DatabaseError;
use crate::store::{PathInfo, Registration};
use crate::store_path::StorePath;

/// What hashes are of; nothing else is in a database of this schema.
const HASH: &str = "sha256:";

/// The statements, within a transaction.
pub(super) struct Rows<'a> {
    transaction: &'a Transaction<'a>,
    store: &'a Path,
    path: &'a Path,
}

impl<'a> Rows<'a> {
    pub fn new(transaction: &'a Transaction<'a>, store: &'a Path, path: &'a Path) -> Rows<'a> {
        Rows { transaction, store, path }
    }

    pub fn id(&self, path: &StorePath) -> Result<Option<i64>, DatabaseError> {
        let mut statement = self.statement("select id from ValidPaths where path = ?")?;
        statement
            .query_row([self.whole(path)], |row| row.get(0))
            .optional()
            .map_err(|error| self.failed(error))
    }

    pub fn references(&self, referrer: i64) -> Result<Vec<(i64, StorePath)>, DatabaseError> {
        let mut statement = self.statement(
            "select v.id, v.path from Refs r join ValidPaths v on v.id = r.reference where r.referrer = ?",
        )?;
        let rows = statement.query_map([referrer], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)));
        let rows = rows.map_err(|error| self.failed(error))?;
        rows.map(|row| {
            let (id, path) = row.map_err(|error| self.failed(error))?;
            Ok((id, StorePath::parse(&path, self.store)?))
        })
        .collect()
    }

    pub fn info(&self, path: &StorePath) -> Result<Option<(PathInfo, Option<String>)>, DatabaseError> {
        type Row = (i64, String, Option<i64>, Option<String>, Option<String>);
        let mut statement =
            self.statement("select id, hash, narSize, deriver, ca from ValidPaths where path = ?")?;
        let row = statement.query_row([self.whole(path)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        });
        let row: Option<Row> = row.optional().map_err(|error| self.failed(error))?;
        let Some((id, hash, size, deriver, address)) = row else { return Ok(None) };
        let deriver = deriver.filter(|deriver| !deriver.is_empty());
        let deriver = deriver.map(|deriver| StorePath::parse(&deriver, self.store)).transpose()?;
        let digits = hash
            .strip_prefix(HASH)
            .filter(|digits| digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let nar_hash = digits
            .ok_or_else(|| DatabaseError::Value { path: path.to_string(), value: hash.clone() })?
            .to_owned();
        let nar_size = size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
        let references = self.references(id)?.into_iter().map(|(_, path)| path).collect();
        let info = PathInfo { path: path.clone(), nar_hash, nar_size, deriver, references };
        Ok(Some((info, address)))
    }

    pub fn insert(&self, registration: &Registration) -> Result<i64, DatabaseError> {
        let Registration { info, ultimate, content_address, .. } = registration;
        let mut statement = self.statement(
            "insert into ValidPaths (path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca) values (?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| number(time.as_secs()));
        let values = rusqlite::params![
            self.whole(&info.path),
            format!("{HASH}{}", info.nar_hash),
            now,
            info.deriver.as_ref().map(|deriver| self.whole(deriver)),
            number(info.nar_size),
            ultimate.then_some(1),
            registration.signatures_as_text(),
            content_address,
        ];
        statement.insert(values).map_err(|error| self.failed(error))
    }

    pub fn update(&self, id: i64, registration: &Registration) -> Result<(), DatabaseError> {
        let Registration { info, ultimate, content_address, .. } = registration;
        let mut statement = self.statement(
            "update ValidPaths set narSize = ?, hash = ?, ultimate = ?, sigs = ?, ca = ? where id = ?",
        )?;
        let values = rusqlite::params![
            number(info.nar_size),
            format!("{HASH}{}", info.nar_hash),
            ultimate.then_some(1),
            registration.signatures_as_text(),
            content_address,
            id,
        ];
        statement.execute(values).map(drop).map_err(|error| self.failed(error))
    }

    pub fn trust(&self, path: &StorePath) -> Result<(), DatabaseError> {
        let mut statement = self.statement("update ValidPaths set ultimate = 1 where path = ?")?;
        statement.execute([self.whole(path)]).map(drop).map_err(|error| self.failed(error))
    }

    pub fn refer(&self, referrer: i64, reference: i64) -> Result<(), DatabaseError> {
        let mut statement =
            self.statement("insert or replace into Refs (referrer, reference) values (?, ?)")?;
        statement.execute([referrer, reference]).map(drop).map_err(|error| self.failed(error))
    }

    fn statement(&self, text: &str) -> Result<rusqlite::CachedStatement<'_>, DatabaseError> {
        self.transaction.prepare_cached(text).map_err(|error| self.failed(error))
    }

    fn whole(&self, path: &StorePath) -> String {
        path.within(self.store).display().to_string()
    }

    fn failed(&self, source: rusqlite::Error) -> DatabaseError {
        DatabaseError::Sqlite { path: self.path.into(), source }
    }
}

/// SQLite's numbers are signed; no archive and no time is as large.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
