//! `loopbox run` on a terminal: a person at work in a view, as if there were none.

use std::process::{Command, Stdio};

use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::pty::Pty;
use crate::cases::{Place, cases};

cases![
    a_shell_has_job_control_and_its_terminal_by_name,
    ctrl_c_is_for_what_runs_in_front,
    ctrl_c_ends_a_command_that_does_not_mind_it,
    ctrl_z_stops_loopbox_for_the_shell_that_it_was_started_from,
    ctrl_z_in_a_shell_is_that_shells_own,
    a_new_size_reaches_the_command,
    statuses_and_signals_come_through_a_terminal,
    streams_that_are_no_terminal_stay_what_they_are,
    a_terminal_that_goes_away_ends_everything,
    in_the_background_it_runs_and_waits_for_keys_in_front,
    nothing_of_a_command_is_left_on_the_terminal,
    the_command_speaks_the_callers_language,
];

/// What these commands use.
const SHOWN: [&str; 10] =
    ["--with", "bash", "--with", "sleep", "--with", "stty", "--with", "tty", "--with", "cat"];

fn run(place: &Place, command: &[&str]) -> Command {
    let mut run = Loopbox::at(place).command([&["run"], &SHOWN[..], &["--"], command].concat());
    run.env("TERM", "xterm").env("PS1", "ready> ");
    run
}

/// A shell in the view, which has said that it is ready.
fn shell(place: &Place) -> Pty {
    let words = ["run", "--env", "PS1"].iter().copied().chain(SHOWN);
    let words = words.chain(["--", "bash", "--norc", "--noprofile", "-i"]);
    let mut command = Loopbox::at(place).command(words);
    command.env("TERM", "xterm").env("PS1", "ready> ");
    let mut pty = Pty::start(&command);
    pty.until("ready> ");
    pty
}

/// The shell that a person starts loopbox from, outside. Its answer to `go` is loopbox's own words.
fn outer(place: &Place, command: &[&str]) -> Pty {
    let run = run(place, command);
    let mut line = String::from("go() { ");
    for word in std::iter::once(run.get_program()).chain(run.get_args()) {
        line.push_str(&format!("'{}' ", word.to_string_lossy()));
    }
    // Debian's bash reads a file of the system's before this one, which sets another prompt.
    line.push_str("; }\nPS1='outside> '\n");
    let file = place.file("outer.rc", line);
    let mut shell = Command::new("bash");
    shell.args(["--noprofile", "--rcfile"]).arg(file).arg("-i");
    shell.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut pty = Pty::start(&shell);
    pty.until("outside> ");
    pty
}

/// It says so itself that it is in front: what is typed before that is for the shell.
const SLEEP: &str = "bash -c 'echo sleeping-$((40+2)); exec sleep 1000'\n";

fn a_shell_has_job_control_and_its_terminal_by_name(place: &Place) {
    let mut pty = shell(place);
    pty.press("set -o | grep -c 'monitor.*on' 2> /dev/null; case $- in *m*) echo monitor-$((40+2));; esac\n");
    pty.until("monitor-42");
    pty.press("echo by-$((40+2)) > /dev/tty\n");
    pty.until("by-42");
    pty.press("tty; echo named-$((40+2)) > \"$(tty)\"\n");
    pty.until("/dev/console");
    pty.until("named-42");
    pty.press("sleep 1000 & kill %1; wait; echo waited-$((40+2))\n");
    pty.until("waited-42");
    pty.press("exit 5\n");
    let (status, shown) = pty.end();
    assert_eq!(status.code(), Some(5), "{shown}");
    assert!(!shown.contains("no job control"), "{shown}");
}

fn ctrl_c_is_for_what_runs_in_front(place: &Place) {
    let mut pty = shell(place);
    pty.press(SLEEP);
    pty.until("sleeping-42");
    pty.press("\u{3}");
    pty.until("ready> ");
    pty.press("echo alive-$?\n");
    pty.until("alive-130");
    pty.press("exit\n");
    assert_eq!(pty.end().0.code(), Some(0));
}

fn ctrl_c_ends_a_command_that_does_not_mind_it(place: &Place) {
    let mut pty = Pty::start(&run(place, &["bash", "-c", "echo sleeping; exec sleep 1000"]));
    pty.until("sleeping");
    pty.press("\u{3}");
    let (status, shown) = pty.end();
    assert_eq!(status.code(), Some(130), "{shown}");
}

fn ctrl_z_stops_loopbox_for_the_shell_that_it_was_started_from(place: &Place) {
    let mut pty = outer(place, &["bash", "-c", "echo reading; cat; exit 7"]);
    pty.press("go\n");
    pty.until("reading\r\n");
    pty.press("one\n");
    pty.until("one\r\none\r\n");
    pty.press("\u{1a}");
    pty.until("Stopped");
    pty.until("outside> ");
    // The view is served while loopbox is stopped.
    pty.press("stty -a | grep -o -- '-*icanon'; fg\n");
    pty.until("\ricanon\r\n");
    pty.press("two\n");
    pty.until("two\r\ntwo\r\n");
    pty.press("\u{4}");
    pty.until("outside> ");
    pty.press("echo status-$?; exit\n");
    pty.until("status-7");
    pty.end();
}

fn ctrl_z_in_a_shell_is_that_shells_own(place: &Place) {
    let mut pty = shell(place);
    pty.press(SLEEP);
    pty.until("sleeping-42");
    pty.press("\u{1a}");
    pty.until("Stopped");
    pty.until("ready> ");
    pty.press("kill %1; fg; echo gone-$((40+2)); exit\n");
    pty.until("gone-42");
    pty.end();
}

fn a_new_size_reaches_the_command(place: &Place) {
    let mut pty = shell(place);
    pty.press("stty size\n");
    pty.until("24 80");
    pty.press("trap 'echo size-$(stty size)' WINCH; echo set-$((40+2))\n");
    pty.until("set-42");
    pty.until("ready> ");
    pty.resize(33, 77);
    pty.press("\n");
    pty.until("size-33 77");
    pty.press("exit\n");
    pty.end();
}

fn statuses_and_signals_come_through_a_terminal(place: &Place) {
    for (script, status) in [("exit 0", 0), ("exit 200", 200), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
    {
        let (ended, shown) = Pty::start(&run(place, &["bash", "-c", script])).end();
        assert_eq!(ended.code(), Some(status), "{script}: {shown}");
    }
    let loopbox = Loopbox::at(place);
    let status = |script: &str| loopbox.run(["run", "--with", "sh", "--", "sh", "-c", script]).status;
    assert_eq!([status("kill -TERM $$"), status("kill -ABRT $$")], [143, 134], "without a terminal too");
}

/// Standard input, output and error, as the command has them.
const KINDS: &str = "kinds=; for n in 0 1 2; do if [ -t $n ]; then kinds=${kinds}t; else kinds=${kinds}f; fi; done; echo $kinds >&";

fn streams_that_are_no_terminal_stay_what_they_are(place: &Place) {
    let script = |stream: u8| format!("{KINDS}{stream}");
    let mut pty = outer(place, &["bash", "-c", &script(2)]);
    pty.press("go | cat; echo\n");
    pty.until("tft");
    pty.until("outside> ");
    pty.press("go < /dev/null; echo\n");
    pty.until("ftt");
    pty.until("outside> ");
    pty.press(&format!("go > {0}; echo\n", place.path("to").display()));
    pty.until("tft");
    pty.until("outside> ");
    pty.press("echo piped | go; echo\n");
    pty.until("ftt");
    pty.until("outside> ");
    pty.press("exit\n");
    pty.end();
    let file = place.path("errors");
    let mut pty = outer(place, &["bash", "-c", &script(1)]);
    pty.press(&format!("go 2> {}; echo\n", file.display()));
    pty.until("ttf");
    // What is typed before the prompt is the command's.
    pty.until("outside> ");
    pty.press("exit\n");
    pty.end();
}

fn a_terminal_that_goes_away_ends_everything(place: &Place) {
    let mut pty = Pty::start(&run(place, &["bash", "-c", "echo sleeping; sleep 1000"]));
    pty.until("sleeping");
    let leader = pty.id().to_string();
    drop(pty);
    let began = std::time::Instant::now();
    while !place.names("state").is_empty() || !place.names("temporary").is_empty() {
        assert!(began.elapsed().as_secs() < 60, "what {leader} has made is still there");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

fn in_the_background_it_runs_and_waits_for_keys_in_front(place: &Place) {
    let mut pty = outer(place, &["bash", "-c", "echo working; read line; echo heard-$line"]);
    pty.press("go &\n");
    pty.until("working");
    pty.press("echo here-$((40+2))\n");
    pty.until("here-42");
    pty.press("fg\n");
    pty.until("go");
    pty.press("word\n");
    pty.until("heard-word");
    pty.until("outside> ");
    pty.press("exit\n");
    pty.end();
}

fn nothing_of_a_command_is_left_on_the_terminal(place: &Place) {
    let mut pty = outer(place, &["bash", "-c", "stty raw -echo; echo raw; exit 3"]);
    pty.press("before=$(stty -g); go; [ \"$before\" = \"$(stty -g)\" ] && echo same-$((40+2))\n");
    pty.until("same-42");
    pty.press("exit\n");
    pty.end();
}

fn the_command_speaks_the_callers_language(place: &Place) {
    let mut command = Loopbox::at(place).command(["run", "--with", "env", "--", "env"]);
    command.env("LANG", "de_DE.UTF-8").env("LC_TIME", "C").env("NO_COLOR", "1").env("SECRET", "x");
    command.env("PATH", "/usr/bin:/usr/local/bin:/absent").stdin(Stdio::null());
    let ran = Ran::from(command.output().expect("loopbox can be started"));
    for line in ["LANG=de_DE.UTF-8", "LC_TIME=C", "NO_COLOR=1", "PATH=/usr/bin", "HOME=/tmp"] {
        assert!(ran.stdout.lines().any(|found| found == line), "{line} is missing in {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("SECRET"), "{}", ran.stdout);
}
