//! `loopbox mount` and `unmount`: a view that everybody on the machine sees.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::cases::loopbox::Loopbox;
use crate::cases::{Place, cases};

cases![
    a_view_is_there_for_everybody,
    a_busy_mount_point_is_refused,
    a_mount_in_use_stays_until_it_is_forced,
    unmounting_ends_the_loopbox_that_serves,
    a_plain_umount_ends_it_too,
    a_signal_unmounts,
    with_nobody_to_be_told_it_goes_on,
    clean_takes_away_what_a_killed_one_left,
    unmount_takes_away_what_a_killed_one_left,
];

/// A mounted view: `/shown` read-only, `/work` writable.
pub struct Mounted {
    loopbox: Loopbox,
    child: Child,
    at: PathBuf,
    spec: PathBuf,
}

impl Mounted {
    /// Mounts it, and waits until it is there.
    pub fn new(place: &Place) -> Mounted {
        let mut mounted = Mounted::start(place, Stdio::piped());
        let mut line = String::new();
        let mut stderr = BufReader::new(mounted.child.stderr.take().expect("it is a pipe"));
        stderr.read_line(&mut line).expect("loopbox says that it has mounted");
        let at = mounted.at.display();
        assert_eq!(line, format!("mounted at {at}; 'loopbox unmount {at}' or Ctrl-C ends it\n"));
        mounted
    }

    fn start(place: &Place, stderr: Stdio) -> Mounted {
        place.directory("shown");
        place.file("shown/file", "shown");
        let entries = json!([
            { "graft": { "at": "/shown", "source": place.path("shown"), "access": "ro" } },
            { "graft": { "at": "/work", "source": place.directory("work"), "access": "rw" } },
        ]);
        let spec = place.file("spec.json", json!({ "entries": entries }).to_string());
        let at = place.directory("mnt");
        let loopbox = Loopbox::at(place);
        let child = loopbox
            .command(["mount".as_ref(), spec.as_os_str(), at.as_os_str()])
            .stderr(stderr)
            .spawn()
            .expect("loopbox can be started");
        Mounted { loopbox, child, at, spec }
    }

    /// `loopbox unmount`, with these words: what it told.
    pub fn unmount(&self, words: &[&str]) -> String {
        let words = ["unmount"].into_iter().chain(words.iter().copied()).map(AsRef::as_ref);
        let told = self.loopbox.run(words.chain([self.at.as_os_str()])).told();
        told.replace(&*self.at.to_string_lossy(), "…")
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("it runs");
    }

    /// Waits for the loopbox that serves; nothing of it may be left.
    pub fn ends_with(mut self, status: Option<i32>) {
        assert_eq!(self.child.wait().expect("it can be waited for").code(), status);
        assert!(!is_mounted(&self.at));
        assert_eq!(fs::read_dir(&self.loopbox.state).expect("there is a state directory").count(), 0);
    }
}

/// Asks the table of mounts: a look at the mount itself would wait for a server that is dead.
fn is_mounted(at: &Path) -> bool {
    let table = fs::read_to_string("/proc/self/mounts").expect("there is a table of mounts");
    table.lines().any(|line| line.split(' ').nth(1) == at.to_str())
}

fn a_view_is_there_for_everybody(place: &Place) {
    let mounted = Mounted::new(place);
    assert_eq!(place.names("mnt"), ["shown", "work"]);
    assert_eq!(fs::read_to_string(place.path("mnt/shown/file")).expect("it can be read"), "shown");
    fs::write(place.path("mnt/work/new"), "new").expect("it can be written");
    assert_eq!(mounted.unmount(&[]), "exit status 0");
    assert_eq!(fs::read_to_string(place.path("work/new")).expect("it was stored"), "new");
    mounted.ends_with(Some(0));
}

fn a_busy_mount_point_is_refused(place: &Place) {
    let mounted = Mounted::new(place);
    let words = ["mount".as_ref(), mounted.spec.as_os_str(), mounted.at.as_os_str()];
    let told = mounted.loopbox.run(words).told().replace(&*mounted.at.to_string_lossy(), "…");
    assert_eq!(
        told,
        "Error: the mount point \"…\" is busy: something is mounted there already
Hint: 'loopbox unmount …' if it is loopbox's; 'loopbox clean' if loopbox was killed there
exit status 125"
    );
    assert_eq!(mounted.unmount(&[]), "exit status 0");
    mounted.ends_with(Some(0));
}

fn a_mount_in_use_stays_until_it_is_forced(place: &Place) {
    let mounted = Mounted::new(place);
    let used = fs::File::open(place.path("mnt/shown/file")).expect("it can be opened");
    assert_eq!(
        mounted.unmount(&[]),
        "Error: \"…\" is in use
Hint: 'fuser -vm …' lists who uses a mount; end them first
exit status 125"
    );
    assert_eq!(fs::read_to_string(place.path("mnt/shown/file")).expect("it is still there"), "shown");
    assert_eq!(mounted.unmount(&["--force"]), "exit status 0");
    drop(used);
    mounted.ends_with(Some(0));
}

fn unmounting_ends_the_loopbox_that_serves(place: &Place) {
    let mounted = Mounted::new(place);
    assert_eq!(mounted.unmount(&[]), "exit status 0");
    mounted.ends_with(Some(0));
}

fn a_plain_umount_ends_it_too(place: &Place) {
    let mounted = Mounted::new(place);
    place.shell("umount mnt");
    mounted.ends_with(Some(0));
}

fn a_signal_unmounts(place: &Place) {
    for (signal, status) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let mounted = Mounted::new(place);
        mounted.signal(signal);
        mounted.ends_with(Some(status));
    }
}

/// As when its terminal has been closed.
fn with_nobody_to_be_told_it_goes_on(place: &Place) {
    let (reader, closed) = std::io::pipe().expect("a pipe can be made");
    drop(reader);
    let mut mounted = Mounted::start(place, closed.into());
    while !is_mounted(&mounted.at) {
        assert_eq!(mounted.child.try_wait().expect("it can be waited for"), None, "it has ended");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    mounted.signal(Signal::SIGTERM);
    mounted.ends_with(Some(128 + 15));
}

fn clean_takes_away_what_a_killed_one_left(place: &Place) {
    let mut mounted = Mounted::new(place);
    mounted.signal(Signal::SIGKILL);
    mounted.child.wait().expect("it is dead");
    assert!(is_mounted(&mounted.at));
    assert_eq!(mounted.loopbox.good(["clean"]), format!("unmounted {}", mounted.at.display()));
    assert_eq!(mounted.loopbox.good(["clean"]), "");
    mounted.ends_with(None);
}

fn unmount_takes_away_what_a_killed_one_left(place: &Place) {
    let mut mounted = Mounted::new(place);
    mounted.signal(Signal::SIGKILL);
    mounted.child.wait().expect("it is dead");
    assert_eq!(mounted.unmount(&[]), "exit status 0");
    mounted.ends_with(None);
}
