//! What a build writes, and how it names things, as a terminal and others get to see it.

use super::store::Builds;
use crate::cases::pty::Pty;
use crate::cases::{Place, cases};

cases![
    a_terminal_gets_the_text_and_colours_of_a_log_and_nothing_else,
    a_terminal_that_nothing_is_known_about_gets_the_text_alone,
    who_is_no_terminal_gets_the_text_alone,
    a_terminal_shows_how_much_of_several_builds_is_done,
    names_that_a_build_asked_for_are_shown_with_escapes,
];

/// Title, clipboard, clear, alternate screen, device status; in seven bits and in eight; then what may pass.
const HOSTILE: &str = r"
    printf '\033]0;OWNED\007title \033]52;c;T1dORUQ=\033\\clipboard \033[2J\033[Hclear \033[?1049hscreen '
    printf '\033[6nstatus \033P$q\033\\string \302\2332Jeight \302\235;OWNED\302\234bits \010\016end\n'
    printf 'bar 10 percent\rbar 99 percent\n'
    printf '@nix {\042action\042:\042msg\042,\042level\042:0,\042msg\042:\042told \\u001b]0;OWNED\\u0007message\042}\n'
    printf '@nix {\042action\042:\042setPhase\042,\042phase\042:\042\\u001b]0;OWNED\\u0007phase\042}\n'
    printf '\033[32mgreen\033[0m \033[>4;2mkeys\n'";

/// The same as text.
const TEXT: [&str; 4] = [
    "title clipboard clear screen status string eight bits end",
    "bar 99 percent",
    "told message",
    "green keys",
];

/// Whatever could only come of the build.
const FORBIDDEN: [&str; 8] = ["OWNED", "\u{1b}]", "[2J", "?1049", "[6n", "\u{1b}P", "\u{7}", "10 percent"];

fn script(rest: &str) -> String {
    format!("{HOSTILE}\n{rest}")
}

fn check(shown: &str) {
    for text in TEXT {
        let found = shown.contains(text) || shown.contains(&text.replace("green", "green\u{1b}[0m"));
        assert!(found, "{text:?} is not in {shown:?}");
    }
    for forbidden in FORBIDDEN {
        assert!(!shown.contains(forbidden), "{forbidden:?} is in {shown:?}");
    }
    assert!(!shown.chars().any(|char| ('\u{80}'..'\u{a0}').contains(&char)), "{shown:?}");
}

/// `loopbox build` on a terminal of this name.
fn on_terminal(builds: &Builds, derivation: &str, name: Option<&str>) -> (i32, String) {
    let mut command = builds.build_command(derivation, &[]);
    match name {
        Some(name) => command.env("TERM", name),
        None => command.env_remove("TERM"),
    };
    let (status, shown) = Pty::start(&command).end();
    (status.code().unwrap_or(-1), shown)
}

fn a_terminal_gets_the_text_and_colours_of_a_log_and_nothing_else(place: &Place) {
    let builds = Builds::new(place);
    let good = builds.derivation("looking", &[("script", &script("echo xterm > $out"))]);
    let (status, shown) = on_terminal(&builds, &good, Some("xterm"));
    assert_eq!(status, 0, "{shown}");
    check(&shown);
    assert!(shown.contains("\u{1b}[32mgreen\u{1b}[0m keys\u{1b}[0m"), "{shown:?}");
    let bad = builds.derivation("looking", &[("script", &script("exit 3"))]);
    let (status, shown) = on_terminal(&builds, &bad, Some("xterm"));
    assert_eq!(status, 100, "{shown}");
    check(&shown);
    assert!(shown.contains("> \u{1b}[32mgreen"), "the last lines of the log too: {shown:?}");
}

fn a_terminal_that_nothing_is_known_about_gets_the_text_alone(place: &Place) {
    let builds = Builds::new(place);
    for name in [None, Some("dumb")] {
        let written = script(&format!("echo {} > $out", name.unwrap_or("none")));
        let derivation = builds.derivation("looking", &[("script", &written)]);
        let (status, shown) = on_terminal(&builds, &derivation, name);
        assert_eq!(status, 0, "{shown}");
        check(&shown);
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
}

fn who_is_no_terminal_gets_the_text_alone(place: &Place) {
    let builds = Builds::new(place);
    let derivation = builds.derivation("looking", &[("script", &script("exit 4"))]);
    let ran = builds.run(&derivation, &[]);
    assert_eq!(ran.status, 100, "{}", ran.stderr);
    check(&ran.stderr);
    assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
    let log = builds.log(&derivation);
    assert!(log.contains("\u{1b}]0;OWNED\u{7}title"), "the log itself is as it was written: {log:?}");
}

fn a_terminal_shows_how_much_of_several_builds_is_done(place: &Place) {
    let builds = Builds::new(place);
    let [first, second] = ["first", "second"]
        .map(|name| builds.derivation("looking", &[("script", &format!("sleep 1; echo {name} > $out"))]));
    let mut command = builds.build_command(&first, &["-j", "1"]);
    command.arg(&second).env("TERM", "xterm");
    let (status, shown) = Pty::start(&command).end();
    assert_eq!(status.code(), Some(0), "{shown}");
    for step in ["  0% ", " 0 of 2 ", " 50% ", " 1 of 2 "] {
        assert!(shown.contains(step), "{step:?} is not in {shown:?}");
    }
    // One alone needs no line for all.
    let third = builds.derivation("looking", &[("script", "echo third > $out")]);
    let (_, shown) = on_terminal(&builds, &third, Some("xterm"));
    assert!(!shown.contains(" of 1"), "{shown:?}");
}

fn names_that_a_build_asked_for_are_shown_with_escapes(place: &Place) {
    let builds = Builds::new(place);
    let name = "hid\u{1b}]0;OWNED\u{7}\u{9b}2J\u{202e}den";
    // Below a directory of the machine that is not shown, only that would be asked for.
    let hidden = format!("/{name}\nHint: run this");
    std::fs::write(&hidden, "x").expect("root can write");
    let written = format!("if cat '{hidden}'; then exit 1; fi 2> /dev/null; echo asked > $out");
    let derivation = builds.derivation("looking", &[("script", &written)]);
    let ran = builds.run(&derivation, &[]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let line = r"hid\u{1b}]0;OWNED\u{7}\u{9b}2J\u{202e}den\nHint: run this";
    assert!(ran.stderr.lines().any(|found| found.ends_with(line)), "{:?}", ran.stderr);
    let again = builds.run(&derivation, &["--check", "--json"]);
    assert!(!again.stdout.chars().any(|char| char.is_control() && char != '\n'), "{:?}", again.stdout);
    assert!(again.stdout.contains(r"\u009b2J\u202eden\nHint"), "{:?}", again.stdout);
}
