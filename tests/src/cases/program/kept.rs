//! `loopbox report`: what was kept of builds that are long over.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::report::{PLANTED, plant};
use crate::cases::clean::store::Store;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::{Place, cases};

cases![
    the_report_of_a_build_is_kept_and_found_again,
    the_report_of_a_failed_build_is_kept_too,
    what_is_not_kept_says_how_to_have_it,
];

pub(super) fn report(place: &Place, words: &[&str]) -> Ran {
    Loopbox::at(place).run([&["report"], words].concat())
}

/// Reports beside the logs of builds.
fn kept() -> Vec<PathBuf> {
    let directories = fs::read_dir("/nix/var/log/nix/loopbox/drvs").expect("something was built").flatten();
    let files = directories.flat_map(|directory| fs::read_dir(directory.path()).expect("it is one"));
    let files = files.flatten().map(|entry| entry.path());
    files.filter(|path| path.to_string_lossy().contains(".report.json")).collect()
}

fn the_report_of_a_build_is_kept_and_found_again(place: &Place) {
    plant();
    let mut store = Store::make(place);
    let script = format!("[ -e {PLANTED} ] || echo built > $out");
    let ran = store.build_script(place, &script, "", &[]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let (output, derivation) = (ran.stdout.trim().to_owned(), store.derivation.clone());
    place.link("result", &output);
    let link = place.path("result").display().to_string();
    for of in [&output, &derivation, &link] {
        let ran = report(place, &[of]);
        assert_eq!((ran.status, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
        let told = "report of script:\n  asked for, on this machine and not in its view: /planted";
        assert!(ran.stderr.starts_with(told), "{}", ran.stderr);
    }
    let whole: Value = serde_json::from_str(&report(place, &["--json", &output]).stdout).expect("it is JSON");
    let one = &whole["reports"][0];
    assert_eq!((&one["derivation"], &one["status"]), (&derivation.into(), &"built".into()), "{whole:#}");
    // What --json prints is a file like any other.
    let file = place.path("report.json");
    fs::write(&file, whole.to_string()).expect("it can be written");
    let ran = report(place, &[&file.display().to_string()]);
    assert!(ran.stderr.starts_with("report of script:\n"), "{}", ran.stderr);
    // Everybody may read it, as the log.
    let [path] = &kept()[..] else { panic!("one is kept: {:#?}", kept()) };
    assert_eq!(path.metadata().expect("it is there").permissions().mode() & 0o7777, 0o644);
    // The next build takes its place.
    let ran = store.build_script(place, &script, "", &["--check"]);
    assert_eq!((ran.status, kept().len()), (0, 1), "{}", ran.stderr);
    store.verify();
}

fn the_report_of_a_failed_build_is_kept_too(place: &Place) {
    plant();
    let mut store = Store::make(place);
    let ran = store.build_script(place, &format!("cat {PLANTED}"), "", &[]);
    assert_eq!(ran.status, 100, "{}", ran.stderr);
    let ran = report(place, &["--json", &store.derivation.clone()]);
    let whole: Value = serde_json::from_str(&ran.stdout).expect("it is JSON");
    assert_eq!(whole["reports"][0]["status"], "failed", "{whole:#}");
    assert!(ran.stderr.is_empty(), "{}", ran.stderr);
}

fn what_is_not_kept_says_how_to_have_it(place: &Place) {
    let store = Store::make(place);
    place.file("source", "nobody built it");
    let source = store.ask("nix-store", ["--add", &place.path("source").to_string_lossy()]);
    assert_eq!(
        report(place, &[&source]).told(),
        format!(
            "Error: no report of {source} is kept here
Hint: 'loopbox build --check' builds a derivation again and keeps a report of that.
exit status 2"
        )
    );
    let ran = report(place, &["/does/not/exist"]);
    assert_eq!(ran.status, 125, "{}", ran.stderr);
    assert!(ran.stderr.starts_with("Error: cannot read \"/does/not/exist\"\n"), "{}", ran.stderr);
    assert!(!Path::new("/does").exists());
}
