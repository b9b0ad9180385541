//! What Nix leaves to loopbox by its setting `build-hook`, in versions old and new.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::registered;
use super::store::{Store, ran};
use crate::cases::clean::traces;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::{Place, cases};

cases![
    what_is_built_is_what_nix_would_build,
    and_what_a_newer_nix_would_build,
    more_than_may_run_at_once_are_built,
    what_fails_says_why_and_leaves_nothing,
    and_with_a_newer_nix,
    what_takes_too_long_is_ended,
    what_loopbox_does_not_build_nix_builds,
    what_is_hidden_and_asked_for_is_told,
    a_build_that_nix_kills_is_taken_away,
    a_build_ends_when_nix_has_died,
    an_ordinary_user_s_builds_are_left_to_it,
    whoever_is_not_nix_is_told_so,
    a_machine_is_set_up_and_back,
];

/// One of each kind of output.
const BUILT: [&str; 6] = ["plain", "top", "several", "flat", "recursive", "cyclic"];

const USUAL: &str = "substituters =\nbuild-users-group = nixbld\n";

/// Somebody without any rights.
const ORDINARY: u32 = 30_001;

/// The setting by which builds are left to loopbox. Nix 2.8 takes a program without arguments.
fn left_to_loopbox(place: &Place) -> String {
    let program = Loopbox::program();
    let hook = place.file("hook", format!("#!/bin/sh\nexec {} build-hook \"$@\"\n", program.display()));
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("it can be made executable");
    format!("{USUAL}build-hook = {}\n", hook.display())
}

fn what_is_built_is_what_nix_would_build(place: &Place) {
    compare(place, Store::of_old_nix);
}

fn and_what_a_newer_nix_would_build(place: &Place) {
    compare(place, Store::of_new_nix);
}

/// Builds the same in two equal stores, and compares all that is known of every valid path.
fn compare(place: &Place, make: impl Fn(&Place, &str) -> Store) {
    let known = ["nix", "loopbox"].map(|by| {
        let at = Place::new(place.directory(by), place.ground);
        let settings = if by == "nix" { USUAL.to_owned() } else { left_to_loopbox(&at) };
        let store = make(&at, &settings);
        let derivations = BUILT.map(|attribute| store.derivation(attribute, "same"));
        let built = ran(store.command("nix-store", ["--realise"]).args(&derivations));
        assert_eq!(built.status, 0, "{by}: {}", built.stderr);
        if by == "loopbox" {
            assert_eq!(built.stderr.matches("on 'loopbox'").count(), 7, "{}", built.stderr);
            assert_nothing_left(&at);
        }
        store.ask("nix-store", ["--verify", "--check-contents"]);
        registered::infos(&store)
    });
    let [nix, loopbox] = known;
    assert!(nix.len() > BUILT.len(), "{nix:#?}");
    assert_eq!(nix, loopbox);
}

fn more_than_may_run_at_once_are_built(place: &Place) {
    let store = Store::of_old_nix(place, &format!("{}max-jobs = 2\n", left_to_loopbox(place)));
    let derivations: Vec<String> =
        (0..40).map(|number| store.derivation("plain", &format!("many-{number}"))).collect();
    let built = ran(store.command("nix-store", ["--realise"]).args(&derivations));
    assert_eq!(built.status, 0, "{}", built.stderr);
    assert_eq!(built.stdout.lines().count(), 40);
    assert_eq!(built.stderr.matches("on 'loopbox'").count(), 40, "{}", built.stderr);
    assert_nothing_left(place);
}

fn what_fails_says_why_and_leaves_nothing(place: &Place) {
    fails(place, Store::of_old_nix, 100);
}

fn and_with_a_newer_nix(place: &Place) {
    fails(place, Store::of_new_nix, 1);
}

/// Newer versions do not ask what a hook ends with.
fn fails(place: &Place, make: impl Fn(&Place, &str) -> Store, status: i32) {
    let store = make(place, &left_to_loopbox(place));
    let failing = store.derivation("failing", "hook");
    let failed = ran(&mut store.command("nix-store", ["--realise", &failing]));
    assert_eq!(failed.status, status, "{}", failed.stderr);
    assert!(failed.stderr.contains("the builder failed with exit code 3"), "{}", failed.stderr);
    assert!(failed.stderr.contains("something went wrong\n"), "{}", failed.stderr);
    assert_eq!(store.ask("nix-store", ["--read-log", &failing]), "something went wrong");
    assert_nothing_left(place);
    let kept = ran(&mut store.command("nix-store", ["--realise", "--keep-failed", &failing]));
    let (_, directory) = kept.stderr.split_once("keeping build directory \"").expect("it says where");
    let (directory, _) = directory.split_once('"').expect("it is a path");
    let left = fs::read_to_string(Path::new(directory).join("left")).expect("it is there");
    assert_eq!(left, "left behind\n");
}

fn what_takes_too_long_is_ended(place: &Place) {
    let store = Store::of_old_nix(place, &left_to_loopbox(place));
    let held = store.derivation("held", "long");
    let ended = ran(&mut store.command("nix-store", ["--realise", "--timeout", "1", &held]));
    assert_eq!(ended.status, 101, "{}", ended.stderr);
    assert!(ended.stderr.contains("timed out after 1 seconds"), "{}", ended.stderr);
    assert_nothing_left(place);
}

/// Another system's is nobody's here; one whose path is not known before is Nix's own.
fn what_loopbox_does_not_build_nix_builds(place: &Place) {
    let settings =
        left_to_loopbox(place).replace("hook\n", "hook\nextra-experimental-features = ca-derivations\n");
    let store = Store::of_old_nix(place, &settings);
    let floating = store.derivation("floating", "hook");
    let built = ran(&mut store.command("nix-store", ["--realise", &floating]));
    assert_eq!(built.status, 0, "{}", built.stderr);
    let why = "loopbox leaves '/nix/store/";
    assert!(built.stderr.contains(why) && built.stderr.contains("is content-addressed"), "{}", built.stderr);
    let foreign = ran(&mut store.command("nix-store", ["--realise", &store.derivation("foreign", "hook")]));
    assert_ne!(foreign.status, 0);
    assert!(!foreign.stderr.contains(why) && foreign.stderr.contains("is required"), "{}", foreign.stderr);
}

fn what_is_hidden_and_asked_for_is_told(place: &Place) {
    let store = Store::of_old_nix(place, &left_to_loopbox(place));
    let built =
        ran(&mut store.command("nix-store", ["--realise", &store.derivation("surroundings", "told")]));
    assert_eq!(built.status, 0, "{}", built.stderr);
    let told = "surroundings-told asked for paths of this machine that are not in its view:\n  /etc/services";
    assert!(built.stderr.contains(told), "{}", built.stderr);
}

/// Nix kills the whole process group of its hook, with loopbox's own helpers in it.
fn a_build_that_nix_kills_is_taken_away(place: &Place) {
    let store = Store::of_old_nix(place, &left_to_loopbox(place));
    let held = store.derivation("held", "killed");
    let mut nix = begin(&store, &held);
    kill(Pid::from_raw(nix.id().cast_signed()), Signal::SIGINT).expect("it runs");
    let ended = nix.wait().expect("it ends");
    assert!(!ended.success());
    traces::wait_until_gone(&traces::build_users());
    traces::assert_not_mounted();
    let other = ran(&mut store.command("nix-store", ["--realise", &store.derivation("plain", "next")]));
    assert_eq!(other.status, 0, "{}", other.stderr);
    assert_nothing_left(place);
    let valid = ran(&mut store.command(
        "nix-store",
        ["--check-validity", &store.ask("nix-store", ["--query", "--outputs", &held])],
    ));
    assert_ne!(valid.status, 0, "nothing was registered");
}

/// Nobody else holds the locks of its outputs then.
fn a_build_ends_when_nix_has_died(place: &Place) {
    let store = Store::of_old_nix(place, &left_to_loopbox(place));
    let held = store.derivation("held", "died");
    let mut nix = begin(&store, &held);
    nix.kill().expect("it runs");
    nix.wait().expect("it ends");
    traces::wait_until_gone(&traces::build_users());
    traces::assert_not_mounted();
    let output = store.ask("nix-store", ["--query", "--outputs", &held]);
    assert!(!Path::new(&output).exists(), "nothing was taken");
    let other = ran(&mut store.command("nix-store", ["--realise", &store.derivation("plain", "later")]));
    assert_eq!(other.status, 0, "{}", other.stderr);
    assert_nothing_left(place);
}

fn an_ordinary_user_s_builds_are_left_to_it(place: &Place) {
    let store = Store::of_new_nix(place, &left_to_loopbox(place));
    let (top, seen) = (store.derivation("top", "ordinary"), store.derivation("surroundings", "ordinary"));
    let home = place.directory("home");
    chown(&home, Some(ORDINARY), Some(ORDINARY)).expect("root gives it away");
    let script = format!(
        "nix-daemon > /dev/null 2>&1 & trap 'kill %1' EXIT
         until [ -S /nix/var/nix/daemon-socket/socket ]; do sleep 0.1; done
         export NIX_REMOTE=daemon HOME={} TMPDIR=/tmp
         /usr/sbin/chroot --userspec {ORDINARY}:{ORDINARY} / nix-store --realise {top} {seen} 2>&1",
        home.display()
    );
    let built = ran(&mut store.command("sh", ["-e", "-c", &script]));
    assert_eq!(built.status, 0, "{built:?}");
    assert_eq!(built.stdout.matches("on 'loopbox'").count(), 3, "{built:?}");
    let seen = store.ask("nix-store", ["--query", "--outputs", &seen]);
    let seen = fs::read_to_string(seen).expect("it was built");
    assert!(seen.contains(" / nfs "), "{seen}");
    assert!(seen.contains("uid=1000 100\n") && seen.contains("outside=hidden"), "{seen}");
    assert_nothing_left(place);
}

fn whoever_is_not_nix_is_told_so(place: &Place) {
    let program = Loopbox::program();
    let program = program.display();
    let hook = |script: &str| Ran::from(place.try_shell(script));
    let at_a_terminal = hook(&format!("{program} build-hook 3 < /dev/null"));
    assert_eq!(at_a_terminal.status, 125);
    assert!(
        at_a_terminal.stderr.contains("Nix starts this, for its setting 'build-hook'"),
        "{at_a_terminal:?}"
    );
    let other = hook(&format!("{program} build-hook 3 4> log 5< /dev/null < {program}"));
    assert_eq!(other.status, 125);
    assert!(other.stderr.contains("this is not the protocol of Nix's build hook"), "{other:?}");
}

/// Starts a build that does not end by itself, and waits until it is under way.
fn begin(store: &Store, derivation: &str) -> Child {
    let mut command = store.command("nix-store", ["--realise", derivation]);
    let mut build =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("Nix can be started");
    let ended = || build.try_wait().is_ok_and(|status| status.is_some());
    match traces::wait_for(&traces::build_users(), "sleep 1000", ended) {
        Some(_) => build,
        None => panic!("{:?}", Ran::from(build.wait_with_output().expect("it has ended"))),
    }
}

/// Nothing of a build is left in the store but Nix's own locks, and no record of it.
pub(super) fn assert_nothing_left(place: &Place) {
    let in_store = traces::names(Path::new("/nix/store"));
    let left: Vec<_> = in_store.into_iter().filter(|name| name.contains(".chroot")).collect();
    assert_eq!(left, [""; 0]);
    let records = traces::names(&place.path("state")).into_iter().filter(|name| name != "build-hooks");
    assert_eq!(records.collect::<Vec<_>>(), [""; 0]);
    traces::assert_not_mounted();
}

fn a_machine_is_set_up_and_back(place: &Place) {
    let shown = format!("{USUAL}sandbox-paths = /bin/sh=/bin/busybox\n");
    let store = Store::of_old_nix(place, &shown);
    let setup = |word: &str| {
        let ran = ran(&mut store.loopbox(["setup", word]));
        assert_eq!(ran.status, 0, "{word}: {}", ran.stderr);
        ran.stdout + &ran.stderr
    };
    let before = fs::read_to_string(place.path("conf/nix.conf")).expect("it is there");
    let printed = setup("--print");
    assert!(printed.contains("build-hook = /etc/loopbox/build-hook\n"), "{printed}");
    assert!(!Path::new("/etc/loopbox").exists(), "nothing is written");
    let unproven = ran(&mut store.loopbox(["setup", "--verify"]));
    assert!(unproven.stderr.contains("a trial was built, and not in a view"), "{}", unproven.stderr);
    setup("--write");
    let proven = setup("--verify");
    assert!(proven.contains("good: Nix has built /nix/store/"), "{proven}");
    setup("--undo");
    assert!(!Path::new("/etc/loopbox").exists(), "all is taken back");
    assert_eq!(fs::read_to_string(place.path("conf/nix.conf")).expect("it is there"), before);
    store.configure(place, &format!("{shown}builders = ssh://other\n"));
    let refused = ran(&mut store.loopbox(["setup", "--write"]));
    assert_eq!(refused.status, 125);
    assert!(
        refused.stderr.contains("by means of its build hook, of which there is but one"),
        "{}",
        refused.stderr
    );
}
