//! `--strict`: what may be asked for that a view hides.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::kept;
use super::report::{PLANTED, plant};
use crate::cases::clean::store::Store;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::{Place, cases};

cases![
    a_command_may_ask_for_what_is_harmless_alone,
    a_command_that_fails_of_itself_does_so_with_its_own_status,
    a_build_that_asks_for_what_is_hidden_is_not_registered,
    what_is_on_the_allow_list_may_be_asked_for,
    an_allow_list_that_cannot_be_read_stops_everything,
    strictness_needs_a_view_that_is_asked,
];

fn run(place: &Place, more: &[&str], script: &str) -> Ran {
    plant();
    let words = [&["run", "--strict", "--with", "sh"], more, &["--", "sh", "-c", script]].concat();
    Loopbox::at(place).run(words)
}

fn build(place: &Place, store: &mut Store, more: &[&str], script: &str) -> Ran {
    plant();
    store.build_script(place, script, "", &[&["--strict"], more].concat())
}

/// The dynamic loader asks for its cache before the shell begins.
fn a_command_may_ask_for_what_is_harmless_alone(place: &Place) {
    let ran = run(place, &[], "[ -e /etc/ld.so.preload ]; [ -e /usr/share/zoneinfo/UTC ]; echo done");
    assert_eq!((ran.stdout.as_str(), ran.told()), ("done", "exit status 0".into()));
    let ran = run(place, &[], &format!("[ -e {PLANTED} ]; [ -e /planted/lib/missing ]; echo done"));
    assert_eq!(
        ran.told(),
        format!(
            "the command asked for paths of this machine that are not in its view:
  {PLANTED}
exit status 112"
        )
    );
}

fn a_command_that_fails_of_itself_does_so_with_its_own_status(place: &Place) {
    let ran = run(place, &[], &format!("[ -e {PLANTED} ]; exit 3"));
    assert_eq!(ran.status, 3);
    assert!(ran.stderr.contains(PLANTED), "{}", ran.stderr);
}

fn a_build_that_asks_for_what_is_hidden_is_not_registered(place: &Place) {
    let mut store = Store::make(place);
    let script = format!("[ -e {PLANTED} ] || echo built > $out");
    let ran = build(place, &mut store, &[], &script);
    assert_eq!((ran.status, ran.stdout.as_str()), (112, ""), "{}", ran.stderr);
    let why = format!(" asked for paths of this machine that are not in its view:\n  {PLANTED}\n");
    assert!(ran.stderr.contains(&why), "{}", ran.stderr);
    let error = format!("Caused by: it asked for \"{PLANTED}\" of this machine that its view hides, ");
    assert!(ran.stderr.contains(&error), "{}", ran.stderr);
    assert_eq!(store.assert_unchanged(), 1, "the derivation, and no output");
    let kept = kept::report(place, &["--json", &store.derivation.clone()]);
    let kept: Value = serde_json::from_str(&kept.stdout).expect("it is JSON");
    assert_eq!(kept["reports"][0]["status"], "forbidden", "{kept:#}");
    // Without it, the same is built, and the machine's own file is of no use to it.
    let ran = store.build_script(place, &script, "", &[]);
    assert_eq!(fs::read_to_string(&ran.stdout).expect("it was built"), "built\n", "{}", ran.stderr);
    store.verify();
}

fn what_is_on_the_allow_list_may_be_asked_for(place: &Place) {
    let mut store = Store::make(place);
    place.file("allowed", "# of the old installation\n/planted/*/*.so\n");
    let allowed = place.path("allowed").display().to_string();
    let words = ["--strict-allow", &allowed];
    let ran = run(place, &words, &format!("[ -e {PLANTED} ]"));
    assert_eq!((ran.status, ran.stderr.as_str()), (1, ""), "the command's own status, and nothing to say");
    let script = format!("[ -e {PLANTED} ] || echo built > $out");
    let ran = build(place, &mut store, &words, &script);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(Path::new(&ran.stdout).exists(), "{}", ran.stdout);
    store.verify();
}

fn an_allow_list_that_cannot_be_read_stops_everything(place: &Place) {
    place.file("relative", "\nusr/lib\n");
    let relative = place.path("relative");
    let ran = run(place, &["--strict-allow", &relative.display().to_string()], "echo never");
    assert_eq!(
        ran.told(),
        format!(
            "Error: {relative:?}, line 2: 'usr/lib' matches no path from the root
exit status 2"
        )
    );
    let ran = run(place, &["--strict-allow", "/does/not/exist"], "echo never");
    assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
}

fn strictness_needs_a_view_that_is_asked(place: &Place) {
    let ran = Loopbox::at(place).run(["run", "--strict", "--backend", "bind", "--", "true"]);
    assert_eq!(
        ran.told(),
        "Error: --strict: nothing records what is asked of a view of the backend 'bind'
Hint: Leave out --backend.
exit status 2"
    );
}
