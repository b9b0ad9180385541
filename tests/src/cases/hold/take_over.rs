//! Nobody else can serve a mount, before or after its server has ended.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use serde_json::json;

use crate::attempts::port;
use crate::cases::loopbox::Loopbox;
use crate::cases::{Place, cases};

cases![
    a_mount_carries_no_devices_and_no_set_id_programs,
    nobody_serves_a_mount_that_was_ended,
    nobody_serves_a_mount_whose_loopbox_was_killed,
];

/// How long a call may take whose server is gone.
const ENDS: Duration = Duration::from_secs(15);
/// How long the client is given to come to who waits on its server's port.
const COMES: Duration = Duration::from_secs(5);

/// A view that is mounted for everybody, and its line in the table of mounts.
fn mounted(place: &Place) -> (std::process::Child, String) {
    mounted_for_all(place, &Loopbox::at(place))
}

/// The same with a loopbox of one's own.
pub fn mounted_for_all(place: &Place, loopbox: &Loopbox) -> (std::process::Child, String) {
    place.file("shown/file", "shown");
    let entry = json!({ "graft": { "at": "/shown", "source": place.path("shown"), "access": "ro" } });
    let spec = place.file("spec.json", json!({ "entries": [entry] }).to_string());
    let at = place.directory("mnt");
    let mut serving = loopbox
        .command(["mount".as_ref(), spec.as_os_str(), at.as_os_str()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("loopbox can be started");
    let mut stderr = BufReader::new(serving.stderr.take().expect("it is a pipe"));
    stderr.read_line(&mut String::new()).expect("loopbox says that it has mounted");
    let line = line(&at).expect("it is mounted");
    (serving, line)
}

fn line(at: &Path) -> Option<String> {
    let table = fs::read_to_string("/proc/mounts").expect("there is a table of mounts");
    table.lines().find(|line| line.split(' ').nth(1) == at.to_str()).map(str::to_owned)
}

fn a_mount_carries_no_devices_and_no_set_id_programs(place: &Place) {
    place.directory("shown");
    let (mut serving, line) = mounted(place);
    let options: Vec<&str> = line.split(' ').nth(3).expect("it has options").split(',').collect();
    kill(Pid::from_raw(serving.id() as i32), Signal::SIGTERM).expect("it runs");
    serving.wait().expect("it can be waited for");
    assert!(options.contains(&"nodev") && options.contains(&"nosuid"), "{line}");
}

/// Somebody keeps a directory of the mount, and listens where its server did.
fn nobody_serves(place: &Place, end: Signal) {
    place.directory("shown");
    let (mut serving, line) = mounted(place);
    let (server, _) = port::at(&line).expect("the table names the server");
    let kept = File::open(place.path("mnt/shown")).expect("it can be opened");
    kill(Pid::from_raw(serving.id() as i32), end).expect("it runs");
    serving.wait().expect("it can be waited for");
    let false_server = TcpListener::bind(server).expect("the port is free");
    false_server.set_nonblocking(true).expect("it need not wait");
    let start = Instant::now();
    let asking = thread::spawn(move || openat(&kept, "other", OFlag::O_RDONLY, Mode::empty()).map(drop));
    let mut came = false;
    while start.elapsed() < COMES {
        came |= false_server.accept().is_ok();
        thread::sleep(Duration::from_millis(20));
    }
    assert!(!came, "the client has come to another server");
    let answer = asking.join().expect("it does not panic");
    assert!(matches!(answer, Err(Errno::EIO | Errno::ESTALE)), "{answer:?}");
    assert!(start.elapsed() < ENDS, "it took {} s", start.elapsed().as_secs());
    if line_is_left(place) {
        Loopbox::at(place).good(["clean"]);
    }
    assert!(!line_is_left(place));
}

fn line_is_left(place: &Place) -> bool {
    line(&place.path("mnt")).is_some()
}

fn nobody_serves_a_mount_that_was_ended(place: &Place) {
    nobody_serves(place, Signal::SIGTERM);
}

fn nobody_serves_a_mount_whose_loopbox_was_killed(place: &Place) {
    nobody_serves(place, Signal::SIGKILL);
}
