//! A build during which the power fails: what had reached the disk is there afterwards, and nothing else is.
//!
//! The store lies in a file system of its own, on a file that is its disk. The kernel keeps what it has not written yet, and that is
//! what is lost: a copy of the file is the disk as the next start finds it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::mount::umount;

use super::{ATTRIBUTES, OUTPUTS, SCRIPT, STRIDE, tried};
use crate::cases::clean::store::Store;
use crate::cases::clean::traces;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::{Place, cases};
use crate::command::{command, quiet};
use crate::tracer::{self, Counted, Fate};

cases![a_power_cut_at_any_change_leaves_all_of_it_or_nothing];

/// Bytes on the disk: several times what is in the store.
const SIZE: u64 = 48 << 20;
/// How long those who were killed may take to leave the store.
const LEAVES: Duration = Duration::from_secs(10);
/// Before Nix 2.24 it had another name.
const SYNCS: [&str; 3] = ["--option", "sync-before-registering", "true"];

/// The disk of the store, as it is and as it was.
struct Disk {
    now: PathBuf,
    before: PathBuf,
}

impl Disk {
    /// An empty one, mounted at /nix.
    fn make(place: &Place) -> Disk {
        let disk = Disk { now: place.path("disk"), before: place.path("disk-before") };
        File::create(&disk.now).and_then(|file| file.set_len(SIZE)).expect("the place has room");
        quiet(command("mkfs.ext4", ["-q"]).arg(&disk.now)).expect("there is a file system");
        fs::create_dir_all("/nix").expect("root can make a directory");
        disk.mount();
        disk
    }

    fn mount(&self) {
        quiet(command("mount", ["-o", "loop"]).arg(&self.now).arg("/nix")).expect("it can be mounted");
    }

    fn unmount() {
        let start = Instant::now();
        while let Err(errno) = umount("/nix") {
            assert!(errno == Errno::EBUSY && start.elapsed() < LEAVES, "/nix stays: {errno}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Everything is on it, and what follows can be undone.
    fn keep(&self) {
        Disk::unmount();
        copy(&self.now, &self.before);
        self.mount();
    }

    /// What is on it now is what the machine starts with again.
    fn cut(&self) {
        let cut = self.now.with_extension("cut");
        copy(&self.now, &cut);
        Disk::unmount();
        fs::rename(cut, &self.now).expect("it can be renamed");
        self.mount();
    }

    fn undo(&self) {
        Disk::unmount();
        copy(&self.before, &self.now);
        self.mount();
    }
}

fn copy(from: &Path, to: &Path) {
    quiet(command("cp", ["--sparse=always"]).arg(from).arg(to)).expect("a disk can be copied");
}

/// Whether all that is valid is whole.
fn verified(store: &Store) -> bool {
    quiet(&mut store.asking("nix-store", ["--verify", "--check-contents"])).is_ok()
}

/// How many outputs are valid after a start of the machine.
fn valid(store: &Store) -> usize {
    let outputs = store.ask("nix-store", ["--query", "--outputs", &store.derivation]);
    let words = ["--check-validity", "--print-invalid"].into_iter().chain(outputs.lines());
    OUTPUTS - store.ask("nix-store", words).lines().count()
}

fn a_power_cut_at_any_change_leaves_all_of_it_or_nothing(place: &Place) {
    let loopbox = Loopbox::at(place);
    let disk = Disk::make(place);
    let mut store = Store::make_in_volume(place);
    let mut build = store.plain_script(place, SCRIPT, ATTRIBUTES);
    disk.keep();
    let whole = |build: &mut Command| {
        let ran: Ran = build.output().expect("loopbox can be started").into();
        assert_eq!(ran.status, 0, "{}", ran.told());
    };

    // What Nix does not write at once by itself is lost, which shows that something can be.
    whole(&mut build);
    disk.cut();
    assert!(valid(&store) == OUTPUTS && !verified(&store), "a disk that loses nothing");
    disk.undo();

    build.args(SYNCS);
    whole(&mut build);
    disk.cut();
    assert!(valid(&store) == OUTPUTS && verified(&store), "what was registered is lost");

    let (mut hit, mut registered) = (0, 0);
    for at in tried(STRIDE) {
        disk.undo();
        let traced =
            tracer::run(&build, Counted::Changes, at, Fate::Killed).expect("the build can be traced");
        let Some(change) = &traced.hit else { break };
        traces::wait_until_gone(&store.users);
        disk.cut();
        // Run records are gone with the power, as /run is.
        fs::remove_dir_all(place.path("state")).expect("there are records");
        let outputs = valid(&store);
        println!("{at}: {} {:?}, then {outputs} outputs", change.call, change.name);
        assert!([0, OUTPUTS].contains(&outputs), "{outputs} of {OUTPUTS} outputs");
        assert!(verified(&store), "something valid is not whole");
        loopbox.good(["clean"]);
        whole(&mut build);
        assert!(valid(&store) == OUTPUTS && verified(&store), "it cannot be built again");
        hit += 1;
        registered += usize::from(outputs == OUTPUTS);
    }
    println!("{hit} cuts, after {registered} of which the outputs were there");
    assert!(hit > 0);
}
