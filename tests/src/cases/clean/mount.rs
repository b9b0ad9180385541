//! `loopbox mount` killed while the view is written to: the writers get errors, and `clean` takes the mount away.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::moments::Moments;
use super::traces;
use crate::cases::loopbox::Loopbox;
use crate::cases::{Place, cases};

cases![a_killed_one_leaves_nothing_after_clean];

/// The writer writes for at most this long before loopbox is killed.
const WRITES: Duration = Duration::from_millis(1500);
/// How long `clean` and the writer may take together. A call that nobody aborts would take a minute.
const ENDS: Duration = Duration::from_secs(15);

fn a_killed_one_leaves_nothing_after_clean(place: &Place) {
    let loopbox = Loopbox::at(place);
    let entry = json!({ "graft": { "at": "/work", "source": place.directory("work"), "access": "rw" } });
    let spec = place.file("spec.json", json!({ "entries": [entry] }).to_string());
    let at = place.directory("mnt");
    let words = ["mount".as_ref(), spec.as_os_str(), at.as_os_str()];
    let mut served = loopbox.command(words).stderr(Stdio::null()).spawn().expect("loopbox can be started");
    // Every write is a call: O_SYNC.
    let script = "until test -d mnt/work; do sleep 0.05; done
        exec dd if=/dev/zero of=mnt/work/file bs=64k oflag=sync";
    let mut writer = std::process::Command::new("sh")
        .args(["-c", script])
        .current_dir(place.dir())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell can be started");
    assert!(traces::wait_for(&[0], "dd if=/dev/zero of=mnt/work", || false).is_some());
    thread::sleep(Moments::new().within(WRITES));
    kill(Pid::from_raw(served.id() as i32), Signal::SIGKILL).expect("it runs");
    served.wait().expect("it is dead");
    let start = Instant::now();
    assert_eq!(loopbox.good(["clean"]), format!("unmounted {}", at.display()));
    assert_eq!(writer.wait().expect("it can be waited for").code(), Some(1));
    assert!(start.elapsed() < ENDS, "the writer waited for {} s", start.elapsed().as_secs());
    traces::wait_until_gone(&[]);
    traces::assert_none(&loopbox);
}
