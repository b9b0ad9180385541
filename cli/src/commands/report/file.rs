//! A file that `--report=FILE` has written: as it is, and as far as reports are compared.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use sandbox::report::VERSION;
use serde::Deserialize;
use serde_json::Value;

use crate::output::name;

/// Why a file is none, or cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {path:?}")]
    Read { path: PathBuf, source: io::Error },
    /// It is something else.
    #[error("{path:?} is no report of loopbox")]
    Form { path: PathBuf, source: serde_json::Error },
    /// Another loopbox has written it.
    #[error("{path:?} is a report of version {version}, and this loopbox reads version {VERSION}")]
    Version { path: PathBuf, version: u32 },
    /// Its page cannot be written.
    #[error("cannot write the page to {path:?}")]
    Write { path: PathBuf, source: io::Error },
}

/// What one program did, by what is compared: names, and what is said of each.
pub type Facts = Vec<(&'static str, BTreeMap<String, String>)>;

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Deserialize)]
struct Whole {
    reports: Vec<One>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct One {
    derivation: Option<String>,
    #[serde(default)]
    command: Vec<String>,
    undeclared: Vec<Named>,
    deep: Option<Deep>,
    refused: Refused,
    host_files: Vec<HostFile>,
    entries: Vec<Shown>,
}

#[derive(Deserialize)]
struct Deep {
    undeclared: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    path: PathText,
}

#[derive(Deserialize)]
struct Refused {
    paths: Vec<PathText>,
}

#[derive(Deserialize)]
struct HostFile {
    path: PathText,
    sha256: Option<String>,
}

#[derive(Deserialize)]
struct Shown {
    at: PathText,
    kind: String,
    used: bool,
}

/// A path as reports have it.
#[derive(Deserialize)]
#[serde(untagged)]
enum PathText {
    Text(String),
    Bytes(Vec<u8>),
}

/// The reports of a file, by what they are of: a derivation's name if there is one of that name only, or a command.
pub fn read(path: &Path) -> Result<BTreeMap<String, Facts>, FileError> {
    facts(&load(path)?, path)
}

/// The whole document of a file, which has the form of this version.
pub fn read_document(path: &Path) -> Result<Value, FileError> {
    let document = load(path)?;
    whole(&document, path)?;
    Ok(document)
}

fn load(path: &Path) -> Result<Value, FileError> {
    let text = fs::read(path).map_err(|source| FileError::Read { path: path.into(), source })?;
    parse(&text, path)
}

fn parse(text: &[u8], path: &Path) -> Result<Value, FileError> {
    let form = |source| FileError::Form { path: path.into(), source };
    let document: Value = serde_json::from_slice(text).map_err(form)?;
    match Version::deserialize(&document).map_err(form)? {
        Version { version: VERSION } => Ok(document),
        Version { version } => Err(FileError::Version { path: path.into(), version }),
    }
}

fn whole(document: &Value, path: &Path) -> Result<Whole, FileError> {
    Whole::deserialize(document).map_err(|source| FileError::Form { path: path.into(), source })
}

fn facts(document: &Value, path: &Path) -> Result<BTreeMap<String, Facts>, FileError> {
    let whole = whole(document, path)?;
    let of = |name: &str| whole.reports.iter().filter(|one| one.short_name() == name).count();
    let whole_name = |one: &One| match &one.derivation {
        Some(derivation) if of(&one.short_name()) > 1 => name(derivation),
        _ => one.short_name(),
    };
    Ok(whole.reports.iter().map(|one| (whole_name(one), one.facts())).collect())
}

impl One {
    /// Without the hash, which changes with everything.
    fn short_name(&self) -> String {
        let Some(derivation) = &self.derivation else { return name(self.command.join(" ")) };
        let file = derivation.rsplit('/').next().unwrap_or(derivation);
        name(file.split_once('-').map_or(file, |(_, name)| name))
    }

    fn facts(&self) -> Facts {
        let undeclared = self.deep.as_ref().map_or(&self.undeclared, |deep| &deep.undeclared);
        let names = |paths: &mut dyn Iterator<Item = &PathText>| {
            paths.map(|path| (path.shown(), String::new())).collect()
        };
        let unused = |shown: &&Shown| !shown.used && shown.kind != "scratch";
        let hash = |file: &HostFile| (file.path.shown(), file.sha256.clone().unwrap_or_default());
        vec![
            ("asked for and not in the view", names(&mut undeclared.iter().map(|found| &found.path))),
            ("refused", names(&mut self.refused.paths.iter())),
            ("read of the host", self.host_files.iter().map(hash).collect()),
            ("not used", names(&mut self.entries.iter().filter(unused).map(|shown| &shown.at))),
        ]
    }
}

impl PathText {
    fn shown(&self) -> String {
        match self {
            PathText::Text(text) => name(text),
            PathText::Bytes(bytes) => name(OsString::from_vec(bytes.clone())),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use serde_json::json;

    use super::*;

    /// A report of a derivation.
    pub fn report(derivation: &str, undeclared: &[&str], host_files: &[(&str, Option<&str>)]) -> Value {
        let undeclared: Vec<Value> =
            undeclared.iter().map(|path| json!({ "path": path, "owner": null })).collect();
        let host_files: Vec<Value> = host_files
            .iter()
            .map(|(path, sha256)| json!({ "path": path, "bytesRead": 1, "sha256": sha256 }))
            .collect();
        json!({
            "derivation": derivation,
            "undeclared": undeclared,
            "refused": { "paths": [[47, 255]], "incomplete": false },
            "hostFiles": host_files,
            "entries": [
                { "at": "/tmp", "kind": "scratch", "used": false },
                { "at": "/unused", "kind": "fixed", "used": false },
            ],
        })
    }

    /// Reads reports.
    pub fn read(reports: &[Value]) -> Result<BTreeMap<String, Facts>, FileError> {
        facts(&json!({ "version": VERSION, "reports": reports }), "r.json".as_ref())
    }

    #[test]
    fn reports_are_named_by_what_they_are_of() {
        let names = |derivations: &[&str]| -> Vec<String> {
            let reports: Vec<Value> =
                derivations.iter().map(|derivation| report(derivation, &[], &[])).collect();
            read(&reports).unwrap().into_keys().collect()
        };
        assert_eq!(names(&["/nix/store/000-a.drv", "/nix/store/111-b.drv"]), ["a.drv", "b.drv"]);
        let twice = ["/nix/store/000-a.drv", "/nix/store/111-a.drv"];
        assert_eq!(names(&twice), twice, "by their whole paths, if there are several");
    }

    #[test]
    fn what_the_program_was_given_for_itself_is_not_unused() {
        let facts = read(&[report("/s/0-a", &[], &[])]).unwrap().remove("a").unwrap();
        let of = |label: &str| facts.iter().find(|(known, _)| *known == label).unwrap().1.clone();
        assert_eq!(of("not used").into_keys().collect::<Vec<_>>(), ["/unused"]);
        assert_eq!(of("refused").into_keys().collect::<Vec<_>>(), ["/\\xff"]);
    }

    #[test]
    fn what_is_no_report_says_so() {
        let path = Path::new("r.json");
        let told = |text: &str| {
            let read = parse(text.as_bytes(), path).and_then(|document| whole(&document, path));
            read.err().map(|error| error.to_string()).unwrap()
        };
        assert_eq!(told("{"), r#""r.json" is no report of loopbox"#);
        assert_eq!(told("[]"), r#""r.json" is no report of loopbox"#);
        assert_eq!(told(r#"{"version": 1, "reports": [{}]}"#), r#""r.json" is no report of loopbox"#);
        let other = r#""r.json" is a report of version 9, and this loopbox reads version 1"#;
        assert_eq!(told(r#"{"version": 9, "reports": []}"#), other);
    }
}
