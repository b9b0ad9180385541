//! Nix as it is set up in different ways.

use std::fs;

use nix::mount::{MsFlags, mount};

use super::{BUILD_USERS, Daemons};
use crate::cases::nix::store::ran;
use crate::cases::{Place, cases};

cases![
    users_that_nix_allocates_build,
    a_build_without_a_sandbox_of_nixs_has_its_view,
    a_read_only_store_is_built_in,
    a_store_elsewhere_is_built_in,
    a_check_builds_again,
    a_failed_builds_directory_is_kept,
    others_are_refused,
];

fn builds_plain(daemons: &Daemons<'_>) {
    let built = daemons.built(&[&daemons.store.derivation("plain", "set")]);
    assert_eq!(fs::read_to_string(built).expect("it was built"), "set\n");
    assert!(daemons.logs().contains("a session begins"), "{}", daemons.logs());
    daemons.assert_nothing_left();
}

fn users_that_nix_allocates_build(place: &Place) {
    let features = "extra-experimental-features = auto-allocate-uids\nauto-allocate-uids = true\n";
    let daemons = Daemons::start_with(place, &format!("{BUILD_USERS}{features}"));
    builds_plain(&daemons);
    let who = daemons.logs();
    assert!(who.contains("user=\"872415232\""), "{who}");
}

fn a_build_without_a_sandbox_of_nixs_has_its_view(place: &Place) {
    builds_plain(&Daemons::start_with(place, &format!("{BUILD_USERS}sandbox = false\n")));
}

/// As NixOS has it: Nix's daemon alone makes it writable, for itself and whom it starts.
fn a_read_only_store_is_built_in(place: &Place) {
    let mut daemons = Daemons::start(place);
    drop(daemons.nix.take());
    let none = None::<&str>;
    let store = "/nix/store";
    mount(Some(store), store, none, MsFlags::MS_BIND, none).expect("it can be mounted over itself");
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(none, store, none, flags, none).expect("it can be made read-only");
    daemons.start_nix();
    builds_plain(&daemons);
    let error = fs::write("/nix/store/new", "").expect_err("the store is read-only");
    assert_eq!(error.raw_os_error(), Some(libc::EROFS));
}

/// Root's own command there, with build users: the daemon is loopbox's alone.
fn a_store_elsewhere_is_built_in(place: &Place) {
    let daemons = Daemons::start(place);
    let files = place.directory("files");
    fs::copy("/bin/busybox", files.join("busybox")).expect("the machine has busybox");
    place.file("files/mark", "right\n");
    let words = daemons.store.words("carried", "elsewhere", files.to_str().expect("a path of text"));
    let words = ["--store", "/nix/one", "--no-out-link"].into_iter().chain(words.iter().copied());
    let built = ran(&mut daemons.store.command("nix-build", words));
    assert_eq!(built.status, 0, "{}\n{}", built.stderr, daemons.logs());
    assert_eq!(fs::read_to_string(format!("/nix/one{}", built.stdout)).expect("it was built"), "right\n");
    daemons.assert_nothing_left();
}

fn a_check_builds_again(place: &Place) {
    let daemons = Daemons::start(place);
    let [same, other] = ["plain", "random"].map(|attribute| daemons.store.derivation(attribute, "check"));
    daemons.built(&[&same, &other]);
    daemons.built(&["--check", &same]);
    let differs = ran(&mut daemons.build(&["--check", &other]));
    assert!(differs.stderr.contains("may not be deterministic"), "{}", differs.stderr);
    daemons.assert_nothing_left();
}

fn a_failed_builds_directory_is_kept(place: &Place) {
    let daemons = Daemons::start(place);
    let failed = ran(&mut daemons.build(&["--keep-failed", &daemons.store.derivation("failing", "kept")]));
    let kept = failed.stderr.split("build directory \"").nth(1).and_then(|rest| rest.split('"').next());
    let kept = kept.unwrap_or_else(|| panic!("{}", failed.stderr));
    let left = fs::read_to_string(format!("{kept}/left"));
    assert_eq!(left.ok().as_deref(), Some("left behind\n"), "{kept}");
}

fn others_are_refused(place: &Place) {
    place.file("daemon.toml", "groups = []\nusers = ['nobody']\n");
    let daemons = Daemons::start(place);
    let failed = ran(&mut daemons.build(&[&daemons.store.derivation("plain", "refused")]));
    let why = "loopbox's daemon refuses: nixbld1 is not among those who may use it";
    assert!(failed.stderr.contains(why), "{}", failed.stderr);
    daemons.assert_nothing_left();
}
