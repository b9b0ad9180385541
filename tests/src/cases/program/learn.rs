//! `loopbox learn`: what a command used becomes a view in which it runs again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::place::USER;
use crate::cases::{Place, cases};

cases![
    a_command_runs_again_in_the_view_that_was_learnt,
    the_flags_that_are_told_say_the_same,
    a_directory_that_was_listed_is_shown_whole,
    a_file_is_found_by_every_name_that_was_used,
    a_secret_is_named_and_never_shown,
    a_view_grows_by_what_a_new_command_needs,
    what_may_be_written_is_what_was_said,
    a_command_sees_the_machine_as_its_user_does,
    a_command_that_fails_has_its_own_status_and_a_view,
    a_view_that_is_none_stops_everything,
];

/// Learns, from a script of a shell, a view in the file `view.json`.
fn learn(place: &Place, words: &[&str], script: &str) -> Ran {
    let view = place.path("view.json");
    let view = view.to_str().expect("a path of ours");
    let words = [&["learn", "--output", view], words, &["--", "sh", "-e", "-c", script]].concat();
    Loopbox::at(place)
        .command(words)
        .current_dir(place.dir())
        .output()
        .expect("loopbox can be started")
        .into()
}

fn run(place: &Place, words: &[&str], script: &str) -> Ran {
    let view = place.path("view.json");
    let view = view.to_str().expect("a path of ours");
    let words = [&["run", "--view", view], words, &["--", "sh", "-e", "-c", script]].concat();
    Loopbox::at(place).run(words)
}

fn view(place: &Place) -> Value {
    let text = fs::read(place.path("view.json")).expect("a view was written");
    let document: Value = serde_json::from_slice(&text).expect("it is JSON");
    assert_eq!(document["version"], 1);
    document["view"].clone()
}

/// The paths of one kind in the view, below the case's directory.
fn paths(place: &Place, kind: &str) -> Vec<String> {
    let paths = view(place)[kind].as_array().cloned().unwrap_or_default();
    let below =
        |path: &Value| Some(Path::new(path.as_str()?).strip_prefix(place.dir()).ok()?.display().to_string());
    paths.iter().filter_map(below).collect()
}

fn a_command_runs_again_in_the_view_that_was_learnt(place: &Place) {
    place.file("one", "1\n");
    place.file("two", "2\n");
    place.directory("empty");
    place.file("unused", "3\n");
    let script = "cat one two; [ -d empty ]; [ ! -e missing ]; env true | wc -l";
    let ran = learn(place, &[], script);
    assert_eq!((ran.status, ran.stdout.as_str()), (0, "1\n2\n0"), "{}", ran.stderr);
    assert_eq!(paths(place, "ro"), ["one", "two"], "{}", view(place));
    assert_eq!(view(place)["chdir"], json!(place.dir()));
    let with = view(place)["with"].to_string();
    for program in ["sh\"", "/cat\"", "/wc\"", "/env\""] {
        assert!(with.contains(program), "{program} is not in {with}");
    }
    assert!(
        !view(place)["ro"].to_string().contains("/libc.so"),
        "libraries are the programs': {}",
        view(place)
    );
    let again = run(place, &[], script);
    assert_eq!((again.status, again.stdout.as_str()), (0, "1\n2\n0"), "{}", again.stderr);
    let unused = run(place, &[], "[ ! -e unused ] && [ ! -e /etc/hostname ] && echo hidden");
    assert_eq!(unused.stdout, "hidden", "{}", unused.stderr);
}

fn the_flags_that_are_told_say_the_same(place: &Place) {
    place.file("it's here", "1\n");
    let words = ["learn", "--env", "NAME=two words", "--", "sh", "-c", "cat it*; echo $NAME"];
    let ran: Ran = Loopbox::at(place)
        .command(words)
        .current_dir(place.dir())
        .output()
        .expect("loopbox can be started")
        .into();
    let (_, line) =
        ran.stderr.split_once("learnt: it runs with\n").unwrap_or_else(|| panic!("{}", ran.stderr));
    let line = line.split_once("\nnote:").map_or(line, |(line, _)| line);
    let loopbox = Loopbox::program();
    let line = line.replacen("loopbox", &loopbox.display().to_string(), 1);
    let again: Ran = Command::new("sh").args(["-c", &line]).output().expect("a shell can be started").into();
    assert_eq!(
        (ran.stdout.as_str(), again.stdout.as_str()),
        ("1\ntwo words", "1\ntwo words"),
        "{line}\n{}",
        again.stderr
    );
}

fn a_directory_that_was_listed_is_shown_whole(place: &Place) {
    for file in ["tree/a", "tree/below/b", "tree/below/c"] {
        place.directory(Path::new(file).parent().expect("it has one"));
        place.file(file, file);
    }
    let ran = learn(place, &[], "find tree | sort; ls / > /dev/null");
    assert_eq!(paths(place, "ro"), ["tree"], "{}", view(place));
    assert!(
        ran.stderr.contains(
            "note: listed, and shown only as far as it was used; --ro DIR shows all of it:\nnote:   /\n"
        ),
        "{}",
        ran.stderr
    );
    assert_eq!(run(place, &[], "find tree | sort").stdout, ran.stdout);
}

/// A client may know a file by an older name, or by the list of its directory, and ask for neither.
fn a_file_is_found_by_every_name_that_was_used(place: &Place) {
    place.file("original", "1\n");
    fs::hard_link(place.path("original"), place.path("other")).expect("a link can be made");
    place.link("link", "middle");
    place.link("middle", "original");
    place.directory("home");
    place.file("home/.profile", "2\n");
    place.file("home/.other", "3\n");
    let home = place.path("home").display().to_string();
    let script = format!("ls -l {home} > /dev/null; cat original other link {home}/.profile");
    let ran: Ran = Loopbox::at(place)
        .command(["learn", "-o", "view.json", "--", "sh", "-e", "-c", &script])
        .current_dir(place.dir())
        .env("HOME", &home)
        .output()
        .expect("loopbox can be started")
        .into();
    assert_eq!(ran.stdout, "1\n1\n1\n2", "{}", ran.stderr);
    assert_eq!(paths(place, "ro"), ["home/.profile", "link", "middle", "original", "other"]);
    assert_eq!(run(place, &[], &script).stdout, ran.stdout);
}

fn a_secret_is_named_and_never_shown(place: &Place) {
    for directory in ["home/.ssh", "home/src"] {
        place.directory(directory);
    }
    let key = place.file("home/.ssh/id_ed25519", "a key\n");
    let planted = place.file("home/src/deploy", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n");
    let token = place.file("home/.settings", "token = abc\n");
    place.file("home/src/main", "1\n");
    let script =
        "cat home/.ssh/* home/.settings home/src/*; ls -R home >/dev/null; cat /etc/shadow > /dev/null";
    let ran = learn(place, &["--uid", "0"], script);
    assert_eq!(ran.status, 0, "it sees them now: {}", ran.stderr);
    assert_eq!(paths(place, "ro"), ["home/src/main"]);
    let text = view(place).to_string();
    for secret in [&key, &planted, &token, &PathBuf::from("/etc/shadow")] {
        assert!(ran.stderr.contains(&format!("note:   {}\n", secret.display())), "{}", ran.stderr);
        assert!(!text.contains(secret.to_str().expect("a path of ours")), "{text}");
    }
    let again = run(place, &["--uid", "0"], "cat home/src/main; ls -AR home");
    assert_eq!(again.stdout, "1\nhome:\nsrc\n\nhome/src:\nmain", "{}", again.stderr);

    let ssh = place.path("home/.ssh").display().to_string();
    learn(place, &["--uid", "0", "--allow", &ssh], script);
    assert_eq!(paths(place, "ro"), ["home/.ssh", "home/src/main"]);
}

fn a_view_grows_by_what_a_new_command_needs(place: &Place) {
    for file in ["one", "two"] {
        place.file(file, file);
    }
    learn(place, &["--env", "A=1"], "cat one");
    let file = place.path("view.json");
    let words = [
        "learn",
        "--update",
        file.to_str().expect("a path of ours"),
        "--",
        "sh",
        "-c",
        "cat two; echo $A; pwd",
    ];
    // Where the view begins is known.
    let ran = Loopbox::at(place).run(words);
    assert_eq!(ran.stdout, format!("two1\n{}", place.dir().display()), "{}", ran.stderr);
    assert_eq!(paths(place, "ro"), ["one", "two"]);
    assert_eq!(run(place, &[], "cat one two; echo $A").stdout, "onetwo1");
}

fn what_may_be_written_is_what_was_said(place: &Place) {
    let own = place.directory("own");
    std::os::unix::fs::chown(&own, Some(USER), Some(USER)).expect("root can give it away");
    let (own, user) = (own.display().to_string(), USER.to_string());
    let words = ["--rw", &own, "--tmpfs", "/var/tmp", "--uid", &user, "--gid", &user];
    let script =
        "echo made > own/file; echo x > /var/tmp/y; echo z > /tmp/z; [ ! -w /etc ]; ! echo x > elsewhere";
    let ran = learn(place, &words, script);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(fs::read_to_string(place.path("own/file")).expect("it was made"), "made\n");
    assert!(!place.path("elsewhere").exists() && !Path::new("/var/tmp/y").exists());
    assert_eq!((paths(place, "rw"), view(place)["tmpfs"].clone()), (vec!["own".into()], json!(["/var/tmp"])));
    fs::remove_file(place.path("own/file")).expect("it can be removed");
    let again = run(place, &["--uid", &user, "--gid", &user], script);
    assert_eq!(again.status, 0, "{}", again.stderr);
    assert_eq!(fs::read_to_string(place.path("own/file")).expect("it was made again"), "made\n");
}

fn a_command_sees_the_machine_as_its_user_does(place: &Place) {
    let private = place.file("private", "1\n");
    fs::set_permissions(&private, fs::Permissions::from_mode(0o600)).expect("its mode can be set");
    let user = USER.to_string();
    let ran =
        learn(place, &["--uid", &user], "! cat private; ! cat /etc/shadow; [ ! -e /sys/kernel ]; id -u");
    assert_eq!((ran.status, ran.stdout), (0, user), "{}", ran.stderr);
    assert!(!ran.stderr.contains("/sys"), "{}", ran.stderr);
}

fn a_command_that_fails_has_its_own_status_and_a_view(place: &Place) {
    place.file("one", "1\n");
    let ran = learn(place, &[], "cat one; exit 3");
    assert_eq!(ran.status, 3);
    assert!(
        ran.stderr.contains("note: the command failed, and its view has what it used until then"),
        "{}",
        ran.stderr
    );
    assert_eq!(paths(place, "ro"), ["one"]);
}

fn a_view_that_is_none_stops_everything(place: &Place) {
    let view = place.file("view.json", r#"{"version": 7, "view": {}}"#);
    let said = "view.json\" is a view of version 7, and this loopbox reads version 1";
    let ran = run(place, &[], "true");
    assert!(ran.status == 2 && ran.stderr.contains(said), "{}", ran.told());
    let words = ["learn", "--update", view.to_str().expect("a path of ours"), "--", "true"];
    let ran = Loopbox::at(place).run(words);
    assert!(ran.status == 2 && ran.stderr.contains(said), "{}", ran.told());
    assert_eq!(fs::read_to_string(&view).expect("it is there"), r#"{"version": 7, "view": {}}"#);
}
