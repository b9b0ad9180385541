//! `--report`: what a program asked its view for, refused, read, and was shown without need.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cases::clean::store::Store;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::place::USER;
use crate::cases::{Place, cases};

cases![
    a_run_says_what_it_asked_for,
    what_a_client_has_in_its_caches_is_counted_once,
    a_report_needs_a_view_that_is_asked,
    a_build_says_which_inputs_it_did_without,
    what_a_failed_build_asked_for_is_reported_too,
    a_deep_run_is_seen_to_ask_for_whole_paths,
    a_deep_build_is_built_once_more_and_compared,
    a_build_that_depends_on_a_hidden_directory_is_found_out,
];

/// A library that somebody installed long ago, outside any package.
pub(super) const PLANTED: &str = "/planted/lib/libreadline.so";

/// A file of the host that is shown, in ten bytes.
const READ: &str = "/shown/deep/file";

/// Something that a package of the machine's has, and that is in no view.
const OF_A_PACKAGE: &str = "/usr/bin/dpkg-query";

pub(super) fn plant() {
    fs::create_dir_all(Path::new(PLANTED).parent().expect("it is in a directory")).expect("root can make it");
    fs::write(PLANTED, "").expect("root can write it");
}

/// The one report in a file.
pub(super) fn read(file: &Path) -> Value {
    let text = fs::read_to_string(file).expect("the report was written");
    let mut whole: Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!((&whole["version"], whole["reports"].as_array().map(Vec::len)), (&json!(1), Some(1)));
    whole["reports"][0].take()
}

fn entry<'a>(report: &'a Value, at: &str) -> &'a Value {
    let entries = report["entries"].as_array().expect("there are entries");
    entries.iter().find(|entry| entry["at"] == at).unwrap_or_else(|| panic!("no {at}: {report:#}"))
}

/// What is said of the file that the script reads.
fn host_file(report: &Value) -> &Value {
    let files = report["hostFiles"].as_array().expect("there is a list");
    files.iter().find(|file| file["path"] == READ).unwrap_or_else(|| panic!("not read: {files:#?}"))
}

/// Every path of this machine that was asked for and not shown.
pub(super) fn undeclared(report: &Value) -> Vec<&str> {
    let list = report["undeclared"].as_array().expect("there is a list");
    list.iter().filter_map(|found| found["path"].as_str()).collect()
}

/// A run of a shell's script in a view with one directory that it needs, one that it does not, and one to write to.
fn run(place: &Place, more: &[&str], script: &str) -> (Ran, PathBuf) {
    plant();
    place.directory("shown/deep");
    place.file("shown/deep/file", "0123456789");
    place.directory("unused");
    let work = place.directory("work");
    std::os::unix::fs::chown(&work, Some(USER), Some(USER)).expect("root can give it away");
    place.directory("work/closed");
    let show = |name: &str| format!("{}:/{name}", place.path(name).display());
    let file = place.path("report.json");
    let (report, user) = (format!("--report={}", file.display()), USER.to_string());
    let mut words = vec!["run", &report, "--with", "sh", "--with", "cat", "--uid", &user];
    words.extend(more);
    let (shown, unused, work) = (show("shown"), show("unused"), show("work"));
    words.extend(["--ro", &shown, "--ro", &unused, "--rw", &work, "--", "sh", "-c", script]);
    (Loopbox::at(place).run(words), file)
}

fn a_run_says_what_it_asked_for(place: &Place) {
    let script = format!(
        "[ -e {PLANTED} ]; [ -e {OF_A_PACKAGE} ]; [ -e /nowhere/at/all ]; cat /shown/deep/file
        echo no > /shown/deep/new; echo yes > /work/new; echo > /work/closed/new; exit 3"
    );
    let (ran, file) = run(place, &[], &script);
    assert_eq!((ran.status, ran.stdout.as_str()), (3, "0123456789"));
    let report = read(&file);
    assert_eq!(report["command"], json!(["sh", "-c", script]));
    // The shell and its libraries look for other things as well.
    let undeclared = report["undeclared"].as_array().expect("there is a list");
    assert_eq!(undeclared[0], json!({ "path": "/planted", "owner": null }));
    let dpkg = json!({ "path": OF_A_PACKAGE, "owner": { "kind": "debian", "packages": ["dpkg"] } });
    assert!(undeclared.contains(&dpkg), "{undeclared:#?}");
    assert_eq!(report["undeclaredIncomplete"], false);
    assert!(report["missing"].as_u64() >= Some(1), "{report:#}");
    assert_eq!(report["refused"]["paths"], json!(["/shown/deep/new", "/work/closed/new"]));
    assert_eq!(report["written"]["refused"], report["refused"], "{report:#}");
    assert_eq!(report["written"]["files"], json!([{ "path": "/work/new", "bytesWritten": 4 }]));
    // A hash as sha256sum(1) prints it.
    let hash = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";
    assert_eq!(*host_file(&report), json!({ "path": READ, "bytesRead": 10, "sha256": hash }));
    let shown = entry(&report, "/shown");
    assert_eq!((&shown["kind"], &shown["used"]), (&json!("readOnly"), &json!(true)));
    assert_eq!((&shown["filesRead"], &shown["bytesRead"]), (&json!(1), &json!(10)));
    assert_eq!(entry(&report, "/unused")["used"], false);
    let work = entry(&report, "/work");
    assert_eq!(
        (&work["kind"], &work["filesWritten"], &work["bytesWritten"]),
        (&json!("writable"), &json!(1), &json!(4))
    );
    let slowest = report["slowestCalls"].as_array().expect("there is a list");
    assert_eq!(slowest.len(), 10);
    let seconds = report["seconds"]["run"].as_f64();
    assert!(slowest.iter().all(|call| call["seconds"].as_f64() < seconds), "{slowest:#?}");
    assert!(slowest.iter().any(|call| call["path"].as_str() > Some("/")), "{slowest:#?}");
    assert!(report["nfsCalls"]["LOOKUP"].as_u64() > Some(0), "{report:#}");
    let told: Vec<&str> = ran.stderr.lines().skip_while(|line| !line.starts_with("report of")).collect();
    assert_eq!((told.len(), told[0]), (6, "report of the command:"));
    let asked =
        format!("  asked for, on this machine and not in its view: /planted, {OF_A_PACKAGE} (dpkg), ");
    assert!(told[1].starts_with(&asked), "{told:#?}");
    assert_eq!(told[2], "  refused: changes of /shown/deep/new, /work/closed/new");
    assert!(told[3].starts_with("  not used: ") && told[3].contains("/unused"), "{told:#?}");
    assert!(told[4].contains(" of the host's own: ") && told[4].contains(READ), "{told:#?}");
    assert_eq!(told[5], "  written: 1 file, 4 B: /work/new");
}

/// This is the limit of what a server sees, as docs/report.md says.
fn what_a_client_has_in_its_caches_is_counted_once(place: &Place) {
    let (ran, file) = run(place, &[], "cat /shown/deep/file /shown/deep/file /shown/deep/file");
    assert_eq!((ran.status, ran.stdout.len()), (0, 30));
    assert_eq!(host_file(&read(&file))["bytesRead"], 10);
}

fn a_report_needs_a_view_that_is_asked(place: &Place) {
    let ran = Loopbox::at(place).run(["run", "--report", "--backend", "bind", "--", "true"]);
    assert_eq!(
        ran.told(),
        "Error: --report: nothing records what is asked of a view of the backend 'bind'
Hint: Leave out --backend.
exit status 2"
    );
}

/// Two inputs, each with a file and a link to it.
fn inputs(place: &Place, store: &Store) -> [String; 2] {
    ["used", "unused"].map(|name| {
        place.directory(name);
        place.file(format!("{name}/file"), name);
        place.link(format!("{name}/link"), "file");
        store.ask("nix-store", ["--add", &place.path(name).to_string_lossy()])
    })
}

/// Builds a script with both inputs; the report, and how loopbox ended.
fn build(
    place: &Place,
    store: &mut Store,
    [used, unused]: &[String; 2],
    more: &[&str],
    script: &str,
) -> (Ran, Value) {
    plant();
    let attributes =
        format!("used = \"${{builtins.storePath {used}}}\"; unused = \"${{builtins.storePath {unused}}}\";");
    let file = place.path("report.json");
    let report = format!("--report={}", file.display());
    let ran = store.build_script(place, script, &attributes, &[&[&*report], more].concat());
    (ran, read(&file))
}

fn unused(report: &Value, name: &str) -> Option<(bool, bool)> {
    let all = report["unusedInputs"].as_array().expect("there is a list");
    let is = |input: &&Value| input["path"].as_str().is_some_and(|path| path.ends_with(name));
    let input = all.iter().find(is)?;
    Some((input["direct"].as_bool()?, input["removable"].as_bool()?))
}

fn a_build_says_which_inputs_it_did_without(place: &Place) {
    let mut store = Store::make(place);
    let inputs = inputs(place, &store);
    let script = format!("[ -e {PLANTED} ] || true; echo made > /build/made; cat $used/file > $out");
    let (ran, report) = build(place, &mut store, &inputs, &[], &script);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(unused(&report, "-unused"), Some((true, true)), "{report:#}");
    assert_eq!([unused(&report, "-used"), unused(&report, "-busybox")], [None, None], "{report:#}");
    assert_eq!(report["undeclared"][0]["path"], "/planted");
    assert_eq!(report["status"], "built");
    // The build directory is the machine's own, and the output is served.
    let files = report["written"]["files"].as_array().expect("there is a list");
    for (path, bytes) in [("/build/made", 5), (ran.stdout.as_str(), 4)] {
        assert!(files.contains(&json!({ "path": path, "bytesWritten": bytes })), "{files:#?}");
    }
    assert_eq!(entry(&report, "/build")["filesWritten"], 1);
    assert!(ran.stderr.contains("; the derivation could do without /nix/store/"), "{}", ran.stderr);
    // What an output refers to is needed, though nothing of it was read.
    let script = "cat $used/link > $out; echo $unused >> $out";
    let (ran, report) = build(place, &mut store, &inputs, &[], script);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(unused(&report, "-unused"), Some((true, false)), "{report:#}");
    // A test for a file is a use of it.
    let script = "[ -e $unused/file ]; cat $used/file > $out; echo >> $out";
    let (ran, report) = build(place, &mut store, &inputs, &[], script);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(unused(&report, "-unused"), None, "{report:#}");
    store.verify();
}

fn what_a_failed_build_asked_for_is_reported_too(place: &Place) {
    let mut store = Store::make(place);
    let inputs = inputs(place, &store);
    let (ran, report) = build(place, &mut store, &inputs, &[], &format!("cat {PLANTED}"));
    assert_eq!(ran.status, 100, "{}", ran.stderr);
    assert_eq!((&report["status"], &report["undeclared"][0]["path"]), (&json!("failed"), &json!("/planted")));
    // What it would have done without cannot be told.
    assert_eq!(unused(&report, "-used"), Some((true, false)), "{report:#}");
}

/// The client stops at the first name that is not there; here it goes on to the last.
fn a_deep_run_is_seen_to_ask_for_whole_paths(place: &Place) {
    let script = format!(
        "[ -e {PLANTED} ] && echo found; [ -d /planted/lib ] && echo walked; [ -e /planted/lib/missing ]
        echo /planted/lib/*; cat /shown/deep/file; echo no > /planted/lib/new || echo refused"
    );
    let (ran, file) = run(place, &["--deep"], &script);
    assert_eq!(ran.stdout, "walked\n/planted/lib/*\n0123456789refused", "{}", ran.stderr);
    let report = read(&file);
    let found = undeclared(&report);
    assert!(found.contains(&PLANTED), "{found:#?}");
    assert!(
        !found.contains(&"/planted") && !found.contains(&"/planted/lib"),
        "only gone through: {found:#?}"
    );
    assert!(!found.contains(&"/usr"), "{found:#?}");
    assert!(report["missing"].as_u64() >= Some(1), "{report:#}");
    assert_eq!(fs::read_dir("/planted/lib").expect("it is there").count(), 1, "nothing was made");
}

fn a_deep_build_is_built_once_more_and_compared(place: &Place) {
    let mut store = Store::make(place);
    let inputs = inputs(place, &store);
    // Its own output is there by then, which is no business of the report.
    let script = format!("echo built; [ -e $out ] || [ -e {PLANTED} ] || cat $used/file > $out");
    let (ran, report) = build(place, &mut store, &inputs, &["--deep"], &script);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(undeclared(&report), ["/planted"], "{report:#}");
    assert_eq!(report["deep"]["outcome"], "same", "{report:#}");
    assert_eq!(undeclared(&report["deep"]), [PLANTED], "{report:#}");
    let told = format!("  asked for, on this machine and not in its view: {PLANTED}\n");
    assert!(ran.stderr.contains(&told), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("built\n").count(), 1, "nobody is told of the other build: {}", ran.stderr);
    store.verify();
}

fn a_build_that_depends_on_a_hidden_directory_is_found_out(place: &Place) {
    let mut store = Store::make(place);
    let inputs = inputs(place, &store);
    let script = "if [ -d /planted ]; then echo with > $out; else echo without > $out; fi";
    let (ran, report) = build(place, &mut store, &inputs, &["--deep"], script);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(fs::read_to_string(&ran.stdout).expect("it was built"), "without\n");
    assert_eq!(report["deep"]["outcome"], "differs", "{report:#}");
    assert_eq!(report["deep"]["outputs"], json!(["out"]));
    assert!(ran.stderr.contains("differs where hidden directories can be walked: out"), "{}", ran.stderr);
    let script = "[ -d /planted ] && exit 1; echo > $out";
    let (ran, report) = build(place, &mut store, &inputs, &["--deep"], script);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(report["deep"]["outcome"], "failed", "{report:#}");
    store.verify();
}
