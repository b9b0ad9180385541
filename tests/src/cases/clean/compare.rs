//! `loopbox compare --view` of a view that takes for ever, asked to end while it walks in each backend and at any moment.

use std::fs::File;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::moments::Moments;
use super::traces;
use crate::cases::loopbox::Loopbox;
use crate::cases::{Place, cases};

cases![
    an_interrupted_walk_leaves_nothing,
    a_terminated_walk_leaves_nothing,
    a_comparison_interrupted_at_any_moment_leaves_nothing,
];

/// Nobody, who walks.
const NOBODY: u32 = 65_534;
/// Bytes of a file of nothing but a hole: to read it takes hours.
const ENDLESS: u64 = 8 << 40;
/// How often one is interrupted at a random moment, and within what time: the walk begins in the middle of it.
const TRIES: usize = 4;
const WITHIN: Duration = Duration::from_millis(300);
/// Between two looks whether it walks.
const LOOK: Duration = Duration::from_millis(5);

fn an_interrupted_walk_leaves_nothing(place: &Place) {
    end_walks(place, Signal::SIGINT);
}

fn a_terminated_walk_leaves_nothing(place: &Place) {
    end_walks(place, Signal::SIGTERM);
}

fn a_comparison_interrupted_at_any_moment_leaves_nothing(place: &Place) {
    let walking = Walking::in_view(place);
    let mut moments = Moments::new();
    for _ in 0..TRIES {
        let child = walking.start("nfs,bind");
        thread::sleep(moments.within(WITHIN));
        // None: too early for loopbox to have noticed.
        let status = walking.end(child, Signal::SIGINT);
        assert!([None, Some(128 + Signal::SIGINT as i32)].contains(&status), "it ended with {status:?}");
    }
}

fn end_walks(place: &Place, signal: Signal) {
    let walking = Walking::in_view(place);
    for backends in ["nfs,bind", "bind,nfs", "hardlink,nfs"] {
        let mut child = walking.start(backends);
        wait_until_it_walks(&mut child);
        assert_eq!(walking.end(child, signal), Some(128 + signal as i32), "{backends}");
    }
}

/// The walker is the supervisor's child. It is never executed anew, so that /proc shows it as root's.
fn wait_until_it_walks(loopbox: &mut Child) {
    let walks = |supervisor: u32| !traces::children(supervisor).is_empty();
    while !traces::jailers(loopbox.id()).into_iter().skip(1).any(walks) {
        let ended = loopbox.try_wait().expect("it can be waited for");
        assert_eq!(ended, None, "it did not walk");
        thread::sleep(LOOK);
    }
}

/// A view with a file that cannot be read to its end.
struct Walking {
    loopbox: Loopbox,
    spec: String,
    /// Where there is no store, so that all is done in TMPDIR.
    no_store: String,
}

impl Walking {
    fn in_view(place: &Place) -> Walking {
        let endless = File::create(place.path("endless")).and_then(|file| file.set_len(ENDLESS));
        endless.expect("a file can have a hole of this size");
        let entry = json!({ "graft": { "at": "/shown", "source": place.path("endless"), "access": "ro" } });
        let spec = place.file("view.json", json!({ "entries": [entry] }).to_string());
        let no_store = place.path("no-store").display().to_string();
        Walking { loopbox: Loopbox::at(place), spec: spec.display().to_string(), no_store }
    }

    fn start(&self, backends: &str) -> Child {
        let words = ["compare", "--view", &self.spec, "--backends", backends];
        let mut compare = self.loopbox.command(words);
        compare.env("NIX_STORE_DIR", &self.no_store).stdout(Stdio::null()).stderr(Stdio::null());
        compare.spawn().expect("loopbox can be started")
    }

    /// Asks it to end; nothing may be left, without another loopbox having cleaned up.
    fn end(&self, mut child: Child, signal: Signal) -> Option<i32> {
        kill(Pid::from_raw(child.id() as i32), signal).expect("it has not been waited for");
        let status = traces::wait_for_end(&mut child, &[NOBODY]);
        traces::wait_until_gone(&[NOBODY]);
        traces::assert_none(&self.loopbox);
        status
    }
}
