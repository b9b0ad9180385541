//! An impure derivation: Nix leaves its builder to loopbox, with the machine's network.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::thread;

use super::store::{Store, ran};
use crate::cases::{Place, cases};

cases![an_impure_derivation_has_the_network_and_what_it_needs_has_not];

const SETTINGS: &str =
    "build-users-group =\nsubstituters =\nextra-experimental-features = ca-derivations impure-derivations\n";

fn an_impure_derivation_has_the_network_and_what_it_needs_has_not(place: &Place) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = listener.local_addr().expect("it has an address").port();
    thread::spawn(move || {
        for mut asked in listener.incoming().flatten() {
            // Whoever has gone does not hear it.
            let _ = asked.write_all(b"the machine\n");
        }
    });
    let store = Store::of_new_nix(place, SETTINGS);
    let derivation = store.derivation("impure", &port.to_string());
    let built = ran(&mut store.loopbox(["build", "--no-out-link", &derivation]));
    assert_eq!(built.status, 0, "{}", built.stderr);
    assert_eq!(fs::read_to_string(&built.stdout).expect("it was built"), "nobody\nthe machine\n");
}
