//! What a command has of whoever calls loopbox, and what does not matter.

use std::process::{Command, Stdio};

use crate::cases::loopbox::{Loopbox, Ran, ran};
use crate::cases::{Place, cases};

cases![
    children_are_waited_for_even_if_the_caller_ignores_them,
    the_umask_is_the_callers,
    the_temporary_directory_may_be_relative_or_empty,
];

/// `loopbox run` with these words, started by a shell after a command of its own.
fn after(place: &Place, command: &str, words: &[&str]) -> Ran {
    let own = Loopbox::at(place).command([&["run", "--preset", "base"], words].concat());
    let mut shell = Command::new("sh");
    shell
        .args(["-e", "-c", &format!("{command}\nexec \"$0\" \"$@\"")])
        .arg(own.get_program())
        .args(own.get_args());
    shell.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    ran(shell.current_dir(place.dir()).stdin(Stdio::null()))
}

fn children_are_waited_for_even_if_the_caller_ignores_them(place: &Place) {
    let status = "grep SigIgn /proc/self/status; sh -c 'exit 3' || exit $?";
    let seen = after(place, "trap '' CHLD", &["--", "sh", "-c", status]);
    assert_eq!((seen.stdout.as_str(), seen.told()), ("SigIgn:\t0000000000000000", "exit status 3".into()));
}

fn the_umask_is_the_callers(place: &Place) {
    let directory = place.path("shown").display().to_string();
    for umask in ["027", "000"] {
        let command = format!("umask {umask}; mkdir -p shown");
        let script =
            format!("umask; cd {directory}; echo > file-{umask}; echo > /tmp/file; stat -c %a /tmp/file");
        let seen = after(place, &command, &["--rw", &directory, "--", "sh", "-e", "-c", &script]);
        let mode = if umask == "027" { "640" } else { "666" };
        assert_eq!(seen.stdout, format!("0{umask}\n{mode}"), "{seen:?}");
        assert_eq!(place.shell(&format!("stat -c %a shown/file-{umask}")), mode);
    }
}

fn the_temporary_directory_may_be_relative_or_empty(place: &Place) {
    for value in ["temporary", ""] {
        let seen =
            after(place, &format!("export TMPDIR={value}"), &["--", "sh", "-c", "echo > /tmp/x; ls /tmp"]);
        assert_eq!((seen.stdout.as_str(), seen.told()), ("x", "exit status 0".into()), "{value:?}");
        assert!(place.names("temporary").is_empty());
    }
}
