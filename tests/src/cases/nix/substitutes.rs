//! Paths that Nix can fetch from a cache, or says it can and then cannot: it builds them then.

use std::fs;

use super::store::Store;
use crate::cases::{Place, cases};

cases![
    without_a_network_interface_a_cache_of_files_is_used,
    nothing_is_fetched_when_the_settings_say_so,
    what_is_not_signed_by_a_trusted_key_is_built,
    what_is_gone_from_the_cache_is_built,
    what_cannot_be_fetched_and_cannot_be_built_is_told,
];

const CACHE: &str = "/nix/cache";

/// A store, a cache that has `dep`, signed, and the derivations of `dep` and `top`, neither of which is built.
fn with_cache(place: &Place, settings: impl Fn(&str) -> String) -> (Store, String, String) {
    let store = Store::of_old_nix(place, "build-users-group = nixbld\nsubstituters =\n");
    let (secret, public) = (place.path("secret"), place.path("public"));
    let words =
        ["--generate-binary-cache-key", "cache-1", &secret.to_string_lossy(), &public.to_string_lossy()];
    store.ask("nix-store", words);
    let (dep, top) = (store.derivation("dep", "cached"), store.derivation("top", "cached"));
    let built = store.ask("nix-store", ["--realise", &dep]);
    let cache = format!("file://{CACHE}?secret-key={}", secret.display());
    store.ask("nix", ["copy", "--to", &cache, &built]);
    store.forget(&[&dep]);
    let public = fs::read_to_string(public).expect("the key was made");
    store.configure(
        place,
        &format!("build-users-group = nixbld\nsubstituters = file://{CACHE}\n{}", settings(&public)),
    );
    (store, dep, top)
}

fn trusted(public: &str) -> String {
    format!("trusted-public-keys = {public}\n")
}

/// Nix says of itself that it fetches nothing where there is no network interface, unless it is told so last.
const FETCH: &str = "substitute = true";

/// Builds `top` with a setting, and says what was built of it, by the order in which it was.
fn built(store: &Store, top: &str, setting: &str) -> Vec<String> {
    let ran = super::store::ran(store.loopbox(["build", "--no-out-link", top]).env("NIX_CONFIG", setting));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(fs::read_to_string(&ran.stdout).expect("it was built"), "dep\n");
    let lines = ran.stderr.lines().filter_map(|line| line.strip_prefix("building "));
    lines
        .filter_map(|path| Some(path.split_once('-')?.1.to_owned()))
        .filter(|name| name.ends_with(".drv"))
        .collect()
}

fn without_a_network_interface_a_cache_of_files_is_used(place: &Place) {
    let (store, _, top) = with_cache(place, trusted);
    assert_eq!(built(&store, &top, ""), ["top-cached.drv"]);
}

fn nothing_is_fetched_when_the_settings_say_so(place: &Place) {
    let (store, _, top) = with_cache(place, trusted);
    assert_eq!(built(&store, &top, "substitute = false"), ["dep-cached.drv", "top-cached.drv"]);
}

fn what_is_not_signed_by_a_trusted_key_is_built(place: &Place) {
    let (store, _, top) = with_cache(place, |_| trusted(""));
    assert_eq!(built(&store, &top, FETCH), ["dep-cached.drv", "top-cached.drv"]);
}

fn what_is_gone_from_the_cache_is_built(place: &Place) {
    let (store, _, top) = with_cache(place, trusted);
    fs::remove_dir_all(format!("{CACHE}/nar")).expect("the cache has archives");
    assert_eq!(built(&store, &top, FETCH), ["dep-cached.drv", "top-cached.drv"]);
}

fn what_cannot_be_fetched_and_cannot_be_built_is_told(place: &Place) {
    let (store, _, top) = with_cache(place, trusted);
    fs::remove_dir_all(format!("{CACHE}/nar")).expect("the cache has archives");
    let ran = super::store::ran(
        store.loopbox(["build", "--no-out-link", &top]).env("NIX_CONFIG", "system = i686-linux"),
    );
    assert_ne!(ran.status, 0);
    assert!(ran.stderr.contains("could not be fetched"), "{}", ran.stderr);
    assert!(ran.stderr.contains("Required system: 'x86_64-linux'"), "{}", ran.stderr);
}
