//! What a view says of its use.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nfs_server::view::{
    Access, Blocking, Caller, CreateMode, Entry, EntryUsage, FileUsage, Node, Owner, SetAttributes, View,
    ViewSpec, ViewUsage, Writable, WrittenFile,
};

/// Bytes of paths, more than there are.
const PATHS: usize = 1000;
/// Written files that are listed at most.
const WRITTEN: usize = 20;

struct World {
    host: tempfile::TempDir,
    view: View,
}

/// Two packages that nobody changes, a directory of the host and a file of it, and a place to write.
fn world() -> World {
    let host = tempfile::tempdir().unwrap();
    for directory in ["used", "unused", "tree/deep", "scratch"] {
        fs::create_dir_all(host.path().join(directory)).unwrap();
    }
    for (file, contents) in
        [("used/file", "contents"), ("unused/file", "x"), ("tree/deep/file", "0123456789"), ("file", "host")]
    {
        fs::write(host.path().join(file), contents).unwrap();
    }
    symlink("file", host.path().join("used/link")).unwrap();
    let graft = |name: &str, access| Entry::Graft {
        at: Path::new("/").join(name),
        source: host.path().join(name),
        access,
        optional: false,
    };
    let entries = vec![
        graft("used", Access::Fixed),
        graft("unused", Access::Fixed),
        graft("tree", Access::Ro),
        graft("file", Access::Ro),
        Entry::Scratch {
            at: "/scratch".into(),
            source: host.path().join("scratch"),
            mode: 0o755,
            owner: Owner { uid: nix::unistd::getuid().as_raw(), gid: nix::unistd::getgid().as_raw() },
        },
    ];
    let view = View::open(&ViewSpec { entries }, None).unwrap();
    World { host, view }
}

impl World {
    fn node(&self, path: &str) -> Node {
        Path::new(path).iter().skip(1).fold(self.view.root(), |node, name| {
            self.view.lookup(&node, name.as_encoded_bytes(), Caller::ROOT).unwrap().0
        })
    }

    fn read(&self, path: &str, offset: u64, count: usize) {
        let node = self.node(path);
        self.view.read(&node, offset, &mut vec![0; count], Caller::ROOT, Blocking::Allowed).unwrap();
    }

    fn scratch(&self) -> Writable<'_> {
        self.view.writable(self.node("/scratch")).unwrap()
    }

    /// Writes so many bytes to a new file.
    fn write(&self, name: &str, count: usize) {
        let scratch = self.scratch();
        let set = SetAttributes::default();
        let (node, _) = scratch.create(name.as_bytes(), CreateMode::Guarded, &set, Caller::ROOT).unwrap();
        let file = self.view.writable(node).unwrap();
        file.write(0, &*vec![0; count], false, Caller::ROOT, Blocking::Allowed).unwrap();
    }

    fn entry(&self, at: &str) -> EntryUsage {
        let usage = self.view.usage(PATHS, WRITTEN);
        usage.entries.into_iter().find(|usage| usage.at == Path::new(at)).unwrap()
    }
}

fn usage(at: &str, found: [u64; 2], [listed, files_read, bytes_read]: [u64; 3]) -> EntryUsage {
    let [directories_found, files_found] = found;
    EntryUsage {
        at: at.into(),
        directories_found,
        files_found,
        listed,
        files_read,
        bytes_read,
        ..EntryUsage::default()
    }
}

#[test]
fn every_entry_is_named_and_nothing_is_used_at_first() {
    let entries = ["/file", "/scratch", "/tree", "/unused", "/used"].map(|at| usage(at, [0; 2], [0; 3]));
    let expected = ViewUsage { entries: entries.into(), ..ViewUsage::default() };
    assert_eq!(world().view.usage(PATHS, WRITTEN), expected);
}

#[test]
fn names_listings_files_and_bytes_are_counted_by_entry() {
    let world = world();
    world.read("/used/file", 0, 3);
    world.read("/used/file", 3, 100);
    assert_eq!(world.entry("/used"), usage("/used", [1, 1], [0, 1, 8]));
    world.view.read_link(&world.node("/used/link")).unwrap();
    world.view.readdir(&world.node("/used"), 0, Caller::ROOT, Blocking::Allowed, &mut |_| true).unwrap();
    assert_eq!(world.entry("/used"), usage("/used", [1, 2], [2, 1, 8]));
    assert_eq!(world.entry("/unused"), usage("/unused", [0; 2], [0; 3]));
    world.node("/unused");
    assert!(!world.entry("/unused").is_used(), "a search went through it");
    world.node("/unused/file");
    assert_eq!(world.entry("/unused"), usage("/unused", [1, 1], [0; 3]));
    assert!(world.entry("/unused").is_used(), "whoever asks for a file may do without its contents");
}

#[test]
fn what_is_not_there_is_no_use() {
    let world = world();
    let used = world.node("/used");
    world.view.lookup(&used, b"missing", Caller::ROOT).map(drop).unwrap_err();
    assert_eq!(world.entry("/used"), usage("/used", [1, 0], [0; 3]));
}

#[test]
fn bytes_that_are_sent_by_the_system_are_counted_too() {
    let world = world();
    let node = world.node("/used/file");
    // What the host does not have in memory is not sent so; it has, as it was written a moment ago.
    let segment = world.view.segment(&node, 0, 8, 1, Caller::ROOT).unwrap();
    assert_eq!(world.entry("/used").bytes_read, if segment.is_some() { 8 } else { 0 });
}

#[test]
fn files_of_the_host_are_named_as_far_as_there_is_room() {
    let world = world();
    world.read("/file", 0, 2);
    world.read("/tree/deep/file", 4, 100);
    world.read("/used/file", 0, 100);
    let file = |path: &str, bytes_read| FileUsage { path: path.into(), bytes_read };
    let all = world.view.usage(PATHS, WRITTEN);
    assert_eq!(all.files, [file("/file", 2), file("/tree/deep/file", 6)], "none that nobody changes");
    assert_eq!(all.files_left_out, 0);
    let one = world.view.usage("/file".len() + 3, WRITTEN);
    assert_eq!((one.files.len(), one.files_left_out), (1, 1));
    assert!(world.host.path().exists());
}

#[test]
fn files_that_are_written_are_listed_by_size_under_their_last_names() {
    let world = world();
    for (name, count) in [("small", 1), ("large", 9), ("gone", 100)] {
        world.write(name, count);
    }
    let scratch = world.scratch();
    scratch.rename(b"large", &scratch, b"renamed", Caller::ROOT, &|_| false).unwrap();
    world.write("medium", 5);
    scratch.remove(b"gone", Caller::ROOT).unwrap();
    let file = |path: &str, bytes_written| WrittenFile { path: path.into(), bytes_written };
    let expected = [file("/scratch/renamed", 9), file("/scratch/medium", 5), file("/scratch/small", 1)];
    assert_eq!(world.view.usage(PATHS, WRITTEN).written, expected);
    let usage = world.entry("/scratch");
    assert_eq!((usage.files_written, usage.bytes_written), (3, 115), "what was removed was written too");
}

#[test]
fn no_more_written_files_are_listed_than_are_wanted() {
    let world = world();
    for number in 1..=25 {
        world.write(&number.to_string(), number);
    }
    let written = world.view.usage(PATHS, WRITTEN).written;
    let bytes: Vec<u64> = written.iter().map(|file| file.bytes_written).collect();
    assert_eq!(bytes, (6..=25).rev().collect::<Vec<u64>>());
    assert_eq!(world.entry("/scratch").files_written, 25);
}

#[test]
fn directories_that_were_listed_are_named_as_far_as_there_is_room() {
    let world = world();
    let list = |path: &str| {
        let node = world.node(path);
        world.view.readdir(&node, 0, Caller::ROOT, Blocking::Allowed, &mut |_| true).unwrap();
    };
    assert_eq!(world.view.listed(PATHS), (Vec::new(), true));
    for path in ["/tree/deep", "/", "/used"] {
        list(path);
    }
    let paths = |names: &[&str]| names.iter().map(Into::into).collect::<Vec<std::path::PathBuf>>();
    assert_eq!(world.view.listed(PATHS), (paths(&["/", "/tree/deep", "/used"]), true));
    assert_eq!(world.view.listed("/".len() + "/tree/deep".len()), (paths(&["/", "/tree/deep"]), false));
}

#[test]
fn an_entry_is_used_if_a_file_was_found_or_read_or_a_directory_listed() {
    let none = EntryUsage { directories_found: 7, ..EntryUsage::default() };
    assert!(!none.is_used());
    assert!(EntryUsage { files_found: 1, ..none.clone() }.is_used());
    assert!(EntryUsage { listed: 1, ..none.clone() }.is_used());
    assert!(EntryUsage { files_read: 1, ..none }.is_used());
}
