//! What is built is what Nix would have built.

use std::fs;

use super::{BUILD_USERS, Daemons};
use crate::cases::loopbox::Loopbox;
use crate::cases::nix::registered;
use crate::cases::nix::store::{Store, ran};
use crate::cases::{Place, cases};

cases![
    it_is_what_nix_would_build,
    loopbox_build_does_the_same,
    ten_at_once_are_built,
    a_builder_is_a_user_who_may_nothing_outside,
    what_was_looked_for_is_in_the_log,
    an_output_that_nobody_may_write_to_is_taken,
    who_closes_his_output_is_ended,
    what_nix_performs_itself_is_refused_in_these_words,
    what_failed_says_why_and_leaves_nothing,
];

/// One of each kind of output.
const BUILT: [&str; 6] = ["plain", "top", "several", "flat", "recursive", "cyclic"];

fn it_is_what_nix_would_build(place: &Place) {
    let known = ["nix", "loopbox"].map(|by| {
        let at = Place::new(place.directory(by), place.ground);
        let store: Store;
        let daemons;
        let store = match by {
            "nix" => {
                store = Store::of_new_nix(&at, &format!("{BUILD_USERS}substituters =\n"));
                let derivations = BUILT.map(|attribute| store.derivation(attribute, "same"));
                let built = ran(store.command("nix-store", ["--realise"]).args(&derivations));
                assert_eq!(built.status, 0, "{}", built.stderr);
                &store
            }
            _ => {
                daemons = Daemons::start(&at);
                let derivations = BUILT.map(|attribute| daemons.store.derivation(attribute, "same"));
                let derivations: Vec<&str> = derivations.iter().map(String::as_str).collect();
                daemons.built(&derivations);
                daemons.assert_nothing_left();
                assert_eq!(daemons.logs().matches("a session begins").count(), 7, "{}", daemons.logs());
                &daemons.store
            }
        };
        store.ask("nix-store", ["--verify", "--check-contents"]);
        registered::infos(store)
    });
    let [nix, loopbox] = known;
    assert!(nix.len() > BUILT.len(), "{nix:#?}");
    assert_eq!(nix, loopbox);
}

fn loopbox_build_does_the_same(place: &Place) {
    let daemons = Daemons::start(place);
    let derivation = daemons.store.derivation("top", "own");
    let program = Loopbox::for_everybody();
    let program = program.to_str().expect("a path of text");
    let build = |words: &[&str]| {
        ran(&mut daemons.nix(program, &[&["build", "--no-out-link"], words, &[&derivation]].concat()))
    };
    let refused = build(&["--backend", "bind"]);
    assert_eq!(refused.status, 2, "{refused:?}");
    let built = build(&[]);
    assert_eq!(built.status, 0, "{}\n{}", built.stderr, daemons.logs());
    assert_eq!(fs::read_to_string(&built.stdout).expect("it was built"), "dep\n");
    assert_eq!(daemons.logs().matches("a session begins").count(), 2, "{}", daemons.logs());
    let there = build(&["--json"]);
    assert!(there.stdout.contains(&built.stdout), "{there:?}");
    daemons.assert_nothing_left();
}

fn ten_at_once_are_built(place: &Place) {
    let daemons = Daemons::start(place);
    let derivations: Vec<String> =
        (0..10).map(|number| daemons.store.derivation("top", &format!("many-{number}"))).collect();
    let builds: Vec<_> = derivations
        .iter()
        .map(|derivation| daemons.build(&[derivation]).spawn().expect("Nix can be started"))
        .collect();
    for build in builds {
        let built: crate::cases::loopbox::Ran = build.wait_with_output().expect("it ends").into();
        assert_eq!(built.status, 0, "{}\n{}", built.stderr, daemons.logs());
        assert_eq!(fs::read_to_string(&built.stdout).expect("it was built"), "dep\n");
    }
    daemons.assert_nothing_left();
}

/// What a builder is and what it sees, as a build user in a view.
fn a_builder_is_a_user_who_may_nothing_outside(place: &Place) {
    let daemons = Daemons::start(place);
    let seen = fs::read_to_string(daemons.built(&[&daemons.store.derivation("surroundings", "user")]))
        .expect("it was built");
    let line = |start: &str| {
        seen.lines()
            .find_map(|line| line.strip_prefix(start))
            .unwrap_or_else(|| panic!("{start}: {seen}"))
            .trim()
    };
    assert_eq!((line("uid="), line("store=")), ("1000 100", "1775 65534 100"));
    assert_eq!((line("Seccomp:"), line("NoNewPrivs:"), line("CapEff:")), ("2", "1", "0000000000000000"));
    assert!(line("root=").contains(" / nfs "), "{seen}");
    assert_eq!(line("outside="), "hidden");
}

/// It is all that whoever builds through Nix sees.
fn what_was_looked_for_is_in_the_log(place: &Place) {
    let daemons = Daemons::start(place);
    let derivation = daemons.store.derivation("looking", "for");
    let built = ran(&mut daemons.build(&[&derivation]));
    assert_eq!(built.status, 0, "{}\n{}", built.stderr, daemons.logs());
    let told = "looking-for asked for paths of this machine that are not in its view:\n  /etc/debian_version";
    assert!(built.stderr.contains(told), "{}", built.stderr);
    let log = ran(&mut daemons.nix("nix-store", &["--read-log", &derivation]));
    assert!(log.stdout.contains(told), "{log:?}");
    let quiet = ran(&mut daemons.build(&[&daemons.store.derivation("plain", "looks")]));
    assert!(!quiet.stderr.contains("asked for"), "{}", quiet.stderr);
}

fn an_output_that_nobody_may_write_to_is_taken(place: &Place) {
    let daemons = Daemons::start(place);
    let built = daemons.built(&[&daemons.store.derivation("unwritable", "user")]);
    assert_eq!(built.lines().count(), 2, "{built}");
    for output in built.lines() {
        assert_eq!(fs::read_to_string(format!("{output}/file")).expect("it is there"), "contents\n");
        assert_eq!(crate::cases::place::mode(output) & 0o777, 0o555, "{output}");
    }
    daemons.assert_nothing_left();
}

/// As with Nix's own builders.
fn who_closes_his_output_is_ended(place: &Place) {
    let daemons = Daemons::start(place);
    let began = std::time::Instant::now();
    let ended = ran(&mut daemons.build(&[&daemons.store.derivation("closed", "user")]));
    assert!(began.elapsed() < super::END, "{} s", began.elapsed().as_secs());
    assert_ne!(ended.status, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("failed due to signal 9 (Killed)"), "{}", ended.stderr);
    daemons.assert_nothing_left();
}

fn what_nix_performs_itself_is_refused_in_these_words(place: &Place) {
    let daemons = Daemons::start(place);
    let refused = ran(&mut daemons.build(&[&daemons.store.derivation("fetched", "user")]));
    assert_ne!(refused.status, 0, "{}", refused.stderr);
    let why = "its builder is 'builtin:fetchurl', which Nix itself performs and no sandbox does";
    assert!(refused.stderr.contains(why), "{}", refused.stderr);
}

fn what_failed_says_why_and_leaves_nothing(place: &Place) {
    let daemons = Daemons::start(place);
    let failing = daemons.store.derivation("failing", "failing");
    let failed = ran(&mut daemons.build(&[&failing]));
    assert_ne!(failed.status, 0, "{}", failed.stderr);
    assert!(failed.stderr.contains("with exit code 3"), "{}", failed.stderr);
    assert!(failed.stderr.contains("> something went wrong"), "{}", failed.stderr);
    let log = ran(&mut daemons.nix("nix-store", &["--read-log", &failing]));
    assert_eq!(log.stdout, "something went wrong");
    daemons.assert_nothing_left();
}
