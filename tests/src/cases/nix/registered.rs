//! What the store knows of what loopbox has built: the same as of what Nix has built itself.

use std::fs;

use serde_json::{Map, Value};

use super::store::{Store, ran};
use crate::cases::{Place, cases};

cases![
    all_that_nix_knows_of_what_it_has_built_is_known,
    and_all_that_a_newer_nix_knows,
    what_is_built_is_trusted_and_signed,
    what_was_fetched_and_is_built_again_is_trusted,
    a_schema_that_is_not_known_is_left_to_nix,
    a_journal_of_another_kind_is_left_to_nix,
];

/// One of each kind of output.
const BUILT: [&str; 6] = ["plain", "top", "several", "flat", "recursive", "cyclic"];

/// Without build users there are no files of other users in the way of a newer Nix in a root of its own.
const SETTINGS: &str = "substituters =\nbuild-users-group = nixbld\n";

fn all_that_nix_knows_of_what_it_has_built_is_known(place: &Place) {
    compare(place, Store::of_old_nix);
}

fn and_all_that_a_newer_nix_knows(place: &Place) {
    compare(place, Store::of_new_nix);
}

/// Builds the same in two equal stores, one after the other, and compares all that is known of every valid path.
fn compare(place: &Place, make: impl Fn(&Place, &str) -> Store) {
    place.shell("nix-store --generate-binary-cache-key test-1 secret public");
    let known = ["nix", "loopbox"].map(|by| {
        let at = Place::new(place.directory(by), place.ground);
        fs::copy(place.path("secret"), at.path("secret")).expect("the key can be copied");
        let settings = format!("{SETTINGS}secret-key-files = {}\n", at.path("secret").display());
        let store = make(&at, &settings);
        let derivations = BUILT.map(|attribute| store.derivation(attribute, "same"));
        let built = match by {
            "nix" => ran(store.command("nix-store", ["--realise"]).args(&derivations)),
            _ => ran(store.loopbox(["build", "--no-out-link"]).args(&derivations)),
        };
        assert_eq!(built.status, 0, "{by}: {}", built.stderr);
        store.ask("nix-store", ["--verify", "--check-contents"]);
        let outputs: Vec<&str> = built.stdout.lines().collect();
        let verified = ran(store.command("nix", ["store", "verify"]).args(&outputs));
        assert_eq!(verified.status, 0, "{by}: {}", verified.stderr);
        infos(&store)
    });
    let [nix, loopbox] = known;
    assert!(nix.len() > BUILT.len(), "{nix:#?}");
    assert_eq!(nix, loopbox);
}

/// What is known of every valid path, but for when it was registered.
pub fn infos(store: &Store) -> Map<String, Value> {
    let answer = store.ask("nix", ["path-info", "--all", "--json"]);
    let answer: Value = serde_json::from_str(&answer).expect("Nix prints JSON");
    let infos: Vec<(String, Value)> = match answer {
        Value::Array(list) => list.into_iter().map(|info| (info["path"].to_string(), info)).collect(),
        Value::Object(infos) => infos.into_iter().collect(),
        other => panic!("{other}"),
    };
    let timeless = |(path, mut info): (String, Value)| {
        let fields = info.as_object_mut().expect("what is known is an object");
        assert!(fields.remove("registrationTime").is_some(), "{path} has a time");
        (path, info)
    };
    infos.into_iter().map(timeless).collect()
}

fn what_is_built_is_trusted_and_signed(place: &Place) {
    let store = Store::of_old_nix(place, SETTINGS);
    let (plain, flat) = (store.derivation("plain", "one"), store.derivation("flat", "one"));
    let built = ran(&mut store.loopbox(["build", "--no-out-link", &plain, &flat]));
    assert_eq!(built.status, 0, "{}", built.stderr);
    let [plain, flat] = built.stdout.lines().collect::<Vec<_>>()[..] else { panic!("{}", built.stdout) };
    let known = infos(&store);
    assert_eq!(known[&format!("{plain:?}")]["ultimate"], true);
    assert_eq!(known[&format!("{plain:?}")].get("signatures"), None);
    // What is fixed needs no signature anywhere.
    let copied = ran(&mut store.command("nix", ["copy", "--to", "/nix/other", flat]));
    assert_eq!(copied.status, 0, "{}", copied.stderr);
    let address = known[&format!("{flat:?}")]["ca"].as_str().expect("it has an address").to_owned();
    assert!(address.starts_with("fixed:sha256:"), "{address}");
}

fn what_was_fetched_and_is_built_again_is_trusted(place: &Place) {
    let store = Store::of_old_nix(place, SETTINGS);
    let derivation = store.derivation("plain", "checked");
    let built = store.build(&derivation);
    assert_eq!(built.status, 0, "{}", built.stderr);
    let path = format!("{:?}", built.stdout);
    // As if it had come from elsewhere.
    place.shell(&format!(
        "nix-store --dump-db {0} > dumped; nix-store --register-validity --reregister --hash-given < dumped",
        built.stdout
    ));
    assert_eq!(infos(&store)[&path].get("ultimate"), None);
    let checked = ran(&mut store.loopbox(["build", "--no-out-link", "--check", &derivation]));
    assert_eq!(checked.status, 0, "{}", checked.stderr);
    assert_eq!(infos(&store)[&path]["ultimate"], true);
}

fn a_schema_that_is_not_known_is_left_to_nix(place: &Place) {
    let store = Store::of_old_nix(place, SETTINGS);
    let derivation = store.derivation("plain", "left");
    fs::write("/nix/var/nix/db/schema", "11").expect("it can be written");
    let refused = store.build(&derivation);
    fs::write("/nix/var/nix/db/schema", "10").expect("it can be written");
    assert_eq!(refused.status, 125, "{}", refused.stderr);
    assert!(refused.stderr.contains("current Nix store schema is version 11"), "{}", refused.stderr);
    let nothing = ran(&mut store.command("nix-store", ["--query", "--outputs", &derivation])).stdout;
    let valid = ran(&mut store.command("nix-store", ["--check-validity", &nothing]));
    assert_ne!(valid.status, 0, "nothing was registered");
}

fn a_journal_of_another_kind_is_left_to_nix(place: &Place) {
    let store = Store::of_old_nix(place, &format!("{SETTINGS}use-sqlite-wal = false\n"));
    let built = store.build(&store.derivation("top", "journal"));
    assert_eq!(built.status, 0, "{}", built.stderr);
    store.ask("nix-store", ["--verify", "--check-contents"]);
}
