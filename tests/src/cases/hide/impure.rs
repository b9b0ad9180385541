//! Host paths that were declared: they appear, where it was said, and only if they may.

use std::fs;

use super::store::{Builds, of, out};
use crate::cases::{Place, cases};

cases![
    sandbox_paths_appear_at_their_places,
    a_sandbox_path_that_is_missing_is_an_error_unless_optional,
    host_paths_of_a_derivation_appear_within_the_allowed_ones,
];

fn sandbox_paths_appear_at_their_places(place: &Place) {
    let builds = Builds::new(place);
    place.directory("shown");
    let file = place.file("shown/file", "of the host");
    let words =
        format!("/mapped={} {} /absent=/no/such/path?", place.path("shown").display(), file.display());
    let script =
        format!("cat /mapped/file {} > $out; test ! -e /absent; ls / | grep -v absent", file.display());
    let derivation = builds.derivation("looking", &[("script", &script)]);
    let plan = builds.plan(&derivation, &["--sandbox-paths", &words]);
    assert!(plan.to_string().contains("/mapped"), "{plan}");
    let (answer, _) = builds.build(&derivation, &["--sandbox-paths", &words]);
    let seen = fs::read_to_string(out(of(&answer, &derivation))).expect("it can be read");
    assert_eq!(seen, "of the hostof the host");
}

fn a_sandbox_path_that_is_missing_is_an_error_unless_optional(place: &Place) {
    let builds = Builds::new(place);
    let derivation = builds.derivation("looking", &[("script", "echo missing > $out")]);
    let ran = builds.run(&derivation, &["--sandbox-paths", "/absent=/no/such/path"]);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("/no/such/path"), "{}", ran.stderr);
    builds.build(&derivation, &["--sandbox-paths", "/absent=/no/such/path?"]);
}

fn host_paths_of_a_derivation_appear_within_the_allowed_ones(place: &Place) {
    let mut builds = Builds::new(place);
    place.directory("allowed");
    let file = place.file("allowed/file", "of the host").display().to_string();
    let other = place.file("other", "of the host").display().to_string();
    let allowed = format!("allowed-impure-host-deps = {}\n", place.path("allowed").display());
    builds.configure(place, &allowed);

    let script = format!("cat {file} > $out; test ! -e {other}");
    let derivation = builds.derivation("looking", &[("script", &script), ("impure", &file)]);
    let (answer, _) = builds.build(&derivation, &[]);
    let seen = fs::read_to_string(out(of(&answer, &derivation))).expect("it can be read");
    assert_eq!(seen, "of the host");

    let derivation = builds.derivation("looking", &[("script", &script), ("impure", &other)]);
    let ran = builds.run(&derivation, &[]);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("it asks for the host path '{other}'")), "{}", ran.stderr);
}
