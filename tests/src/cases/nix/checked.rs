//! `loopbox check`: what a derivation's outputs depend on is named, and nothing else.

use serde_json::{Value, json};

use crate::cases::clean::store::Store;
use crate::cases::loopbox::Ran;
use crate::cases::{Place, cases};

cases![
    what_depends_on_nothing_is_built_twice,
    each_thing_that_an_output_depends_on_is_named,
    every_thing_that_it_depends_on_is_named,
    what_takes_two_things_at_once_is_said_to,
    chance_and_the_clock_are_told_from_surroundings,
    a_builder_that_fails_elsewhere_depends_on_it,
    a_builder_that_always_fails_cannot_be_checked,
    only_what_is_named_is_varied,
    a_build_is_compared_with_a_varied_one,
    differences_are_shown_by_diffoscope_where_it_is_installed,
];

const MANY: &str = "for name in a b c d e f g h; do echo > $name; done";

fn check(place: &Place, store: &mut Store, script: &str, words: &[&str]) -> (Ran, Value) {
    let ran = store.check_script(place, script, &[&["--json"], words].concat());
    assert_eq!(store.assert_unchanged(), 1, "the derivation, and no output: {}", ran.told());
    let found: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}{}", ran.stdout, ran.told()));
    (ran, found[0].clone())
}

/// What was found, and the variations of each change.
fn found(checked: &Value) -> (Value, Vec<Value>) {
    let changes = checked["changes"].as_array().expect("there is a list");
    (checked["verdict"].clone(), changes.iter().map(|change| change["variations"].clone()).collect())
}

fn what_depends_on_nothing_is_built_twice(place: &Place) {
    let mut store = Store::make(place);
    let script = format!(
        "mkdir $out; cd $out; {MANY}; ls > list; cp list other; busybox tar -cf $TMPDIR/x.tar list; cat a > c"
    );
    let (ran, checked) = check(place, &mut store, &script, &[]);
    assert_eq!((ran.status, found(&checked)), (0, (json!("same"), vec![])), "{checked}");
    assert_eq!(checked["builds"], 2);
    assert_eq!(checked["variations"].as_array().expect("a list").len(), 7);
}

fn each_thing_that_an_output_depends_on_is_named(place: &Place) {
    let mut store = Store::make(place);
    for (variation, script) in [
        ("readdir-order", "busybox find . -name '?' > $out"),
        ("times", "busybox stat -c %Y a > $out"),
        ("inodes", "busybox stat -c '%i %n' ? | busybox sort -n > $out"),
        ("uid", "busybox id -u > $out"),
        ("hostname", "busybox hostname > $out"),
        ("umask", "umask > $out"),
        ("build-path", "pwd > $out"),
    ] {
        let (ran, checked) = check(place, &mut store, &format!("{MANY}; {script}"), &[]);
        assert_eq!(
            (ran.status, found(&checked)),
            (104, (json!("depends"), vec![json!([variation])])),
            "{checked}"
        );
        assert_eq!(checked["builds"], 10, "as it is, all at once, as it is, and each alone");
        let difference = &checked["changes"][0]["outputs"]["out"]["listed"][0]["what"]["contents"];
        assert!(difference["at"].is_u64(), "{checked}");
        println!("{variation}: {}", ran.stderr);
    }
}

fn every_thing_that_it_depends_on_is_named(place: &Place) {
    let mut store = Store::make(place);
    let (_, checked) = check(place, &mut store, "busybox id -u > $out; umask >> $out; pwd >> $out", &[]);
    assert_eq!(
        found(&checked),
        (json!("depends"), vec![json!(["uid"]), json!(["umask"]), json!(["build-path"])])
    );
}

fn what_takes_two_things_at_once_is_said_to(place: &Place) {
    let mut store = Store::make(place);
    let script =
        "if [ $(busybox id -u) != 1000 ] && [ $(busybox hostname) != localhost ]; then echo 1; fi > $out";
    let (ran, checked) = check(place, &mut store, script, &[]);
    assert_eq!((ran.status, checked["verdict"].clone()), (104, json!("dependsOnSeveral")), "{checked}");
}

fn chance_and_the_clock_are_told_from_surroundings(place: &Place) {
    let mut store = Store::make(place);
    for script in ["cat /proc/sys/kernel/random/uuid > $out", "busybox date +%s > $out"] {
        let (ran, checked) = check(place, &mut store, script, &[]);
        assert_eq!(
            (ran.status, found(&checked)),
            (104, (json!("notDeterministic"), vec![json!([])])),
            "{checked}"
        );
        assert_eq!(checked["builds"], 3);
    }
}

fn a_builder_that_fails_elsewhere_depends_on_it(place: &Place) {
    let mut store = Store::make(place);
    let (ran, checked) = check(
        place,
        &mut store,
        "[ $PWD = /build ] || { echo I must be in /build; exit 3; }; echo > $out",
        &[],
    );
    assert_eq!((ran.status, found(&checked)), (104, (json!("depends"), vec![json!(["build-path"])])));
    let why = checked["changes"][0]["failed"].as_str().expect("it says why");
    assert!(why.contains("exit code 3") && why.contains("I must be in /build"), "{why}");
}

fn a_builder_that_always_fails_cannot_be_checked(place: &Place) {
    let mut store = Store::make(place);
    let (ran, checked) = check(place, &mut store, "exit 3", &[]);
    assert_eq!(
        (ran.status, checked["verdict"].clone(), checked["builds"].clone()),
        (100, json!("fails"), json!(1))
    );
}

fn only_what_is_named_is_varied(place: &Place) {
    let mut store = Store::make(place);
    let (ran, checked) = check(place, &mut store, "busybox id -u > $out", &["--vary", "times,hostname"]);
    assert_eq!((ran.status, found(&checked).0), (0, json!("same")));
    let ran = store.check_script(place, "busybox id -u > $out", &["--vary", "uid"]);
    assert!(ran.stdout.starts_with("script: depends on uid (3 builds)\n the output 'out' with uid:\n   differs from byte 0 on: \"1000"), "{}", ran.stdout);
    let ran = store.check_script(place, "true", &["--vary", "uid,time"]);
    assert!(ran.status == 2 && ran.stderr.contains("there is no variation \"time\""), "{}", ran.told());
    let ran = store.check_script(place, "true", &["--vary", "uid,uid"]);
    assert!(ran.status == 2 && ran.stderr.contains("--vary names a variation twice"), "{}", ran.told());
}

fn a_build_is_compared_with_a_varied_one(place: &Place) {
    let mut store = Store::make(place);
    let report = place.path("report.json").display().to_string();
    let mut build = |words: &[&str]| store.build_script(place, "busybox id -u > $out", "", words);
    assert_eq!(build(&[]).status, 0);
    let same = build(&["--check", "--vary", "hostname,umask", &format!("--report={report}")]);
    assert_eq!(same.status, 0, "{}", same.stderr);
    let text = std::fs::read(&report).expect("a report was written");
    let found: Value = serde_json::from_slice(&text).expect("it is JSON");
    assert_eq!(found["reports"][0]["varied"], json!(["hostname", "umask"]));
    let other = build(&["--check", "--vary", "uid"]);
    assert!(other.status == 104 && other.stderr.contains("may not be deterministic"), "{}", other.told());
    let refused = build(&["--check", "--vary", "uid", "--backend", "bind"]);
    assert!(
        refused.status == 2 && refused.stderr.contains("shows everything as it is"),
        "{}",
        refused.told()
    );
    let refused = build(&["--vary", "uid"]);
    assert!(refused.status == 2 && refused.stderr.contains("--check"), "{}", refused.told());
}

fn differences_are_shown_by_diffoscope_where_it_is_installed(place: &Place) {
    let mut store = Store::make(place);
    place.directory("planted");
    let path = std::env::var("PATH").expect("there is one");
    let mut check = |program: &str| {
        place.file("planted/diffoscope", format!("#!/bin/sh\n{program}\n"));
        place.shell("chmod 755 . planted planted/diffoscope");
        let words = ["--vary", "uid,umask"];
        let mut command = store.check_command(place, "mkdir $out; busybox id -u > $out/uid", &words);
        command.env("PATH", format!("{}:{path}", place.path("planted").display()));
        let ran: Ran = command.output().expect("loopbox can be started").into();
        assert_eq!(ran.status, 104, "{}", ran.told());
        ran
    };
    let before = "script: depends on uid (5 builds)\n the output 'out' with uid";
    let ran = check(
        "echo \"$(id -un) compares\"; cd $3; cat uid; cd ../$4; cat uid; printf '\\033[31m\\n'; exit 1",
    );
    let shown = "nobody compares\n   1000\n   2234\n   \\u{1b}[31m";
    assert_eq!(ran.stdout, format!("{before}, as diffoscope shows it:\n   {shown}"), "{}", ran.stderr);
    let ran = check("exit 2");
    assert!(ran.stdout.starts_with(&format!("{before}:\n   \"uid\": differs from byte 0")), "{}", ran.stdout);
    assert_eq!(ran.stderr.matches("diffoscope does not show").count(), 1, "{}", ran.stderr);
}
