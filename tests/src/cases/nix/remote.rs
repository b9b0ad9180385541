//! Nix that is set to use another store than the machine's own, or a daemon.

use std::path::Path;
use std::process::Stdio;

use super::store::{Store, ran};
use crate::cases::{Place, cases};

cases![a_build_for_a_daemon_is_refused_before_anything_is_built];

const REFUSED: &str = "\
Error: Nix is set to use the store 'daemon' (NIX_REMOTE, or the setting 'store'), and loopbox registers what it builds in this machine's own store alone
Hint: as root it needs no daemon: loopbox build --option store local …
exit status 125";

fn a_build_for_a_daemon_is_refused_before_anything_is_built(place: &Place) {
    let store = Store::of_old_nix(place, "build-users-group = nixbld\nsubstituters =\n");
    let derivation = store.derivation("plain", "remote");
    let mut daemon = store.command("nix-daemon", [""; 0]);
    let mut daemon = daemon.stderr(Stdio::null()).spawn().expect("Nix has a daemon");
    while !Path::new("/nix/var/nix/daemon-socket/socket").exists() {
        std::thread::yield_now();
        assert_eq!(daemon.try_wait().expect("it can be waited for"), None, "the daemon runs");
    }
    let refused = ran(store.loopbox(["build", "--no-out-link", &derivation]).env("NIX_REMOTE", "daemon"));
    let output = store.ask("nix-store", ["--query", "--outputs", &derivation]);
    let hinted = ran(store
        .loopbox(["build", "--no-out-link", "--option", "store", "local", &derivation])
        .env("NIX_REMOTE", "daemon"));
    daemon.kill().expect("the daemon can be killed");
    daemon.wait().expect("it can be waited for");
    assert_eq!(refused.told(), REFUSED);
    assert_eq!((hinted.status, hinted.stdout), (0, output), "{}", hinted.stderr);
}
