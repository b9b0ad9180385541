//! What the presets of `loopbox run` show, and the options that go with them.

use std::os::unix::fs::symlink;

use crate::cases::loopbox::Loopbox;
use crate::cases::{Place, cases};

cases![
    base_has_the_systems_programs_and_nobodys_secrets,
    dev_writes_where_it_is_called_and_nowhere_else,
    nix_has_the_store_and_no_system,
    a_program_can_be_shown_beside_a_preset,
    what_may_be_missing_is_shown_if_it_is_there,
    a_clear_environment_has_what_is_named_alone,
];

/// `loopbox run` of a shell script, with these words before it.
fn shell(place: &Place, words: &[&str], script: &str) -> String {
    Loopbox::at(place).good([&["run"], words, &["--", "sh", "-e", "-c", script]].concat())
}

fn base_has_the_systems_programs_and_nobodys_secrets(place: &Place) {
    let script = "ls / | tr '\\n' ' '; test ! -e /etc/shadow; test ! -e /root; test ! -e /home; gcc --version > /dev/null
        if touch /usr/new 2> /dev/null; then exit 9; fi; readlink /bin; cat /etc/passwd | wc -l";
    let seen = shell(place, &["--preset", "base", "--uid", "0"], script);
    let (root, rest) = seen.split_once('\n').expect("two lines");
    assert!(root.starts_with("bin dev etc lib ") && root.contains(" usr "), "{root}");
    assert_eq!(rest, "2", "the accounts are the view's own");
    assert!(root.ends_with("usr/bin"), "a link stays a link: {root}");
}

fn dev_writes_where_it_is_called_and_nowhere_else(place: &Place) {
    let work = place.directory("work");
    place.directory("beside");
    let home = place.directory("home");
    for name in [".rustup", ".ssh", ".cargo/bin"] {
        place.directory(format!("home/{name}"));
    }
    let script = format!(
        "pwd; echo made > made; test ! -e {0}/beside; echo $RUSTUP_HOME; ls -A {1} | tr '\\n' ' '
         if touch {1}/.cargo/bin/new 2> /dev/null; then exit 9; fi",
        place.dir().display(),
        home.display()
    );
    let mut command = Loopbox::at(place).command(["run", "--preset", "dev", "--", "sh", "-e", "-c", &script]);
    let output = command.current_dir(&work).env("HOME", &home).output().expect("loopbox can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen = String::from_utf8_lossy(&output.stdout).into_owned();
    let expected = format!("{}\n{}/.rustup\n.cargo .rustup ", work.display(), home.display());
    assert_eq!(seen, expected);
    assert_eq!(place.names("work"), ["made"]);
}

fn nix_has_the_store_and_no_system(place: &Place) {
    let script = "echo /nix/*; test ! -e /usr/bin/gcc; test ! -e /usr/share";
    let words = ["--preset", "nix", "--with", "sh"];
    let shown = shell(place, &words, script);
    let store = std::path::Path::new("/nix/store").exists();
    assert_eq!(shown.contains("/nix/store"), store, "{shown}");
}

fn a_program_can_be_shown_beside_a_preset(place: &Place) {
    let bin = place.directory("bin");
    std::fs::copy("/bin/true", bin.join("own")).expect("it can be copied");
    let own = bin.join("own").display().to_string();
    assert_eq!(shell(place, &["--preset", "base", "--with", &own], "own && echo ran"), "ran");
}

fn what_may_be_missing_is_shown_if_it_is_there(place: &Place) {
    let there = place.file("there", "contents\n").display().to_string();
    let missing = place.path("missing").display().to_string();
    symlink("there", place.path("link")).expect("a link can be made");
    let (there_at, missing_at) = (format!("{there}:/it/there"), format!("{missing}:/it/missing"));
    let words =
        ["--with", "sh", "--with", "ls", "--with", "cat", "--ro-try", &there_at, "--ro-try", &missing_at];
    let words = [&words[..], &["--symlink", "it/there:/link"]].concat();
    assert_eq!(shell(place, &words, "ls /it; cat /link"), "there\ncontents");
}

fn a_clear_environment_has_what_is_named_alone(place: &Place) {
    let words = ["run", "--with", "env", "--clearenv", "--setenv", "A=1", "--", "env"];
    assert_eq!(Loopbox::at(place).good(words), "A=1");
}
