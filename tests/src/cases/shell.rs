//! `loopbox shell`: a person at work where a derivation is built.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use super::hide::store::{Builds, of, out};
use super::loopbox::Ran;
use super::{Case, Place, cases};

cases![
    a_command_sees_what_the_build_sees,
    its_exit_status_is_passed_on_and_names_are_looked_up,
    the_directory_of_a_failed_build_can_be_gone_on_in,
    what_is_missing_is_built_first,
    a_session_has_a_terminal_with_job_control,
];

/// All of them.
pub fn cases() -> Vec<Case> {
    CASES.to_vec()
}

/// The whole of it in one text: environment, ids, and every file but those of processes, with mode, owner and size.
const LOOK: &str = "seen=$(env | sort; id; pwd; umask; ulimit -a; \
    find / -path /proc -prune -o -exec stat -c '%A %u %g %h %t:%T %n' {} + | sort); printf '%s\\n' \"$seen\"";

fn a_command_sees_what_the_build_sees(place: &Place) {
    let builds = Builds::new(place);
    let derivation = builds
        .derivation("looking", &[("script", &format!("{{ {LOOK}; }} > /build/x; cat /build/x > $out"))]);
    let (answer, _) = builds.build(&derivation, &[]);
    let built = fs::read_to_string(out(of(&answer, &derivation))).expect("it can be read");
    assert!(built.contains("NIX_BUILD_TOP=/build") && built.contains("/nix/store/"), "{built}");
    // The build's own file is one that the shell's has not.
    let shell = builds.shell(&derivation, &["--run", &format!("> /build/x; {LOOK}")]);
    assert_eq!(shell.status, 0, "{}", shell.stderr);
    assert_eq!(shell.stdout, built.trim_end());
}

fn its_exit_status_is_passed_on_and_names_are_looked_up(place: &Place) {
    let builds = Builds::new(place);
    let derivation = builds.derivation("looking", &[("script", "exit 1")]);
    let ran = |words: &[&str]| builds.shell(&derivation, words);
    let seven = ran(&["--run", "exit 7"]);
    assert_eq!(seven.status, 7, "{}", seven.stderr);
    assert_eq!(ran(&["--", "sh", "-c", "exit $1", "sh", "9"]).status, 9);
    assert_eq!(ran(&["--", "echo", "a  b", "c"]).stdout, "a  b c");
    let missing = ran(&["--", "/no/such/program"]);
    assert_eq!(missing.status, 127, "{}", missing.stderr);
    assert!(missing.stderr.contains("executing \"/no/such/program\": No such file"), "{}", missing.stderr);
    let made = ran(&["--run", "echo made > $out; cat $out; echo $out"]);
    let path = made.stdout.strip_prefix("made\n").expect("it can make an output");
    assert!(!std::path::Path::new(path).exists(), "what a shell makes is no output");
    let builds_left = fs::read_dir("/nix/var/nix/builds").map(Iterator::count).unwrap_or(0);
    assert_eq!(builds_left, 0, "its directories are gone");
}

fn the_directory_of_a_failed_build_can_be_gone_on_in(place: &Place) {
    let builds = Builds::new(place);
    let derivation = builds.derivation("looking", &[("script", "echo left > left; mkdir d; exit 3")]);
    let failed = builds.run(&derivation, &["--json", "--keep-failed"]);
    assert_eq!(failed.status, 100, "{}", failed.stderr);
    let answer: serde_json::Value = serde_json::from_str(&failed.stdout).expect("the answer is JSON");
    let kept = of(&answer, &derivation)["kept"].as_str().expect("it is kept").to_owned();
    let words = ["--keep-dir", &kept, "--run", "pwd; cat left; echo more > d/more; stat -c %u left d/more"];
    let shell = builds.shell(&derivation, &words);
    assert_eq!(shell.stdout, "/build\nleft\n1000\n1000", "{}", shell.stderr);
    let more = fs::metadata(format!("{kept}/d/more")).expect("it stays");
    assert_eq!(more.uid(), fs::metadata(format!("{kept}/left")).expect("it stays").uid());
    let other = place.directory("other").display().to_string();
    let refused = builds.shell(&derivation, &["--keep-dir", &other, "--run", "true"]);
    assert_eq!(refused.status, 125, "{}", refused.stderr);
    assert!(refused.stderr.contains("uid 0 is none of the build users"), "{}", refused.stderr);
    fs::remove_dir_all(kept.trim_end_matches("/build")).expect("root can remove it");
}

fn what_is_missing_is_built_first(place: &Place) {
    let builds = Builds::new(place);
    let derivation = builds.derivation("configured", &[]);
    let shell = builds.shell(&derivation, &["--run", "ls -d /nix/store/*-wish; ls -d $out"]);
    assert!(shell.stdout.ends_with("-wish"), "{}{}", shell.stdout, shell.stderr);
    assert!(shell.stderr.contains("No such file or directory"), "it is not built itself: {}", shell.stderr);
}

fn a_session_has_a_terminal_with_job_control(place: &Place) {
    let builds = Builds::new(place);
    let derivation = builds.derivation("looking", &[("script", "exit 1")]);
    let inner = builds.shell_command(&derivation, &[]);
    let mut line = String::from("stty rows 33 cols 77; exec");
    for word in std::iter::once(inner.get_program()).chain(inner.get_args()) {
        line.push_str(&format!(" '{}'", word.to_string_lossy()));
    }
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    script.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = script
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("script(1) can be started");
    let typed = "set -o | grep monitor\nsleep 1000 &\nkill -9 %1; wait; echo mark-$((40+2))\nstty size\ntty\ntest -t 0 && exit 5\n";
    child.stdin.take().expect("it reads").write_all(typed.as_bytes()).expect("it can be told");
    let ran = Ran::from(child.wait_with_output().expect("it ends"));
    assert_eq!(ran.status, 5, "{}{}", ran.stdout, ran.stderr);
    for shown in ["monitor", "mark-42", "33 77", "/dev/console"] {
        assert!(ran.stdout.contains(shown), "{shown} is not in:\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains("job control turned off"), "{}", ran.stdout);
}
