//! The licences of a program's parts as one text: each text once, with the crates that have it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{Key, Part, Parts};

/// How the names of files with licences and notices begin, in small letters.
const NAMES: [&str; 6] = ["license", "licence", "copying", "notice", "unlicense", "copyright"];

/// A licence whose text is the same for everybody.
const APACHE: &str = "Apache-2.0";

/// What stands between two texts.
const RULE: &str = "--------------------------------------------------------------------------------";

/// The text. `apache` is that of the Apache licence, for crates that may be taken by it and bring no text.
///
/// # Errors
/// A crate brings no text and may not be taken by that licence, or its files cannot be read.
pub fn licences(parts: &Parts, apache: &str) -> Result<String> {
    let mut texts: BTreeMap<String, BTreeSet<&Key>> = BTreeMap::new();
    for (key, part) in parts {
        let mut found = texts_of(&part.directory).with_context(|| format!("the licences of {}", key.0))?;
        if found.is_empty() {
            ensure!(may_be_taken_by_apache(part), "{} {} brings no text of its licence", key.0, key.1);
            found.push(apache.to_owned());
        }
        for text in found {
            texts.entry(normal(&text)).or_default().insert(key);
        }
    }
    let mut all = String::from(
        "loopbox is made of these parts, and of Rust's standard library (MIT OR Apache-2.0).\n\n",
    );
    for ((name, version), part) in parts {
        all += &format!("{name} {version}: {}\n", part.licence);
    }
    // By the crates that they are about, the first ones first.
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|(_, one), (_, other)| one.cmp(other));
    for (text, keys) in texts {
        let names: Vec<_> = keys.iter().map(|(name, version)| format!("{name} {version}")).collect();
        all += &format!("\n{RULE}\n{}:\n\n{text}\n", names.join(", "));
    }
    Ok(all)
}

fn may_be_taken_by_apache(part: &Part) -> bool {
    part.licence.split(" OR ").any(|licence| licence.trim_matches(['(', ')']) == APACHE)
}

/// What the files for it say, in their order of names.
fn texts_of(directory: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        path.is_file() && NAMES.iter().any(|begin| name.starts_with(begin))
    });
    paths.sort();
    paths.iter().map(|path| Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())).collect()
}

/// The same text is the same however its lines end.
fn normal(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::tests::{example, key};

    /// Each part with a directory of its own.
    fn with_files(at: &Path, files: &[(&str, &str, &str)]) -> Parts {
        let mut parts = example();
        for ((name, version), part) in &mut parts {
            part.directory = at.join(format!("{name}-{version}"));
            fs::create_dir_all(part.directory.join("src/licenses")).unwrap();
            fs::write(part.directory.join("README.md"), "no licence").unwrap();
        }
        for (part, file, text) in files {
            fs::write(at.join(part).join(file), text).unwrap();
        }
        parts
    }

    #[test]
    fn each_text_stands_there_once() {
        let at = tempfile::tempdir().unwrap();
        let files = [
            ("loopbox-1.0.0", "LICENSE-MIT", "free\nfor all\n"),
            ("used-0.1.0", "COPYING.txt", "free  \r\nfor all\r\n\r\n"),
            ("used-0.1.0", "Notice", "thanks\n"),
            ("used-0.2.0+more", "UNLICENSE", "nobody's\n"),
        ];
        let text = licences(&with_files(at.path(), &files), "apache").unwrap();
        insta::assert_snapshot!(text, @"
        loopbox is made of these parts, and of Rust's standard library (MIT OR Apache-2.0).

        loopbox 1.0.0: MIT OR Apache-2.0
        used 0.1.0: MIT OR Apache-2.0
        used 0.2.0+more: MIT

        --------------------------------------------------------------------------------
        loopbox 1.0.0, used 0.1.0:

        free
        for all

        --------------------------------------------------------------------------------
        used 0.1.0:

        thanks

        --------------------------------------------------------------------------------
        used 0.2.0+more:

        nobody's
        ");
    }

    #[test]
    fn a_crate_without_a_text_is_taken_by_the_apache_licence_or_not_at_all() {
        let at = tempfile::tempdir().unwrap();
        let mut parts = with_files(at.path(), &[("loopbox-1.0.0", "LICENSE", "ours")]);
        parts.remove(&key("used", "0.2.0+more"));
        assert!(licences(&parts, "apache").unwrap().ends_with("\nused 0.1.0:\n\napache\n"));
        let parts = with_files(at.path(), &[]);
        assert_eq!(
            licences(&parts, "apache").unwrap_err().to_string(),
            "used 0.2.0+more brings no text of its licence"
        );
    }
}
