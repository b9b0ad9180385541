//! Walks through the same view in several backends, compared: differences by kind, with the reason of those that have to
//! be.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use nfs_server::view::{ViewSpec, is_host_inode};
use serde::Serialize;

use super::origin::{Origin, Origins};
use super::walk::ObservedFile;
use crate::backend::BackendKind;

/// What differs between walks through the same view.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WalkComparison {
    /// How many files, directories and links each walk saw.
    pub files: BTreeMap<BackendKind, usize>,
    /// How many file numbers each walk saw more than once, of files that say that they have one name only.
    pub repeated_inodes: BTreeMap<BackendKind, usize>,
    /// Kinds of differences from the first walk.
    pub differences: Vec<Difference>,
}

/// One kind of difference.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The first backend.
    pub first: BackendKind,
    /// The backend that differs from it.
    pub other: BackendKind,
    /// What differs.
    pub what: &'static str,
    /// Why it has to; missing when nobody knows.
    pub reason: Option<&'static str>,
    /// How many files it is so for.
    pub count: usize,
    /// One of them.
    pub example: PathBuf,
    /// What the first backend shows there.
    pub in_first: String,
    /// What the other shows.
    pub in_other: String,
}

/// What one walk has seen, by path.
type FilesByPath = HashMap<PathBuf, ObservedFile>;

const NOT_THERE: &str = "not there";

const OWN_NUMBERS: &str = "what only the view has is numbered by each backend for itself";
const OWN_DIRECTORIES: &str = "a farm of links makes directories of its own";
const OTHER_DEVICE: &str = "NFS gives files of another device numbers of their own";
const COPIED: &str = "a farm copies what it cannot link";
const OWN_WRITABLE: &str = "writable directories are each backend's own";
const ONE_DEVICE: &str = "an NFS mount is one device, and mounted directories keep theirs";
const MORE_NAMES: &str = "a hard link is one more name";
const OWN_COUNTS: &str = "a directory's size and link count are its file system's business";
const AGE_OF_VIEW: &str = "what only the view has is as old as the view";
const LINKED_NOW: &str = "linking a file, for one of the backends, is a change of it";
const OTHER_WORD: &str = "both refuse, a read-only file system in other words than modes";
const MODES_ALONE: &str =
    "in a farm modes alone keep a declared directory from being written; what is written goes with it";
const NO_SET_ID: &str = "NFS does not show set-id bits, and no other backend honours them";

impl WalkComparison {
    /// Compares all walks with the first.
    pub fn compare(view: &ViewSpec, walks: Vec<(BackendKind, Vec<ObservedFile>)>) -> WalkComparison {
        let origins = Origins::of(view);
        let files = walks.iter().map(|(kind, seen)| (*kind, seen.len())).collect();
        let repeated_inodes = walks.iter().map(|(kind, seen)| (*kind, repeated(seen))).collect();
        let linked = walks.iter().any(|(kind, _)| *kind == BackendKind::Hardlink);
        let by_path = |seen: Vec<ObservedFile>| -> FilesByPath {
            seen.into_iter().map(|seen| (seen.path().to_path_buf(), seen)).collect()
        };
        let mut walks = walks.into_iter().map(|(kind, seen)| (kind, by_path(seen)));
        let mut found = BTreeMap::new();
        if let Some((first, walk)) = walks.next() {
            for (other, against) in walks {
                compare(&origins, linked, (first, &walk), (other, &against), &mut found);
            }
        }
        WalkComparison { files, repeated_inodes, differences: found.into_values().collect() }
    }

    /// The differences that nothing explains.
    pub fn unexplained(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|difference| difference.reason.is_none())
    }
}

type DifferenceMap = BTreeMap<(BackendKind, &'static str, Option<&'static str>), Difference>;

fn compare(
    origins: &Origins,
    linked: bool,
    first: (BackendKind, &FilesByPath),
    other: (BackendKind, &FilesByPath),
    found: &mut DifferenceMap,
) {
    let mut note = |path: &Path, what, reason, in_first: String, in_other: String| {
        let entry = found.entry((other.0, what, reason)).or_insert_with(|| Difference {
            first: first.0,
            other: other.0,
            what,
            reason,
            count: 0,
            example: path.into(),
            in_first,
            in_other,
        });
        entry.count += 1;
    };
    for (path, one) in first.1 {
        let Some(two) = other.1.get(path) else {
            note(path, "names", None, one.kind.clone(), NOT_THERE.into());
            continue;
        };
        let pair = FilePair { one, two, kinds: [first.0, other.0], origin: origins.get(path), linked };
        for (what, in_first, in_other) in pair.differing() {
            note(path, what, pair.reason(what), in_first, in_other);
        }
    }
    for (path, two) in other.1.iter().filter(|(path, _)| !first.1.contains_key(*path)) {
        note(path, "names", None, NOT_THERE.into(), two.kind.clone());
    }
}

/// The same file in two backends.
struct FilePair<'a> {
    one: &'a ObservedFile,
    two: &'a ObservedFile,
    kinds: [BackendKind; 2],
    origin: Origin,
    /// Whether any of the walks, these or others, was through a farm of links.
    linked: bool,
}

impl FilePair<'_> {
    /// Each attribute that differs, as both have it.
    fn differing(&self) -> Vec<(&'static str, String, String)> {
        let time = |(seconds, nanoseconds): (i64, i64)| format!("{seconds}.{nanoseconds:09}");
        let bytes =
            |bytes: &Option<Vec<u8>>| String::from_utf8_lossy(bytes.as_deref().unwrap_or(b"")).into_owned();
        let values = |seen: &ObservedFile| {
            [
                ("kind", seen.kind.clone()),
                ("mode", format!("{:o}", seen.mode)),
                ("owner", format!("{}:{}", seen.uid, seen.gid)),
                ("link count", seen.links.to_string()),
                ("inode number", seen.inode.to_string()),
                ("device", format!("{:x}", seen.device)),
                ("size", seen.size.to_string()),
                ("time of modification", time(seen.modified)),
                ("time of change", time(seen.changed)),
                ("target", bytes(&seen.target)),
                ("contents", seen.contents.clone().unwrap_or_default()),
                ("answer to writing", seen.write.clone()),
            ]
        };
        let pairs = values(self.one).into_iter().zip(values(self.two));
        pairs.filter(|(one, two)| one != two).map(|(one, two)| (one.0, one.1, two.1)).collect()
    }

    /// Why an attribute has to differ.
    fn reason(&self, what: &str) -> Option<&'static str> {
        let directory = self.one.kind == "directory";
        let farm = self.kinds.contains(&BackendKind::Hardlink);
        let own = match self.origin {
            Origin::Declared => Some(OWN_NUMBERS),
            Origin::Writable => Some(OWN_WRITABLE),
            Origin::Shown => None,
        };
        match what {
            "device" => Some(ONE_DEVICE),
            "inode number" => own
                .or((farm && directory).then_some(OWN_DIRECTORIES))
                .or(farm.then_some(COPIED))
                .or(self.is_numbered_by_nfs().then_some(OTHER_DEVICE)),
            "link count" => {
                (directory && (own.is_some() || farm)).then_some(OWN_COUNTS).or(farm.then_some(MORE_NAMES))
            }
            "size" => (directory && (own.is_some() || farm)).then_some(OWN_COUNTS),
            "time of modification" => own.map(|_| AGE_OF_VIEW),
            "time of change" => own.map(|_| AGE_OF_VIEW).or(self.linked.then_some(LINKED_NOW)),
            "answer to writing" => {
                let refused = |seen: &ObservedFile| seen.write != "allowed";
                (refused(self.one) && refused(self.two))
                    .then_some(OTHER_WORD)
                    .or((farm && directory && self.origin == Origin::Declared).then_some(MODES_ALONE))
            }
            "mode" => (self.one.mode & 0o1777 == self.two.mode & 0o1777).then_some(NO_SET_ID),
            _ => None,
        }
    }

    fn is_numbered_by_nfs(&self) -> bool {
        let by_nfs = |(kind, seen): (BackendKind, &ObservedFile)| {
            kind == BackendKind::Nfs && !is_host_inode(seen.inode)
        };
        self.kinds.into_iter().zip([self.one, self.two]).any(by_nfs)
    }
}

/// How many numbers stand for several files that have one name each.
fn repeated(seen: &[ObservedFile]) -> usize {
    let mut once = HashSet::new();
    let mut more = HashSet::new();
    for seen in seen.iter().filter(|seen| seen.links == 1 || seen.kind == "directory") {
        let number = (seen.device, seen.inode);
        if !once.insert(number) {
            more.insert(number);
        }
    }
    more.len()
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { first, other, what, count, example, in_first, in_other, .. } = self;
        write!(f, "{what} of {count}: {in_first:?} in {first}, {in_other:?} in {other}, as at {example:?}")
    }
}
