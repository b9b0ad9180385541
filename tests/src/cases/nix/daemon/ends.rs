//! Builds that are ended, and daemons that die under them.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{Daemons, END, signal};
use crate::cases::clean::traces;
use crate::cases::loopbox::Ran;
use crate::cases::nix::store::ran;
use crate::cases::{Place, cases};

cases![
    who_builds_too_long_is_ended,
    who_is_interrupted_leaves_nothing,
    who_is_killed_leaves_nothing,
    nix_daemon_may_die,
    a_build_goes_on_without_the_daemon,
    a_build_fails_without_its_attendant,
    a_build_fails_without_its_server,
    without_the_daemon_nothing_is_built,
];

const HELD: &str = "sleep 1000";

fn who_builds_too_long_is_ended(place: &Place) {
    let daemons = Daemons::start(place);
    let held = daemons.store.derivation("held", "long");
    let failed = ran(daemons.build(&[&held]).args(["--option", "timeout", "2"]));
    assert!(failed.stderr.contains("timed out after 2 seconds"), "{}", failed.stderr);
    assert_ne!(failed.status, 0);
    daemons.assert_nothing_left();
}

fn who_is_interrupted_leaves_nothing(place: &Place) {
    ends_with(place, Signal::SIGINT);
}

fn who_is_killed_leaves_nothing(place: &Place) {
    ends_with(place, Signal::SIGKILL);
}

/// Nix's own program, the user's.
fn ends_with(place: &Place, by: Signal) {
    let daemons = Daemons::start(place);
    let (mut build, _) = daemons.begin(&daemons.store.derivation("held", "ended"), HELD);
    signal(traces::find(&[super::ORDINARY], "nix-store").expect("it waits"), by);
    build.wait().expect("it ends");
    daemons.assert_nothing_left();
    daemons.built(&[&daemons.store.derivation("plain", "after")]);
}

fn nix_daemon_may_die(place: &Place) {
    let mut daemons = Daemons::start(place);
    let (mut build, _) = daemons.begin(&daemons.store.derivation("held", "nix"), HELD);
    let nix = daemons.nix.take().expect("it runs");
    for worker in traces::children(nix.0.id()) {
        signal(worker, Signal::SIGKILL);
    }
    drop(nix);
    assert!(!build.wait().expect("it ends").success());
    daemons.start_nix();
    // The directory that Nix had made for the build is Nix's to remove, which it does not.
    let users = traces::build_users();
    let until = Instant::now() + END;
    while traces::find(&users, "").is_some()
        || daemons.left(&users).iter().any(|left| left.contains("chroot"))
    {
        assert!(Instant::now() < until, "{:#?}\n{}", daemons.left(&users), daemons.logs());
        std::thread::sleep(Duration::from_millis(50));
    }
    daemons.built(&[&daemons.store.derivation("plain", "after")]);
}

fn a_build_goes_on_without_the_daemon(place: &Place) {
    let mut daemons = Daemons::start(place);
    for ended_by in [Signal::SIGKILL, Signal::SIGTERM] {
        let held = daemons.store.derivation("held", &format!("{ended_by}"));
        let (build, builder) = daemons.begin(&held, HELD);
        let mut loopbox = daemons.loopbox.take().expect("it runs");
        signal(loopbox.0.id(), ended_by);
        loopbox.0.wait().expect("it ends");
        daemons.start_loopbox();
        daemons.built(&[&daemons.store.derivation("plain", &format!("beside-{ended_by}"))]);
        signal(builder, Signal::SIGTERM);
        let built: Ran = build.wait_with_output().expect("it ends").into();
        assert_eq!(built.status, 0, "{}\n{}", built.stderr, daemons.logs());
        daemons.assert_nothing_left();
    }
}

fn a_build_fails_without_its_attendant(place: &Place) {
    let daemons = Daemons::start(place);
    let (build, _) = daemons.begin(&daemons.store.derivation("held", "attendant"), HELD);
    let attendants = traces::named(traces::ATTENDANT);
    assert_eq!(attendants.len(), 1);
    let began = Instant::now();
    attendants.iter().for_each(|attendant| signal(*attendant, Signal::SIGKILL));
    let failed: Ran = build.wait_with_output().expect("it ends").into();
    assert!(began.elapsed() < END, "{} s", began.elapsed().as_secs());
    assert_ne!(failed.status, 0, "{}", failed.stderr);
    let why = "loopbox's daemon has closed the session; everything in it was killed";
    assert!(failed.stderr.contains(why), "{}", failed.stderr);
    assert_eq!(traces::find(&traces::build_users(), ""), None);
    // What the attendant had noted, the next one takes away.
    daemons.built(&[&daemons.store.derivation("plain", "after")]);
    daemons.assert_nothing_left();
}

fn a_build_fails_without_its_server(place: &Place) {
    let daemons = Daemons::start(place);
    let (build, _) = daemons.begin(&daemons.store.derivation("held", "server"), HELD);
    let [server] = traces::named(traces::SERVER)[..] else { panic!("it serves") };
    let began = Instant::now();
    signal(server, Signal::SIGKILL);
    let failed: Ran = build.wait_with_output().expect("it ends").into();
    assert!(began.elapsed() < END, "{} s", began.elapsed().as_secs());
    assert_ne!(failed.status, 0, "{}", failed.stderr);
    daemons.assert_nothing_left();
}

fn without_the_daemon_nothing_is_built(place: &Place) {
    let mut daemons = Daemons::start(place);
    drop(daemons.loopbox.take());
    let plain = daemons.store.derivation("plain", "none");
    let failed = ran(&mut daemons.build(&[&plain]));
    assert_ne!(failed.status, 0, "{}", failed.stderr);
    let why = "cannot connect to loopbox's daemon at";
    assert!(failed.stderr.contains(why), "{}", failed.stderr);
    daemons.start_loopbox();
    daemons.built(&[&plain]);
    daemons.assert_nothing_left();
}
