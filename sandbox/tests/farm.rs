//! Farms of hard links: what they are made of, and what taking them apart never reaches.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use mounter::farm::{Counts, Farm, FarmError, Reader, remove_around, remove_farm};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use sandbox::recovery::{Leftovers, StateDir};

/// Nobody who owns anything here.
const READER: Reader<'static> = Reader { uid: 12_345, groups: &[12_345] };

struct World {
    directory: tempfile::TempDir,
}

impl World {
    /// A tree like a store path: a program, a link, a directory, all read-only.
    fn new() -> World {
        let world = World { directory: tempfile::tempdir().unwrap() };
        fs::create_dir_all(world.path("source/share/deep")).unwrap();
        fs::write(world.path("source/program"), "program").unwrap();
        fs::write(world.path("source/share/deep/text"), "text").unwrap();
        symlink("share/deep/text", world.path("source/link")).unwrap();
        for (name, mode) in
            [("program", 0o555), ("share/deep/text", 0o444), ("share/deep", 0o555), ("share", 0o555)]
        {
            let path = world.path("source").join(name);
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir(world.path("place")).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn begin(&self) -> Farm {
        Farm::begin(&self.path("list")).unwrap()
    }

    fn linked(&self) -> Farm {
        let mut farm = self.begin();
        farm.link(&self.path("place"), &self.path("place/nix/store/linked"), &self.path("source"), READER)
            .unwrap();
        farm
    }

    /// Names, contents and link counts of the source.
    fn source(&self) -> Vec<(PathBuf, u64, String)> {
        let mut found = Vec::new();
        walk(&self.path("source"), &mut found);
        found
    }
}

fn walk(directory: &Path, found: &mut Vec<(PathBuf, u64, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            walk(&path, found);
        }
        found.push((path.clone(), metadata.nlink(), fs::read_to_string(&path).unwrap_or_default()));
    }
    found.sort();
}

#[test]
fn files_are_links_and_directories_are_not() {
    let world = World::new();
    let farm = world.linked();
    let linked = world.path("place/nix/store/linked");
    let number = |path: PathBuf| path.symlink_metadata().unwrap().ino();
    assert_eq!(number(linked.join("program")), number(world.path("source/program")));
    assert_ne!(number(linked.join("share")), number(world.path("source/share")));
    assert_eq!(fs::read_link(linked.join("link")).unwrap(), Path::new("share/deep/text"));
    let directory = |path: PathBuf| {
        let metadata = path.metadata().unwrap();
        (metadata.mode(), metadata.mtime(), metadata.mtime_nsec())
    };
    assert_eq!(directory(linked.join("share/deep")), directory(world.path("source/share/deep")));
    let made = farm.counts();
    assert_eq!(made, Counts { inodes: 5, links: 3, copies: 0, copied_bytes: 0 });
}

#[test]
fn taken_apart_it_leaves_the_source_as_it_was() {
    let world = World::new();
    let before = world.source();
    let farm = world.linked();
    assert_ne!(world.source(), before, "the link counts tell of the farm");
    farm.remove_farm().unwrap();
    assert_eq!(world.source(), before);
    assert_eq!(fs::read_dir(world.path("place")).unwrap().count(), 0);
    assert!(!world.path("list").exists());
}

#[test]
fn a_killed_farm_is_taken_apart_by_its_list() {
    let world = World::new();
    let before = world.source();
    std::mem::forget(world.linked());
    // Killed in the middle of a line.
    let list = fs::read_to_string(world.path("list")).unwrap();
    fs::write(world.path("list"), format!("{list}{{\"made\":{{\"dev")).unwrap();
    remove_farm(&world.path("list")).unwrap();
    assert_eq!(world.source(), before);
    assert_eq!(fs::read_dir(world.path("place")).unwrap().count(), 0);
    remove_farm(&world.path("list")).unwrap();
}

#[test]
fn a_directory_that_the_farm_has_not_made_is_never_entered() {
    let world = World::new();
    let farm = world.linked();
    // What a link to a directory is to the one who deletes: a full directory of another identity.
    let share = world.path("place/nix/store/linked/share");
    fs::rename(&share, world.path("aside")).unwrap();
    fs::create_dir(&share).unwrap();
    fs::write(share.join("precious"), "precious").unwrap();
    let error = farm.remove_farm().unwrap_err();
    assert!(matches!(&error, FarmError::Foreign { path } if *path == share), "{error}");
    assert_eq!(fs::read_to_string(share.join("precious")).unwrap(), "precious");
    assert!(world.path("list").exists(), "a later run tries again");
    let refused = remove_around(&world.path("list"), &world.path("place"));
    assert!(refused.is_err() && share.join("precious").exists());
}

#[test]
fn what_a_note_is_of_stays_as_long_as_its_farm() {
    let world = World::new();
    let state = StateDir::open(&world.path("state")).unwrap();
    let temporary = vec![world.path("place")];
    let record = state.record(Leftovers { mount: None, temporary }).unwrap();
    let farm = Farm::begin(&record.farm()).unwrap();
    let remove = || record.remove(&world.path("place"));
    assert!(remove().is_err() && world.path("place").exists());
    farm.remove_farm().unwrap();
    remove().unwrap();
    assert!(!world.path("place").exists());
}

#[test]
fn a_link_to_the_source_in_the_place_of_a_directory_is_not_followed() {
    let world = World::new();
    let before = world.source();
    let farm = world.linked();
    let share = world.path("place/nix/store/linked/share");
    fs::rename(&share, world.path("aside")).unwrap();
    symlink(world.path("source"), &share).unwrap();
    farm.remove_farm().unwrap();
    fs::remove_dir_all(world.path("aside")).unwrap();
    assert_eq!(world.source(), before);
}

#[test]
fn what_is_there_already_is_neither_hidden_nor_removed() {
    let world = World::new();
    fs::write(world.path("place/mine"), "mine").unwrap();
    let mut farm = world.begin();
    let error = farm.file(&world.path("place"), &world.path("place/mine"), b"other", 0o444).unwrap_err();
    assert!(matches!(error, FarmError::Foreign { .. }), "{error}");
    farm.remove_farm().unwrap();
    assert_eq!(fs::read_to_string(world.path("place/mine")).unwrap(), "mine");
}

#[test]
fn what_the_reader_could_write_is_not_linked() {
    let world = World::new();
    let owner = world.path("source/program").metadata().unwrap().uid();
    let readers = [
        ("other", 0o446, Reader { uid: 12_345, groups: &[] }),
        ("owner", 0o444, Reader { uid: owner, groups: &[] }),
    ];
    for (why, mode, reader) in readers {
        fs::set_permissions(world.path("source/program"), fs::Permissions::from_mode(mode)).unwrap();
        let mut farm = world.begin();
        let linked =
            farm.link(&world.path("place"), &world.path("place/linked"), &world.path("source"), reader);
        assert!(matches!(linked, Err(FarmError::Writable { .. })), "{why}: {linked:?}");
        farm.remove_farm().unwrap();
    }
}

/// Deeper than any path is long, and than a process may have descriptors.
#[test]
fn a_deep_tree_is_linked_and_taken_apart() {
    const DEEP: usize = 3_000;
    let world = World::new();
    let mut directory = OwnedFd::from(fs::File::open(world.path("source")).unwrap());
    for _ in 0..DEEP {
        mkdirat(&directory, "d", Mode::S_IRWXU).unwrap();
        directory = openat(&directory, "d", OFlag::O_DIRECTORY, Mode::empty()).unwrap();
    }
    let mut farm = world.begin();
    let place = world.path("place");
    farm.link(&place, &place.join("linked"), &world.path("source"), READER).unwrap();
    assert_eq!(farm.counts().inodes, DEEP as u64 + 3);
    farm.remove_farm().unwrap();
    assert_eq!(fs::read_dir(place).unwrap().count(), 0);
    mounter::tree::remove(&world.path("source")).unwrap();
}

/// A link is the file: nothing of the farm's own stands between its reader and the source.
#[test]
fn the_farm_itself_protects_nothing() {
    let world = World::new();
    let _farm = world.linked();
    let linked = world.path("place/nix/store/linked/program");
    fs::set_permissions(&linked, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&linked, "changed").unwrap();
    assert_eq!(fs::read_to_string(world.path("source/program")).unwrap(), "changed");
}

#[test]
fn a_set_id_program_is_copied_without_the_bit() {
    let world = World::new();
    fs::set_permissions(world.path("source/program"), fs::Permissions::from_mode(0o4555)).unwrap();
    let farm = world.linked();
    let copy = world.path("place/nix/store/linked/program").metadata().unwrap();
    assert_eq!((copy.mode() & 0o7777, copy.nlink()), (0o555, 1));
    assert_eq!(farm.counts().copies, 1);
}

/// The machine's file system in memory is another volume than that of temporary files, or else there is nothing to see.
#[cfg(target_os = "linux")]
#[test]
fn another_volume_is_copied_from() {
    let world = World::new();
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let device = |path: &Path| path.metadata().unwrap().dev();
    assert_ne!(device(memory.path()), device(&world.path("place")), "/dev/shm is a volume of its own");
    let mut farm = world.begin();
    farm.link(memory.path(), &memory.path().join("linked"), &world.path("source"), READER).unwrap();
    let (copy, source) = (memory.path().join("linked/program"), world.path("source/program"));
    assert_eq!(fs::read_to_string(&copy).unwrap(), "program");
    let times =
        |path: &Path| path.metadata().map(|found| (found.mode(), found.mtime(), found.mtime_nsec())).unwrap();
    assert_eq!(times(&copy), times(&source));
    assert_eq!((farm.counts().links, farm.counts().copies, farm.counts().copied_bytes), (0, 3, 11));
    farm.remove_farm().unwrap();
    assert_eq!(fs::read_dir(memory.path()).unwrap().count(), 0);
}
