//! A view that is learnt from a script, and the script once more in that view.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cases::Place;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::nix::daemon::ORDINARY;
use crate::cases::nix::daemon::runs::Lent;

/// Set where an ordinary user does all of it, by loopbox's daemon.
pub const BY_USER: &str = "LOOPBOX_CASES_BY_USER";

/// What makes him one whom programs find: some want to know his name.
const ENTRY: &str =
    "grep -q ^ordinary: /etc/passwd || echo ordinary:x:30001:30001::/nonexistent:/bin/sh >> /etc/passwd";

/// What nobody may see, in a home that every program has for its own.
const SECRETS: [(&str, &str); 4] = [
    (".ssh/id_ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----\n"),
    (".netrc", "machine example.org login me password planted\n"),
    (".config/tool/settings", "token = planted\n"),
    ("src/deploy.pem", "-----BEGIN PRIVATE KEY-----\n"),
];

/// Prepares what the program reads in `in`, learns a view while the script works there and writes to `out`, makes `out`
/// empty again, and has the script do the same in the view. What the script prints has to be the same both times.
pub fn works_again(case: &Place, prepare: &str, script: &str) {
    // The user's own, if there is one; what root has lies beside it, in a directory of root's.
    let place = &Place::new(case.directory("work"), case.ground);
    let home = place.directory("home");
    for (name, contents) in SECRETS {
        place.directory(Path::new("home").join(name).parent().expect("it has one"));
        place.file(Path::new("home").join(name), contents);
    }
    for directory in ["in", "out"] {
        place.directory(directory);
    }
    place.shell(&format!("export HOME=/tmp; cd in; {prepare}"));
    let (loopbox, lent) = (Loopbox::at(place), lent(case));
    if lent.is_some() {
        give(place);
    }
    let start = |words: &[&str]| -> Ran {
        let mut command = match &lent {
            Some(lent) => lent.command(words),
            None => loopbox.command(words),
        };
        command.current_dir(place.dir()).env("HOME", &home).output().expect("loopbox can be started").into()
    };
    let out = place.path("out").display().to_string();
    let command = ["--", "bash", "-e", "-c", script];
    let home = format!("HOME={}", home.display());
    let learnt =
        start(&[&["learn", "--output", "view.json", "--rw", &out, "--env", &home], &command[..]].concat());
    assert_eq!(learnt.status, 0, "learning: {}{}", learnt.stdout, learnt.stderr);
    let made = place.shell("find out -type f | sort");
    fs::remove_dir_all(&out).expect("it can be removed");
    fs::create_dir(&out).expect("it can be made again");
    if lent.is_some() {
        give(place);
    }

    let again = start(&[&["run", "--view", "view.json"], &command[..]].concat());
    assert_eq!(again.status, 0, "in its view: {}{}\n{}", again.stdout, again.stderr, learnt.stderr);
    assert_eq!(again.stdout, learnt.stdout, "{}", again.stderr);
    assert_eq!(place.shell("find out -type f | sort"), made);
    shows_no_secret(place);
}

/// The daemon, if a user is to do it.
fn lent(case: &Place) -> Option<Lent<'_>> {
    std::env::var_os(BY_USER)?;
    case.shell(ENTRY);
    Some(Lent::start(case))
}

/// Gives the user a directory and all that is in it.
fn give(place: &Place) {
    place.shell(&format!("chown -R {ORDINARY}:{ORDINARY} home in out; chown {ORDINARY}:{ORDINARY} ."));
}

/// And says how large the view is.
fn shows_no_secret(place: &Place) {
    let text = fs::read_to_string(place.path("view.json")).expect("a view was written");
    let document: Value = serde_json::from_str(&text).expect("it is JSON");
    let view = &document["view"];
    let paths = |kind: &str| -> Vec<PathBuf> {
        let paths = view[kind].as_array().into_iter().flatten();
        paths.filter_map(Value::as_str).map(PathBuf::from).collect()
    };
    let shown = [paths("ro"), paths("with")].concat();
    for (name, _) in SECRETS {
        let secret = place.path("home").join(name);
        assert!(!shown.iter().any(|shown| secret.starts_with(shown)), "{} is shown", secret.display());
    }
    assert!(
        !shown.iter().any(|shown| Path::new("/etc/shadow").starts_with(shown)),
        "the machine's passwords are shown"
    );
    let (directories, files): (Vec<PathBuf>, Vec<PathBuf>) =
        paths("ro").into_iter().partition(|path| path.is_dir() && !path.is_symlink());
    println!(
        "\n| {} programs | {} directories | {} files | {} bytes of JSON |",
        paths("with").len(),
        directories.len(),
        files.len(),
        text.len()
    );
}
