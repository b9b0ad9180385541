//! `loopbox compare`: derivations that are the same in every backend, planted ones that are not, and a view.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::hide::store::Builds;
use super::loopbox::{Loopbox, Ran};
use super::{Case, Place, cases};
use crate::xtask::report::{NAMES, REPORTS};

cases![
    what_is_deterministic_is_the_same_everywhere,
    chance_is_caught_and_called_so,
    a_build_that_counts_links_is_caught_and_explained,
    a_build_that_tries_to_write_an_input_is_caught_and_explained,
    a_build_that_fails_fails_with_its_reason,
    what_the_store_has_is_compared_too,
    a_view_differs_in_explained_ways_only,
    numbers_of_other_devices_are_explained,
    a_report_needs_nothing_else,
    nfsserve_carries_what_needs_no_more_than_files_and_directories,
    what_nfsserve_cannot_carry_fails_with_its_reason,
];

/// All of them.
pub fn cases() -> Vec<Case> {
    CASES.to_vec()
}

/// An input of every build here, and what makes an output.
const DETERMINISTIC: &str =
    "find /nix/store -type f | sort | while read f; do cat $f; done | sha256sum > $out";

/// Compares a build that runs this script; the store has to have the same names before and after.
fn compare(place: &Place, script: &str, words: &[&str]) -> (Ran, Value) {
    let builds = Builds::new(place);
    let derivation = builds.derivation("looking", &[("script", script)]);
    let before = store();
    let ran = run(builds.compare(&[&[derivation.as_str(), "--json"], words].concat()));
    assert_eq!(store(), before, "names in the store");
    let answer = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("no JSON: {}", ran.stderr));
    (ran, answer)
}

fn run(mut command: Command) -> Ran {
    command.output().expect("loopbox can be started").into()
}

/// Names in the store, but for those of locks, which Nix leaves too.
fn store() -> BTreeSet<PathBuf> {
    let names = fs::read_dir("/nix/store").expect("there is a store").flatten().map(|entry| entry.path());
    names.filter(|path| path.extension().is_none_or(|extension| extension != "lock")).collect()
}

fn explanation(answer: &Value) -> &str {
    answer["derivations"][0]["explanation"].as_str().expect("there is an explanation")
}

fn verdict(answer: &Value) -> &str {
    answer["derivations"][0]["verdict"].as_str().expect("there is a verdict")
}

fn what_is_deterministic_is_the_same_everywhere(place: &Place) {
    let (ran, answer) = compare(place, DETERMINISTIC, &["--rounds", "3"]);
    assert_eq!((ran.status, verdict(&answer)), (0, "same"), "{}", ran.stdout);
    let rounds = answer["derivations"][0]["rounds"].as_array().expect("there are rounds");
    let hashes: BTreeSet<String> =
        rounds.iter().map(|round| round["built"]["narHashes"]["out"].to_string()).collect();
    assert_eq!((rounds.len(), hashes.len()), (9, 1), "{hashes:?}");
    for round in rounds {
        let spent = &round["built"]["spent"];
        let calls = spent["nfsCalls"].as_object().expect("a list of calls").len();
        assert_eq!(calls > 0, round["backend"] == "nfs", "{round}");
        assert_eq!(spent["linksMade"] != 0, round["backend"] == "hardlink", "{round}");
        assert!(round["built"]["seconds"]["setup"].as_f64() > Some(0.0), "{round}");
    }
}

fn chance_is_caught_and_called_so(place: &Place) {
    let (ran, answer) = compare(place, "cat /proc/sys/kernel/random/uuid > $out", &[]);
    assert_eq!((ran.status, verdict(&answer)), (104, "notDeterministic"), "{}", ran.stdout);
    let differences = answer["derivations"][0]["outputs"][0]["differences"]["listed"].as_array();
    assert!(differences.is_some_and(|listed| !listed.is_empty()), "{answer:#}");
}

fn a_build_that_counts_links_is_caught_and_explained(place: &Place) {
    let script = "stat -c %h ${PATH%%/bin*}/bin/busybox > $out";
    let (ran, answer) = compare(place, script, &[]);
    assert_eq!((ran.status, verdict(&answer)), (104, "dependsOnBackend"), "{}", ran.stdout);
    assert!(explanation(&answer).contains("link count of "), "{}", explanation(&answer));
    assert!(explanation(&answer).contains("\"1\" in nfs, \"2\" in hardlink"), "{}", explanation(&answer));
}

fn a_build_that_tries_to_write_an_input_is_caught_and_explained(place: &Place) {
    // Files are as read-only as their modes everywhere, so that this is about a new one.
    let script = "mkdir ${PATH%%/bin*}/new 2> $out || true";
    let (ran, answer) = compare(place, script, &["--backends", "bind,hardlink"]);
    assert_eq!((ran.status, verdict(&answer)), (104, "dependsOnBackend"), "{}", ran.stdout);
    assert!(explanation(&answer).contains("answer to writing of "), "{}", explanation(&answer));
    assert!(explanation(&answer).contains("\"EROFS\" in bind, \"EACCES\" in hardlink"), "{ran:?}");
}

fn a_build_that_fails_fails_with_its_reason(place: &Place) {
    let (ran, answer) = compare(place, "echo no such luck; exit 3", &["--rounds", "1"]);
    assert_eq!((ran.status, verdict(&answer)), (100, "failed"), "{}", ran.stdout);
    assert_eq!(explanation(&answer), "it cannot be built in any backend");
    let reason = answer["derivations"][0]["rounds"][0]["failed"].as_str().expect("a reason");
    assert!(reason.contains("exit code 3"), "{reason}");
}

fn what_the_store_has_is_compared_too(place: &Place) {
    let builds = Builds::new(place);
    let derivation =
        builds.derivation("looking", &[("script", "cat /proc/sys/kernel/random/uuid > $out; : 2")]);
    builds.build(&derivation, &[]);
    let ran = run(builds.compare(&[&derivation, "--json", "--rounds", "1", "--backends", "bind"]));
    let answer: Value = serde_json::from_str(&ran.stdout).expect("the answer is JSON");
    assert_eq!((ran.status, verdict(&answer)), (104, "differsFromStore"), "{}", ran.stdout);
}

/// The toolchain's closure, of some twenty thousand files.
fn a_view_differs_in_explained_ways_only(place: &Place) {
    let loopbox = Loopbox::at(place);
    let toolchain = store().into_iter().find(|path| path.to_string_lossy().ends_with("-zig"));
    let toolchain = toolchain.expect("the store has the toolchain");
    let words = ["run", "--dry-run", "--closure", &toolchain.to_string_lossy(), "--", "true"];
    let plan: Value = serde_json::from_str(&loopbox.good(words)).expect("a plan is JSON");
    let spec = place.file("view.json", plan["view"].to_string());
    let compared = loopbox.good(["compare", "--json", "--view", &spec.to_string_lossy()]);
    let answer: Value = serde_json::from_str(&compared).expect("the answer is JSON");
    let walks = &answer["view"]["walks"];
    for backend in ["nfs", "hardlink", "bind"] {
        assert!(walks["files"][backend].as_u64() > Some(19_000), "{walks:#}");
        assert_eq!(walks["repeatedInodes"][backend], 0, "{walks:#}");
    }
    let differences = walks["differences"].as_array().expect("there is a list");
    let unexplained: Vec<&Value> = differences.iter().filter(|one| one["reason"].is_null()).collect();
    assert!(unexplained.is_empty() && differences.len() < 40, "{unexplained:#?}");
    let shown = |one: &&Value| one["other"] == "bind" && one["count"].as_u64() > Some(1000);
    let many: Vec<&Value> = differences.iter().filter(shown).map(|one| &one["what"]).collect();
    // Both refuse to have a name made; links were made of the same files between the two walks.
    assert_eq!(
        many,
        ["answer to writing", "device", "time of change"],
        "what nfs shows of the store's own files is what they are"
    );
}

/// The machine's own root is in layers, in which files have another device than their directories.
fn numbers_of_other_devices_are_explained(place: &Place) {
    let spec = r#"{"entries":[{"graft":{"at":"/shown","source":"/usr/include/linux","access":"ro"}}]}"#;
    let spec = place.file("view.json", spec).display().to_string();
    let words = ["compare", "--json", "--backends", "nfs,bind", "--view", &spec];
    let answer: Value = serde_json::from_str(&Loopbox::at(place).good(words)).expect("the answer is JSON");
    let differences = answer["view"]["walks"]["differences"].as_array().expect("there is a list");
    let reason = |one: &Value| one["what"] == "inode number" && one["count"].as_u64() > Some(500);
    let numbers = differences.iter().find(|one| reason(one)).expect("numbers of files differ");
    assert_eq!(numbers["reason"], "NFS gives files of another device numbers of their own");
}

/// A report of builds of every verdict, and one of a view. `cargo xtask report` opens them in a browser.
fn a_report_needs_nothing_else(place: &Place) {
    let scripts = [
        DETERMINISTIC,
        "stat -c %h ${PATH%%/bin*}/bin/busybox > $out; : 3",
        "mkdir $out; cat /proc/sys/kernel/random/uuid > $out/chance; ln -s $(cat /proc/sys/kernel/random/uuid) $out/link",
        "echo x > a; ln a b; mv b $out",
    ];
    let builds = Builds::new(place);
    let derivations = scripts.map(|script| builds.derivation("looking", &[("script", script)]));
    let spec = r#"{"entries":[{"graft":{"at":"/shown","source":"/usr/include/linux","access":"ro"}},
        {"directory":{"at":"/made","mode":493}}]}"#;
    let spec = place.file("view.json", spec).display().to_string();
    let directory = std::env::var_os(REPORTS).map_or_else(|| place.directory("reports"), PathBuf::from);
    let [of_builds, of_view] = NAMES.map(|name| directory.join(name).with_extension("html"));
    let backends = ["--backends", "nfs,hardlink,bind,nfsserve"];
    let write = |words: &[&str], report: &Path| {
        let report = report.to_string_lossy();
        run(builds.compare(&[words, &backends, &["--html", &report]].concat())).status
    };
    let words: Vec<&str> = derivations.iter().map(String::as_str).collect();
    assert_eq!(write(&words, &of_builds), 100);
    assert_eq!(write(&["--view", &spec], &of_view), 104);
    for report in [of_builds, of_view] {
        let page = fs::read_to_string(&report).expect("there is a report");
        assert!(page.contains("<svg") && page.contains("link count"), "{page}");
        let outside = page.replace("http://www.w3.org/2000/svg", "");
        let wrong = ["http:", "https:", "<script", "url(", "@import", "<img", "<iframe"];
        assert!(!wrong.iter().any(|word| outside.contains(word)), "{page}");
        assert!(page.len() < 1 << 20);
    }
}

/// The build's own user makes it all; the outputs are the same.
fn nfsserve_carries_what_needs_no_more_than_files_and_directories(place: &Place) {
    let script =
        "mkdir -p $out/a/b; seq 100000 > $out/a/b/file; ln -s b/file $out/a/link; cp -r $out/a $out/c
      mv $out/c/link $out/c/moved; rm $out/c/b/file; rmdir $out/c/b; chmod 755 $out/a/b/file
      stat -c %u:%g $out/a $out/a/b/file | uniq | wc -l > $out/owners; id -u > id; test -O id";
    let (ran, answer) = compare(place, script, &["--rounds", "1", "--backends", "bind,nfsserve"]);
    assert_eq!((ran.status, verdict(&answer)), (0, "same"), "{answer:#}");
    assert!(ran.stderr.contains("every process on this machine can use what nfsserve serves"), "{ran:?}");
}

fn what_nfsserve_cannot_carry_fails_with_its_reason(place: &Place) {
    for script in ["echo x > a; ln a b; mv b $out", "mkfifo pipe; echo x > $out"] {
        let (ran, answer) = compare(place, script, &["--rounds", "1", "--backends", "nfs,nfsserve"]);
        assert_eq!((ran.status, verdict(&answer)), (100, "failed"), "{answer:#}");
        assert_eq!(explanation(&answer), "it cannot be built in nfsserve, and in others it can");
        let rounds = answer["derivations"][0]["rounds"].as_array().expect("there are rounds");
        let failed = rounds.iter().find_map(|round| round["failed"].as_str()).expect("one failed");
        assert!(failed.contains("not supported"), "{failed}");
    }
}
