//! What somebody sees who reads a log, a message, or a page: nothing that controls his terminal or his browser.

use std::fs;

use super::{Outcome, USER, World, attacks};
use crate::cases::clean::store::Store;
use crate::cases::pty::Pty;

/// Sets a terminal's title (OSC 0 of xterm), as printf(1) has it and as it is.
const WRITTEN: &str = r"\033]0;OWNED\007";
const TITLE: &str = "\u{1b}]0;OWNED\u{7}";
/// What would be an element of a page.
const ELEMENT: &str = "<img src=x onerror=alert(1)>";
/// Looks for a file, and does not say itself that it is not there.
const LOOK: &str = "/bin/busybox cat \"$0\" 2> /dev/null";

attacks! {
    log, "control characters in a log", [LogText], |world| {
        let mut store = Store::make(&world.place);
        let mut command = store.plain_script(&world.place, &format!("printf '{WRITTEN}hello\\n'; exit 1"), "");
        world.without(&mut command);
        let (_, shown) = Pty::start(command.env("TERM", "xterm")).end();
        Outcome::when(shown.contains(TITLE), format!("{shown:?}"))
    };
    name, "control characters in the name of a file", [NameText], |world| {
        // Somewhere that a view has nothing of.
        let file = world.place.file(format!("file{TITLE}"), "");
        let ran = report(world, &file.to_string_lossy(), &[]);
        assert!(ran.stderr.contains("OWNED"), "it is shown at all: {}", ran.told());
        Outcome::when(ran.stderr.contains(TITLE), format!("{:?}", ran.stderr))
    };
    markup, "markup in the name of a file", [Markup], |world| {
        let file = world.place.file(format!("file{ELEMENT}"), "");
        let (json, page) = (world.place.path("report.json"), world.place.path("page.html"));
        let ran = report(world, &file.to_string_lossy(), &[&format!("--report={}", json.display())]);
        let paged = world.loopbox.run(["report", "--html", &page.to_string_lossy(), &json.to_string_lossy()]);
        assert_eq!(paged.status, 0, "{}{}", ran.told(), paged.told());
        let page = fs::read_to_string(page).expect("there is a page");
        assert!(page.contains("onerror"), "it is shown at all");
        Outcome::when(page.contains(ELEMENT), ran.told())
    };
}

/// A command that looks for a file of the machine, and what it is told of that.
fn report(world: &World, path: &str, words: &[&str]) -> crate::cases::loopbox::Ran {
    let user = USER.to_string();
    let plain = ["--report", "--deep"];
    let words = if words.is_empty() { &plain[..] } else { words };
    let run = ["run", "--uid", &user, "--with", "/bin/busybox"];
    world.loopbox.run(run.iter().chain(words).chain(&["--", "/bin/busybox", "sh", "-c", LOOK, path]))
}
