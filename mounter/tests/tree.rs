//! Trees of every kind that a hostile build leaves, and how they are removed.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mounter::tree::{DirStack, LeaveOutcome, Mounts, remove};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

/// More levels than a thread has stack for, by far more than a process may have descriptors, and 75 times `PATH_MAX`.
const DEEP: usize = 150_000;
/// How long that may take: a second or so, on a slow machine under load.
const LONG: Duration = Duration::from_secs(60);

struct World {
    directory: tempfile::TempDir,
}

impl World {
    /// In memory, where there is a place for that: some disks take milliseconds for each directory that is removed.
    fn new() -> World {
        let memory = Path::new("/dev/shm");
        let within = if memory.is_dir() { memory.into() } else { std::env::temp_dir() };
        World { directory: tempfile::tempdir_in(within).unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<String> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A test that failed leaves what the directory's own removal would end the process over.
        for name in self.names() {
            let _ = remove(&self.path(&name));
        }
    }
}

/// Makes `depth` directories, each in the one before; the last one.
fn deep(top: &Path, depth: usize) -> OwnedFd {
    fs::create_dir(top).unwrap();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut current = openat(CWD, top, flags, Mode::empty()).unwrap();
    for _ in 0..depth {
        mkdirat(&current, "d", Mode::RWXU).unwrap();
        current = openat(&current, "d", flags, Mode::empty()).unwrap();
    }
    current
}

fn open_descriptors() -> usize {
    fs::read_dir("/dev/fd").unwrap().count()
}

#[test]
fn a_tree_deeper_than_any_path_stack_or_table_of_descriptors_is_removed() {
    let world = World::new();
    drop(deep(&world.path("deep"), DEEP));
    let start = Instant::now();
    assert!(remove(&world.path("deep")).unwrap());
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
    assert_eq!(world.names(), [""; 0]);
}

#[test]
fn few_directories_are_open_however_deep_the_walk_is() {
    let world = World::new();
    drop(deep(&world.path("deep"), 2_000));
    let before = open_descriptors();
    let mut stack = DirStack::open(&world.path("deep"), Mounts::Refuse).unwrap();
    for _ in 0..2_000 {
        assert_eq!(stack.names().unwrap(), ["d"]);
        stack.enter(OsStr::new("d")).unwrap();
    }
    // Other tests run at the same time, and open some.
    assert!(open_descriptors() < before + 200, "{} beside {before}", open_descriptors());
    let told = stack.path_of(OsStr::new("x"));
    assert!(told.ends_with("deep/d/d/d/[1994 directories]/d/d/d/x"), "{told:?}");
    let mut left = 0;
    while let LeaveOutcome::Directory { name, .. } = stack.leave().unwrap() {
        assert_eq!(&*name, OsStr::new("d"));
        left += 1;
    }
    assert_eq!((left, stack.depth()), (2_000, 0));
}

#[test]
fn what_is_not_there_is_no_error_and_is_told() {
    let world = World::new();
    assert!(!remove(&world.path("nothing")).unwrap());
    assert!(!remove(&world.path("nothing/in/nothing")).unwrap());
    fs::write(world.path("file"), "").unwrap();
    assert!(remove(&world.path("file")).unwrap());
    assert_eq!(
        remove(Path::new("/")).unwrap_err().to_string(),
        "cannot remove \"/\": Invalid argument (os error 22)"
    );
}

#[test]
fn a_link_is_removed_and_not_what_it_leads_to() {
    let world = World::new();
    fs::create_dir_all(world.path("precious/inner")).unwrap();
    fs::create_dir(world.path("tree")).unwrap();
    symlink(world.path("precious"), world.path("tree/link")).unwrap();
    symlink(world.path("precious"), world.path("link")).unwrap();
    assert!(remove(&world.path("tree")).unwrap());
    assert!(remove(&world.path("link")).unwrap());
    assert_eq!(world.names(), ["precious"]);
    assert!(world.path("precious/inner").exists());
}

#[test]
fn directories_that_are_closed_to_their_owner_are_removed() {
    for mode in [0o000, 0o100, 0o200, 0o400, 0o500, 0o600] {
        let world = World::new();
        // Deep enough that the way up is looked for through each of them.
        let below: PathBuf = vec!["d"; 40].into_iter().collect();
        fs::create_dir_all(world.path("tree").join(&below)).unwrap();
        for directory in world.path("tree").join(&below).ancestors().take(41) {
            fs::write(directory.join("file"), "").unwrap();
            chown(directory, Some(OWNER), Some(OWNER)).unwrap();
            fs::set_permissions(directory, Permissions::from_mode(mode)).unwrap();
        }
        chown(world.directory.path(), Some(OWNER), Some(OWNER)).unwrap();
        let removed = as_owner(|| remove(&world.path("tree")));
        assert!(removed.unwrap(), "of mode {mode:o}");
        assert_eq!(world.names(), [""; 0]);
    }
}

/// Somebody who is not root, if these tests are run by root.
const OWNER: u32 = 12_345;

fn chown(path: &Path, uid: Option<u32>, gid: Option<u32>) -> std::io::Result<()> {
    if nix::unistd::geteuid().is_root() { std::os::unix::fs::chown(path, uid, gid) } else { Ok(()) }
}

/// Runs as the owner of the files, where a thread can be somebody else than its process.
fn as_owner<R: Send>(run: impl FnOnce() -> R + Send) -> R {
    let run = || {
        #[cfg(target_os = "linux")]
        if nix::unistd::geteuid().is_root() {
            nix::unistd::setfsuid(OWNER.into());
        }
        run()
    };
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}

#[test]
fn many_names_in_one_directory_are_removed() {
    let world = World::new();
    fs::create_dir(world.path("many")).unwrap();
    for number in 0..20_000 {
        fs::write(world.path("many").join(format!("{number}")), "").unwrap();
    }
    for number in 0..2_000 {
        fs::create_dir(world.path("many").join(format!("d{number}"))).unwrap();
    }
    assert!(remove(&world.path("many")).unwrap());
}

/// Somebody who has a descriptor of a directory swaps what is in it: nothing outside may go.
#[test]
fn a_tree_that_is_changed_meanwhile_takes_nothing_else_with_it() {
    let world = World::new();
    fs::create_dir(world.path("precious")).unwrap();
    fs::write(world.path("precious/file"), "precious").unwrap();
    for _ in 0..20 {
        let tree = world.path("tree");
        for number in 0..50 {
            fs::create_dir_all(tree.join(format!("a/{number}/b/c"))).unwrap();
            fs::write(tree.join(format!("a/{number}/b/file")), "").unwrap();
        }
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for number in 0..50 {
                        let (one, aside) = (tree.join(format!("a/{number}")), tree.join("a/aside"));
                        // Whatever of it does not work any more has been removed.
                        let _ = fs::rename(&one, &aside);
                        let _ = symlink(world.path("precious"), &one);
                        let _ = fs::rename(&aside, tree.join(format!("a/{}/moved", (number + 1) % 50)));
                    }
                }
            });
            let removed = remove(&tree);
            stop.store(true, Ordering::Relaxed);
            assert!(removed.is_ok(), "{removed:?}");
        });
        remove(&tree).unwrap();
        assert_eq!(fs::read_to_string(world.path("precious/file")).unwrap(), "precious");
    }
}

#[test]
fn a_directory_that_was_moved_is_not_left_into_another() {
    let world = World::new();
    drop(deep(&world.path("tree"), 40));
    let mut stack = DirStack::open(&world.path("tree"), Mounts::Refuse).unwrap();
    for _ in 0..40 {
        stack.enter(OsStr::new("d")).unwrap();
    }
    // The tenth, which is closed by now, goes elsewhere, and the eleventh with it.
    let below = |depth: usize| world.path("tree").join(vec!["d"; depth].join("/"));
    fs::create_dir(world.path("elsewhere")).unwrap();
    fs::rename(below(11), world.path("elsewhere/d")).unwrap();
    let mut depth = 40;
    let ended = loop {
        match stack.leave().unwrap() {
            LeaveOutcome::Directory { .. } => depth -= 1,
            ended => break ended,
        }
    };
    assert!(matches!(ended, LeaveOutcome::Moved) && depth == 11, "{ended:?} at {depth}");
    stack.return_to_top();
    assert_eq!((stack.depth(), stack.names().unwrap()), (0, vec!["d".into()]));
}

/// The whole process, every thread of it, has the smallest stack and few descriptors in a VM case; here only this thread.
#[test]
fn a_thread_of_little_stack_removes_it_too() {
    let world = World::new();
    drop(deep(&world.path("deep"), 20_000));
    let path = world.path("deep");
    let thread = std::thread::Builder::new().stack_size(64 << 10).spawn(move || remove(&path).unwrap());
    assert!(thread.unwrap().join().unwrap());
}

#[test]
fn the_descriptor_of_the_current_directory_is_its_own() {
    let world = World::new();
    fs::create_dir_all(world.path("tree/inner")).unwrap();
    let mut stack = DirStack::open(&world.path("tree"), Mounts::Enter).unwrap();
    stack.enter(OsStr::new("inner")).unwrap();
    let inode = |fd: std::os::fd::BorrowedFd<'_>| rustix::fs::fstat(fd).unwrap().st_ino;
    let expected = fs::File::open(world.path("tree/inner")).unwrap();
    assert_eq!(inode(stack.fd().unwrap()), inode(expected.as_fd()));
}
