//! A store that is mounted read-only over itself, as NixOS has it: Nix makes it writable for itself alone.

use std::fs;

use serde_json::{Value, json};

use nix::mount::{MsFlags, mount};

use super::store::{Store, ran};
use crate::cases::{Place, cases};

cases![
    a_build_makes_a_read_only_store_writable_for_itself,
    so_does_an_external_builder,
    what_a_killed_run_left_in_it_is_cleaned,
];

const STORE: &str = "/nix/store";

/// Mounts the store over itself, read-only.
fn make_read_only() {
    let none = None::<&str>;
    mount(Some(STORE), STORE, none, MsFlags::MS_BIND, none).expect("the store can be mounted over itself");
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | MsFlags::MS_NODEV;
    mount(none, STORE, none, flags, none).expect("it can be made read-only");
}

fn assert_read_only() {
    let error = fs::write(format!("{STORE}/new"), "").expect_err("the store is read-only");
    assert_eq!(error.raw_os_error(), Some(libc::EROFS));
}

fn a_build_makes_a_read_only_store_writable_for_itself(place: &Place) {
    let store = Store::of_old_nix(place, "build-users-group = nixbld\nsubstituters =\n");
    let derivation = store.derivation("top", "ro");
    make_read_only();
    let built = store.build(&derivation);
    assert_eq!(built.status, 0, "{}", built.stderr);
    assert_eq!(fs::read_to_string(&built.stdout).expect("it was built"), "dep\n");
    store.ask("nix-store", ["--verify-path", &built.stdout]);
    assert_read_only();
    let inside = ran(&mut store.loopbox(["shell", &derivation, "--run", "cat $dep"]));
    assert_eq!((inside.status, inside.stdout.as_str()), (0, "dep"), "{}", inside.stderr);
    let findings = ran(&mut store.loopbox(["doctor"])).stdout;
    let line = findings.lines().find(|line| line.contains("Nix store")).expect("doctor looks at the store");
    assert_eq!(
        line,
        "good     Nix store: /nix/store is mounted read-only; loopbox makes it writable for itself"
    );
}

fn so_does_an_external_builder(place: &Place) {
    let store = Store::of_new_nix(place, &super::elsewhere::settings());
    make_read_only();
    let derivation = store.derivation("plain", "ro");
    let built = ran(&mut store.command("nix-store", ["--realise", &derivation]));
    assert_eq!(built.status, 0, "{}", built.stderr);
    assert_eq!(fs::read_to_string(&built.stdout).expect("it was built"), "ro\n");
    for of in [&derivation, &built.stdout] {
        let kept = ran(&mut store.loopbox(["report", "--json", of]));
        let kept: Value = serde_json::from_str(&kept.stdout).unwrap_or_else(|_| panic!("{}", kept.stderr));
        let report = &kept["reports"][0];
        assert_eq!((&report["derivation"], &report["status"]), (&json!(derivation), &json!("built")));
    }
    assert_read_only();
}

fn what_a_killed_run_left_in_it_is_cleaned(place: &Place) {
    let store = Store::of_old_nix(place, "build-users-group = nixbld\nsubstituters =\n");
    let left = format!("{STORE}/left.chroot");
    fs::create_dir_all(format!("{left}/store")).expect("a directory can be made");
    place.directory("state");
    place.shell("chmod 700 state");
    // Of a process that is long dead.
    let note =
        format!(r#"{{"owner":{{"pid":1,"started":1}},"leftovers":{{"mount":null,"temporary":["{left}"]}}}}"#);
    place.file("state/1-0.json", note);
    make_read_only();
    let cleaned = ran(&mut store.loopbox(["clean"]));
    assert_eq!(
        (cleaned.status, cleaned.stdout.as_str()),
        (0, "removed /nix/store/left.chroot"),
        "{}",
        cleaned.stderr
    );
    assert_read_only();
}
