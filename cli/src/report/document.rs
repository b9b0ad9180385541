//! Reports as a file has them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use builder::report::BuildReport;
use sandbox::report::{Report, Undeclared, VERSION};
use serde::{Deserialize, Serialize};

use crate::output::name;

/// All that a file has.
#[derive(Debug, Serialize, Deserialize)]
pub struct Document {
    version: u32,
    /// Which loopbox wrote it.
    pub loopbox: String,
    /// What it reports of.
    pub reports: Vec<AnyReport>,
}

/// What a build or a command asked its view for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AnyReport {
    /// A build.
    Build(Box<BuildReport>),
    /// A command.
    Command(Box<CommandReport>),
}

/// What a command asked its view for.
#[derive(Debug, Serialize, Deserialize)]
pub struct CommandReport {
    /// Its words.
    pub command: Vec<String>,
    /// What its view says.
    #[serde(flatten)]
    pub access: Report,
}

/// Why there is no such document.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The file cannot be read.
    #[error("cannot read {path:?}")]
    Read { path: PathBuf, source: io::Error },
    /// It is something else.
    #[error("{path:?} is not a report of loopbox")]
    Form { path: PathBuf, source: serde_json::Error },
    /// Another loopbox has written it.
    #[error("{path:?} is a report of version {version}, and this loopbox reads version {VERSION}")]
    Version { path: PathBuf, version: u32 },
    /// It cannot be written.
    #[error("cannot write the report to {path:?}")]
    Write { path: PathBuf, source: io::Error },
}

impl Document {
    /// Of these reports.
    pub fn new(reports: Vec<AnyReport>) -> Document {
        Document { version: VERSION, loopbox: env!("CARGO_PKG_VERSION").into(), reports }
    }

    /// What `--report=FILE` has written.
    pub fn read(path: &Path) -> Result<Document, DocumentError> {
        let text = fs::read(path).map_err(|source| DocumentError::Read { path: path.into(), source })?;
        Document::parse(&text, path)
    }

    /// The same of what the file contains.
    pub fn parse(text: &[u8], path: &Path) -> Result<Document, DocumentError> {
        /// What all versions have.
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let form = |source| DocumentError::Form { path: path.into(), source };
        let Versioned { version } = serde_json::from_slice(text).map_err(form)?;
        if version != VERSION {
            return Err(DocumentError::Version { path: path.into(), version });
        }
        serde_json::from_slice(text).map_err(form)
    }

    /// Writes it to a file.
    pub fn write(&self, path: &Path) -> Result<(), DocumentError> {
        let failed = |source| DocumentError::Write { path: path.into(), source };
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.into()))?;
        fs::write(path, text + "\n").map_err(failed)
    }
}

impl AnyReport {
    /// What the view says.
    pub fn access(&self) -> &Report {
        match self {
            AnyReport::Build(report) => &report.access,
            AnyReport::Command(report) => &report.access,
        }
    }

    /// What was asked for and hidden, by whole paths if these are known.
    pub fn undeclared(&self) -> &[Undeclared] {
        match self {
            AnyReport::Build(report) => &report.not_shown().undeclared,
            AnyReport::Command(report) => &report.access.not_shown.undeclared,
        }
    }

    /// What it is of: the whole path of a derivation, or a command.
    pub fn of(&self) -> String {
        match self {
            AnyReport::Build(report) => name(&report.derivation),
            AnyReport::Command(report) => name(report.command.join(" ")),
        }
    }

    /// The same without the hash of a derivation, which changes with everything.
    pub fn short_of(&self) -> String {
        match self {
            AnyReport::Build(report) => short_name(&report.derivation),
            AnyReport::Command(_) => self.of(),
        }
    }
}

/// A derivation's name without its hash and the ending that all have.
pub fn short_name(derivation: &Path) -> String {
    let file = derivation.file_name().unwrap_or_default().to_string_lossy();
    let short = file.split_once('-').map_or(&*file, |(_, name)| name);
    name(short.strip_suffix(".drv").unwrap_or(short))
}

#[cfg(test)]
pub mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A report of a derivation, as a file has it.
    pub fn report(derivation: &str, undeclared: &[&str], host_files: &[(&str, Option<&str>)]) -> Value {
        let undeclared: Vec<Value> =
            undeclared.iter().map(|path| json!({ "path": path, "owner": null })).collect();
        let host_files: Vec<Value> = host_files
            .iter()
            .map(|(path, sha256)| json!({ "path": path, "bytesRead": 1, "sha256": sha256 }))
            .collect();
        let entry = |at: &str, kind: &str| {
            json!({
                "at": at, "source": at, "kind": kind, "used": false, "directoriesFound": 1, "filesFound": 0,
                "listed": 0, "filesRead": 0, "bytesRead": 0, "filesWritten": 1, "bytesWritten": 2,
            })
        };
        json!({
            "derivation": derivation,
            "status": "built",
            "undeclared": undeclared,
            "undeclaredIncomplete": false,
            "missing": 3,
            "refused": { "paths": [[47, 255]], "incomplete": false },
            "written": {
                "files": [{ "path": [47, 254], "bytesWritten": 2 }],
                "refused": { "paths": [[47, 255]], "incomplete": false },
            },
            "hostFiles": host_files,
            "hostFilesLeftOut": 0,
            "entries": [entry("/tmp", "scratch"), entry("/unused", "fixed")],
            "unusedInputs": [],
            "deep": null,
            "nfsCalls": { "READ": 7, "LOOKUP": 2 },
            "slowestCalls": [{ "procedure": "READ", "path": "/etc/x", "seconds": 0.5 }],
            "seconds": { "setup": 0.5, "run": 1.5, "teardown": 0.25 },
        })
    }

    /// A report of a command, as a file has it.
    pub fn command(words: &[&str]) -> Value {
        let mut command = report("", &[], &[]);
        let only_of_builds = ["derivation", "status", "unusedInputs", "deep"];
        let fields = command.as_object_mut().unwrap();
        fields.retain(|name, _| !only_of_builds.contains(&name.as_str()));
        fields.insert("command".into(), json!(words));
        command
    }

    /// A file of such reports.
    pub fn document(reports: &[Value]) -> Result<Document, DocumentError> {
        let whole = json!({ "version": VERSION, "loopbox": "1", "reports": reports });
        Document::parse(whole.to_string().as_bytes(), "r.json".as_ref())
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let command = command(&["sh", "-c", "true"]);
        let mut deep = report("/s/222-b.drv", &["/opt"], &[]);
        deep["deep"] = json!({
            "undeclared": [{ "path": "/opt/a.h", "owner": { "kind": "debian", "packages": ["a"] } }],
            "undeclaredIncomplete": true, "missing": 2, "outcome": "differs", "outputs": ["out"],
        });
        let written = json!({
            "version": VERSION,
            "loopbox": "1",
            "reports": [report("/s/111-a.drv", &["/usr"], &[("/bin/sh", Some("aa"))]), command, deep],
        });
        let document = Document::parse(written.to_string().as_bytes(), "r.json".as_ref()).unwrap();
        assert_eq!(json!(document), written);
        let names: Vec<String> = document.reports.iter().map(AnyReport::short_of).collect();
        assert_eq!(names, ["a", "sh -c true", "b"]);
    }

    #[test]
    fn what_is_no_report_says_so() {
        let told = |text: &str| Document::parse(text.as_bytes(), "r.json".as_ref()).unwrap_err().to_string();
        assert_eq!(told("{"), r#""r.json" is not a report of loopbox"#);
        assert_eq!(told("[]"), r#""r.json" is not a report of loopbox"#);
        assert_eq!(
            told(r#"{"version": 1, "loopbox": "1", "reports": [{}]}"#),
            r#""r.json" is not a report of loopbox"#
        );
        let other = r#""r.json" is a report of version 9, and this loopbox reads version 1"#;
        assert_eq!(told(r#"{"version": 9, "reports": []}"#), other);
    }
}
