//! What of a view was used, as the counters of its nodes say.

use std::cmp::Reverse;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::attributes::FileType;
use super::node::Node;
use super::spec::Access;
use super::tree::NodeKind;
use super::use_counters::UseCounters;
use super::{View, declared, path_text};

/// What a view was used for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewUsage {
    /// Each graft and scratch, in the order of their paths.
    pub entries: Vec<EntryUsage>,
    /// Files of which something was read, below grafts that others may change.
    pub files: Vec<FileUsage>,
    /// How many such files there were beyond those that are listed.
    pub files_left_out: u64,
    /// The files that most was written to, the largest first. Those that were removed are not among them.
    pub written: Vec<WrittenFile>,
}

/// What one entry of a view was used for. A client asks for what it has in its caches only once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryUsage {
    /// Where it is in the view.
    #[serde(with = "path_text")]
    pub at: PathBuf,
    /// Directories that were looked up and found, itself included.
    pub directories_found: u64,
    /// Other files that were.
    pub files_found: u64,
    /// Directories that were listed, and symbolic links whose targets were read.
    pub listed: u64,
    /// Files of which something was read.
    pub files_read: u64,
    /// Bytes that were read, those that were read again included.
    pub bytes_read: u64,
    /// Files that were written to and are still there.
    #[serde(default)]
    pub files_written: u64,
    /// Bytes that were written, to files that were removed too.
    #[serde(default)]
    pub bytes_written: u64,
}

/// What was read of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileUsage {
    /// Its path in the view.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    /// Bytes.
    pub bytes_read: u64,
}

/// What was written to one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenFile {
    /// Its path in the view.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    /// Bytes, those that were written again included.
    pub bytes_written: u64,
}

impl EntryUsage {
    /// Whether anything of it was read or listed, or a file of it was found: not if directories alone were searched.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.files_found + self.listed + self.files_read > 0
    }

    fn add(&mut self, kind: FileType, counters: &UseCounters) {
        let bytes = counters.bytes_read();
        let found =
            if kind == FileType::Directory { &mut self.directories_found } else { &mut self.files_found };
        *found += u64::from(counters.is_looked_up());
        self.listed += u64::from(counters.is_listed());
        self.files_read += u64::from(bytes > 0);
        self.bytes_read += bytes;
        let written = counters.bytes_written();
        self.files_written += u64::from(written > 0 && kind != FileType::Directory);
        self.bytes_written += written;
    }
}

impl View {
    /// What it was used for so far, with as many files that were read as have paths of `paths_max` bytes together, and
    /// `written_max` of those that were written.
    #[must_use]
    pub fn usage(&self, paths_max: usize, written_max: usize) -> ViewUsage {
        // By their index in the tree; the tree has more nodes than these.
        let mut entries: Vec<(usize, EntryUsage)> = Vec::new();
        for (index, entry) in self.tree.host_entries() {
            let mut usage = EntryUsage { at: self.tree.path(index), ..EntryUsage::default() };
            usage.add(entry.kind, &declared(&self.tree, index).counters);
            entries.push((index, usage));
        }
        entries.sort_unstable_by_key(|(index, _)| *index);
        let (mut read, mut written) = (Vec::new(), Vec::new());
        let mut note = |index: usize, node: &dyn Fn() -> Node, counters: &UseCounters| {
            if counters.bytes_read() > 0 && self.may_change(index) {
                read.push(node());
            }
            if counters.bytes_written() > 0 {
                written.push(node());
            }
        };
        for (index, _) in &entries {
            note(*index, &|| Node::Declared(*index), &declared(&self.tree, *index).counters);
        }
        self.nodes.for_each(|node| {
            if let Ok(at) = entries.binary_search_by_key(&node.host_entry, |(index, _)| *index) {
                entries[at].1.add(node.kind, &node.counters);
                note(node.host_entry, &|| Node::Host(node.clone()), &node.counters);
            }
        });
        let mut files: Vec<FileUsage> = read.iter().map(|node| self.file_usage(node)).collect();
        files.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        let listed = fitting(files.iter().map(|file| &file.path), paths_max);
        let files_left_out = (files.len() - listed) as u64;
        files.truncate(listed);
        let mut entries: Vec<EntryUsage> = entries.into_iter().map(|(_, usage)| usage).collect();
        entries.sort_unstable_by(|one, other| one.at.cmp(&other.at));
        ViewUsage { entries, files, files_left_out, written: self.most_written(written, written_max) }
    }

    /// Those that most was written to.
    fn most_written(&self, mut written: Vec<Node>, most: usize) -> Vec<WrittenFile> {
        written.retain(|node| self.kind(node) != FileType::Directory);
        written.sort_by_cached_key(|node| (Reverse(self.counters(node).bytes_written()), node.id()));
        written.truncate(most);
        let file = |node: &Node| WrittenFile {
            path: self.path(node),
            bytes_written: self.counters(node).bytes_written(),
        };
        written.iter().map(file).collect()
    }

    /// The directories that were listed, in the order of their paths: as many as have paths of `paths_max` bytes together, and
    /// whether that is all of them.
    #[must_use]
    pub fn listed(&self, paths_max: usize) -> (Vec<PathBuf>, bool) {
        let is_listed =
            |kind: FileType, counters: &UseCounters| kind == FileType::Directory && counters.is_listed();
        let declared = (0..).map_while(|index| Some((index, self.tree.get(index)?)));
        let listed = declared.filter(|(_, node)| is_listed(node.kind.kind(), &node.counters));
        let mut paths: Vec<PathBuf> = listed.map(|(index, _)| self.tree.path(index)).collect();
        let mut below: Vec<Node> = Vec::new();
        self.nodes.for_each(|node| {
            if is_listed(node.kind, &node.counters) {
                below.push(Node::Host(node.clone()));
            }
        });
        paths.extend(below.iter().map(|node| self.path(node)));
        paths.sort_unstable();
        let all = paths.len();
        paths.truncate(fitting(paths.iter(), paths_max));
        let complete = paths.len() == all;
        (paths, complete)
    }

    /// Whether others than the view may change what an entry shows.
    fn may_change(&self, index: usize) -> bool {
        match &declared(&self.tree, index).kind {
            NodeKind::HostEntry(entry) => !entry.scratch && entry.access != Access::Fixed,
            _ => false,
        }
    }

    fn file_usage(&self, node: &Node) -> FileUsage {
        let bytes_read = self.counters(node).bytes_read();
        FileUsage { path: self.path(node), bytes_read }
    }

    pub(crate) fn counters<'v>(&'v self, node: &'v Node) -> &'v UseCounters {
        match node {
            Node::Declared(index) => &declared(&self.tree, *index).counters,
            Node::Host(node) => &node.counters,
        }
    }
}

/// How many of these have `bytes_max` bytes together, the first ones first.
fn fitting<'p>(paths: impl Iterator<Item = &'p PathBuf>, bytes_max: usize) -> usize {
    let mut bytes = 0;
    let fits = paths.take_while(|path| {
        bytes += path.as_os_str().len();
        bytes <= bytes_max
    });
    fits.count()
}
