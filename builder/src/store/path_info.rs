//! What the store knows about a valid path, in the two text forms that Nix's programs exchange it in.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use crate::store_path::{StorePath, StorePathError};

/// A valid path's entry in the store's database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PathInfo {
    /// The path.
    pub path: StorePath,
    /// SHA-256 of the path as an archive, in base 16.
    pub nar_hash: String,
    /// Size of the archive in bytes.
    pub nar_size: u64,
    /// The derivation that made it.
    pub deriver: Option<StorePath>,
    /// The paths that it mentions, itself perhaps included.
    pub references: BTreeSet<StorePath>,
}

/// Why a text is not a list of path infos.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InfoError {
    /// The text ends in the middle of one.
    #[error("line {line}: it ends before the {missing}")]
    Short {
        /// Its last line.
        line: usize,
        /// What comes next.
        missing: &'static str,
    },
    /// A number is not one.
    #[error("line {line}: {text:?} is not a number")]
    Number {
        /// The number of the line, from 1.
        line: usize,
        /// The text of the line.
        text: String,
    },
    /// A hash is not one.
    #[error("line {line}: {text:?} is not a SHA-256 hash in base 16")]
    Hash {
        /// The number of the line, from 1.
        line: usize,
        /// The text of the line.
        text: String,
    },
    /// A path is not one.
    #[error("line {line}: this is not a store path")]
    Path {
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        source: StorePathError,
    },
}

impl PathInfo {
    /// The form that `nix-store --register-validity --hash-given` reads and `--dump-db` prints.
    #[must_use]
    pub fn registration(&self, store: &Path) -> String {
        let mut text =
            format!("{}\n{}\n{}\n", self.path.within(store).display(), self.nar_hash, self.nar_size);
        self.links(&mut text, store, self.deriver.as_ref());
        text
    }

    /// The form that builders get for `exportReferencesGraph`: without hash, size and deriver.
    #[must_use]
    pub fn graph_entry(&self, store: &Path) -> String {
        let mut text = format!("{}\n", self.path.within(store).display());
        self.links(&mut text, store, None);
        text
    }

    fn links(&self, text: &mut String, store: &Path, deriver: Option<&StorePath>) {
        let deriver = deriver.map(|deriver| deriver.within(store).display().to_string()).unwrap_or_default();
        // Writing to a string does not fail.
        let _ = writeln!(text, "{deriver}\n{}", self.references.len());
        for reference in &self.references {
            let _ = writeln!(text, "{}", reference.within(store).display());
        }
    }
}

/// Reads what `nix-store --dump-db` prints.
pub fn read_all(printed: &[u8], store: &Path) -> Result<Vec<PathInfo>, InfoError> {
    let text = String::from_utf8_lossy(printed);
    let mut lines = Lines { lines: text.lines(), line: 0 };
    let mut infos = Vec::new();
    while let Some(path) = lines.lines.next() {
        lines.line += 1;
        infos.push(lines.info(path, store)?);
    }
    Ok(infos)
}

/// The content addresses in the answer of `nix path-info --json`: a list of objects that name their path, or, since
/// Nix 2.19, an object of objects by path.
pub fn content_addresses(answer: &serde_json::Value, store: &Path) -> Vec<(StorePath, String)> {
    let address = |path: &str, info: &serde_json::Value| {
        let path = StorePath::parse(path, store).or_else(|_| StorePath::new(path)).ok()?;
        Some((path, info.get("ca")?.as_str()?.to_owned()))
    };
    match answer {
        serde_json::Value::Array(infos) => {
            infos.iter().filter_map(|info| address(info.get("path")?.as_str()?, info)).collect()
        }
        serde_json::Value::Object(infos) => {
            infos.iter().filter_map(|(path, info)| address(path, info)).collect()
        }
        _ => Vec::new(),
    }
}

struct Lines<'a> {
    lines: std::str::Lines<'a>,
    line: usize,
}

impl Lines<'_> {
    fn info(&mut self, path: &str, store: &Path) -> Result<PathInfo, InfoError> {
        let path = self.path(path, store)?;
        let nar_hash = self.next("hash")?;
        if nar_hash.len() != 64 || !nar_hash.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(InfoError::Hash { line: self.line, text: nar_hash.into() });
        }
        let nar_hash = nar_hash.to_owned();
        let nar_size = self.number("size")?;
        let deriver = match self.next("deriver")? {
            "" => None,
            deriver => Some(self.path(deriver, store)?),
        };
        let mut references = BTreeSet::new();
        for _ in 0..self.number("number of references")? {
            let reference = self.next("reference")?;
            references.insert(self.path(reference, store)?);
        }
        Ok(PathInfo { path, nar_hash, nar_size, deriver, references })
    }

    fn number(&mut self, missing: &'static str) -> Result<u64, InfoError> {
        let text = self.next(missing)?;
        text.parse().map_err(|_| InfoError::Number { line: self.line, text: text.into() })
    }

    fn path(&self, text: &str, store: &Path) -> Result<StorePath, InfoError> {
        StorePath::parse(text, store).map_err(|source| InfoError::Path { line: self.line, source })
    }
}

impl<'a> Lines<'a> {
    fn next(&mut self, missing: &'static str) -> Result<&'a str, InfoError> {
        let text = self.lines.next().ok_or(InfoError::Short { line: self.line, missing })?;
        self.line += 1;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMPED: &str = "\
/nix/store/axkxi7ggzyj40i6l6ic8a9rx3msmqy75-a
246a1974b9b70c70448db35dec40bee30d405907abb3091e555c3775f98f6a05
936
/nix/store/q3b0hd0q850n5gqdwdfd5dlyc9vwpp2v-a.drv
2
/nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-busybox
/nix/store/axkxi7ggzyj40i6l6ic8a9rx3msmqy75-a
";

    #[test]
    fn what_nix_dumps_is_read_and_written_back_the_same() {
        let store = Path::new("/nix/store");
        let twice = format!("{DUMPED}{}", DUMPED.replace("936", "937"));
        let infos = read_all(twice.as_bytes(), store).unwrap();
        assert_eq!(infos.iter().map(|info| info.nar_size).collect::<Vec<_>>(), [936, 937]);
        assert_eq!(infos[0].registration(store), DUMPED);
        insta::assert_snapshot!(infos[0].graph_entry(store), @r"
        /nix/store/axkxi7ggzyj40i6l6ic8a9rx3msmqy75-a

        2
        /nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-busybox
        /nix/store/axkxi7ggzyj40i6l6ic8a9rx3msmqy75-a
        ");
    }

    #[test]
    fn a_text_that_breaks_off_is_refused_at_every_line() {
        let lines: Vec<&str> = DUMPED.lines().collect();
        for end in 1..lines.len() {
            let text = lines[..end].join("\n") + "\n";
            assert!(matches!(
                read_all(text.as_bytes(), Path::new("/nix/store")),
                Err(InfoError::Short { .. })
            ));
        }
    }

    #[test]
    fn content_addresses_are_read_from_old_and_new_answers() {
        let path = "/nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-busybox";
        let old =
            serde_json::json!([{ "path": path, "ca": "fixed:r:sha256:x" }, { "path": path, "narSize": 1 }]);
        let new = serde_json::json!({ path: { "ca": "fixed:r:sha256:x" } });
        for answer in [old, new] {
            let found = content_addresses(&answer, Path::new("/nix/store"));
            assert_eq!(found, [(StorePath::new(&path[11..]).unwrap(), "fixed:r:sha256:x".to_owned())]);
        }
    }
}
