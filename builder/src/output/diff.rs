//! What differs between an output and the same output built again: names, kinds, modes, targets, the first bytes.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Differences that are listed; a tree in which everything differs has no use for a list of everything.
const LISTED: usize = 20;

/// Bytes that are shown from the first one on that differs.
const SHOWN: usize = 16;

/// How two trees differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Differences {
    /// The first of them, in the order of their paths.
    pub listed: Vec<Difference>,
    /// Whether there are more.
    pub more: bool,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where, from the top of the tree; empty for the top itself.
    pub path: PathBuf,
    /// How it differs.
    pub what: DifferenceKind,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum DifferenceKind {
    /// It was there before and is not made now.
    Gone,
    /// It is made now and was not there before.
    New,
    /// It is of another kind.
    Kind {
        /// The kind before.
        before: &'static str,
        /// The kind now.
        now: &'static str,
    },
    /// It is executable now and was not, or the other way round.
    Executable {
        /// Whether it is now.
        now: bool,
    },
    /// The link leads elsewhere.
    Target {
        /// Where it led.
        before: PathBuf,
        /// Where it leads.
        now: PathBuf,
    },
    /// The file has other contents.
    Contents {
        /// The first byte that differs.
        at: u64,
        /// The size before.
        size_before: u64,
        /// The size now.
        size_now: u64,
        /// Bytes from there on, before.
        before: Vec<u8>,
        /// Bytes from there on, now.
        now: Vec<u8>,
    },
}

/// Compares two trees in canonical form.
///
/// # Errors
/// When one of them cannot be read.
pub fn compare(before: &Path, now: &Path) -> io::Result<Differences> {
    let mut differences = Differences::default();
    // What is to be looked at, the next one last: no deeper than a path is long.
    let mut waiting = vec![(PathBuf::new(), Side::Both)];
    while let Some((path, side)) = waiting.pop().filter(|_| !differences.more) {
        match side {
            Side::Before => differences.add(&path, DifferenceKind::Gone),
            Side::Now => differences.add(&path, DifferenceKind::New),
            Side::Both => {
                let below = differences.compare(&joined(before, &path), &joined(now, &path), &path)?;
                waiting.extend(below.into_iter().rev().map(|(name, side)| (path.join(name), side)));
            }
        }
    }
    Ok(differences)
}

/// Which of two trees has something.
#[derive(Clone, Copy)]
enum Side {
    Before,
    Now,
    Both,
}

/// The top itself has no name below it, and a path that ends in a slash would be another.
fn joined(top: &Path, path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() { top.into() } else { top.join(path) }
}

impl Differences {
    fn add(&mut self, path: &Path, what: DifferenceKind) {
        if self.listed.len() < LISTED {
            self.listed.push(Difference { path: path.into(), what });
        } else {
            self.more = true;
        }
    }

    /// Compares what has this path in both; the answer is what is below it if both are directories.
    fn compare(&mut self, before: &Path, now: &Path, path: &Path) -> io::Result<Vec<(OsString, Side)>> {
        let (old, new) = (fs::symlink_metadata(before)?, fs::symlink_metadata(now)?);
        let kinds = (kind(&old), kind(&new));
        if kinds.0 != kinds.1 {
            self.add(path, DifferenceKind::Kind { before: kinds.0, now: kinds.1 });
        } else if old.is_symlink() {
            let targets = (fs::read_link(before)?, fs::read_link(now)?);
            if targets.0 != targets.1 {
                self.add(path, DifferenceKind::Target { before: targets.0, now: targets.1 });
            }
        } else if old.is_dir() {
            return entries(before, now);
        } else {
            let executable = |metadata: &fs::Metadata| metadata.permissions().mode() & 0o100 != 0;
            if executable(&old) != executable(&new) {
                self.add(path, DifferenceKind::Executable { now: executable(&new) });
            }
            if let Some((at, tails)) = first_difference(before, now)? {
                let (before, now) = tails;
                let (size_before, size_now) = (old.len(), new.len());
                self.add(path, DifferenceKind::Contents { at, size_before, size_now, before, now });
            }
        }
        Ok(Vec::new())
    }
}

/// The names in two directories, in order.
fn entries(before: &Path, now: &Path) -> io::Result<Vec<(OsString, Side)>> {
    let (old, new) = (names(before)?, names(now)?);
    let side = |name: &OsString| match (old.contains(name), new.contains(name)) {
        (true, false) => Side::Before,
        (false, _) => Side::Now,
        (true, true) => Side::Both,
    };
    Ok(old.union(&new).map(|name| (name.clone(), side(name))).collect())
}

impl fmt::Display for Differences {
    /// Each on a line of its own, indented.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in &self.listed {
            write!(f, "\n  {difference}")?;
        }
        if self.more { f.write_str("\n  and more") } else { Ok(()) }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.as_os_str().is_empty() {
            write!(f, "{:?}: ", self.path)?;
        }
        match &self.what {
            DifferenceKind::Gone => f.write_str("is not made again"),
            DifferenceKind::New => f.write_str("was not there before"),
            DifferenceKind::Kind { before, now } => write!(f, "was a {before}, is a {now}"),
            DifferenceKind::Executable { now: true } => f.write_str("is executable now"),
            DifferenceKind::Executable { now: false } => f.write_str("is not executable any more"),
            DifferenceKind::Target { before, now } => write!(f, "led to {before:?}, leads to {now:?}"),
            DifferenceKind::Contents { at, size_before, size_now, before, now } => {
                if size_before != size_now {
                    write!(f, "had {size_before} bytes, has {size_now}; ")?;
                }
                write!(
                    f,
                    "differs from byte {at} on: \"{}\" before, \"{}\" now",
                    before.escape_ascii(),
                    now.escape_ascii()
                )
            }
        }
    }
}

fn kind(metadata: &fs::Metadata) -> &'static str {
    match metadata.file_type() {
        kind if kind.is_dir() => "directory",
        kind if kind.is_symlink() => "link",
        _ => "file",
    }
}

fn names(directory: &Path) -> io::Result<BTreeSet<OsString>> {
    fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
}

type Excerpts = (Vec<u8>, Vec<u8>);

/// The place of the first byte that differs, and the bytes from there on. The end of a file differs from any byte.
fn first_difference(before: &Path, now: &Path) -> io::Result<Option<(u64, Excerpts)>> {
    let (mut old, mut new) = (BufReader::new(File::open(before)?), BufReader::new(File::open(now)?));
    let mut at = 0;
    loop {
        let same = {
            let (one, other) = (io::BufRead::fill_buf(&mut old)?, io::BufRead::fill_buf(&mut new)?);
            if one.is_empty() && other.is_empty() {
                return Ok(None);
            }
            one.iter().zip(other).take_while(|(one, other)| one == other).count()
        };
        if same == 0 {
            return Ok(Some((at, (head(old)?, head(new)?))));
        }
        io::BufRead::consume(&mut old, same);
        io::BufRead::consume(&mut new, same);
        at += same as u64;
    }
}

fn head(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(SHOWN);
    from.take(SHOWN as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_kind_of_difference_is_told() {
        let place = tempfile::tempdir().unwrap();
        let (before, now) = (place.path().join("before"), place.path().join("now"));
        for tree in [&before, &now] {
            fs::create_dir(tree).unwrap();
            fs::write(tree.join("same"), "same").unwrap();
        }
        fs::write(before.join("changed"), "a long text of which the end differs").unwrap();
        fs::write(now.join("changed"), "a long text of which the END differs").unwrap();
        fs::write(before.join("gone"), "").unwrap();
        fs::write(before.join("grown"), "x").unwrap();
        fs::write(now.join("grown"), "xy\0").unwrap();
        fs::write(before.join("kind"), "").unwrap();
        fs::create_dir(now.join("kind")).unwrap();
        symlink("here", before.join("link")).unwrap();
        symlink("there", now.join("link")).unwrap();
        fs::write(now.join("new"), "").unwrap();
        fs::write(before.join("program"), "").unwrap();
        fs::write(now.join("program"), "").unwrap();
        fs::set_permissions(now.join("program"), fs::Permissions::from_mode(0o755)).unwrap();
        insta::assert_snapshot!(compare(&before, &now).unwrap().to_string().trim_start(), @r#"
        "changed": differs from byte 25 on: "end differs" before, "END differs" now
          "gone": is not made again
          "grown": had 1 bytes, has 3; differs from byte 1 on: "" before, "y\x00" now
          "kind": was a file, is a directory
          "link": led to "here", leads to "there"
          "new": was not there before
          "program": is executable now
        "#);
        assert_eq!(compare(&before, &before).unwrap(), Differences::default());
    }

    #[test]
    fn a_long_list_is_cut() {
        let place = tempfile::tempdir().unwrap();
        let (before, now) = (place.path().join("before"), place.path().join("now"));
        fs::create_dir(&before).unwrap();
        fs::create_dir(&now).unwrap();
        for number in 0..=LISTED {
            fs::write(now.join(number.to_string()), "").unwrap();
        }
        let differences = compare(&before, &now).unwrap();
        assert_eq!((differences.listed.len(), differences.more), (LISTED, true));
    }
}
