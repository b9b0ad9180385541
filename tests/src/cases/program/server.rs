//! The process that serves a view: who it is, what it can do, and what its lack of power must not change.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Child, Command, Stdio};

use crate::cases::clean::traces;
use crate::cases::loopbox::Loopbox;
use crate::cases::place::USER;
use crate::cases::{Place, cases};

cases![
    it_is_the_user_and_nothing_more,
    it_keeps_roots_power_over_files_where_root_is_inside,
    what_the_user_may_not_read_is_not_served,
    open_files_outlive_their_modes,
    files_in_directories_that_were_closed_stay_open,
    groups_of_the_host_count,
    limits_are_for_each_program_and_not_for_it,
];

/// A command that waits in a view, and the process that serves it.
struct Waiting {
    child: Child,
    server: u32,
}

impl Waiting {
    fn start(place: &Place, words: &[&str]) -> Waiting {
        let words = [&["run", "--with", "sh"], words, &["--", "sh", "-c", "echo ready; read line"]].concat();
        Waiting::begin(&mut Loopbox::at(place).command(words))
    }

    /// One that says "ready" when it waits for a line.
    fn begin(command: &mut Command) -> Waiting {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("loopbox can be started");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("it is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("it can be read");
        assert_eq!(line, "ready\n");
        let server = traces::jailer(child.id(), traces::SERVER).expect("somebody serves the view");
        Waiting { child, server }
    }

    /// A line of /proc/PID/status (proc_pid_status(5)).
    fn status(&self, name: &str) -> String {
        let text = fs::read_to_string(format!("/proc/{}/status", self.server)).expect("it runs");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn capabilities(&self) -> BTreeSet<String> {
        ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|set| self.status(set)).into()
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        let status = self.child.wait().expect("it can be waited for");
        assert_eq!(status.code(), Some(1), "read meets the end of the stream");
    }
}

fn namespace(pid: u32) -> std::path::PathBuf {
    fs::read_link(format!("/proc/{pid}/ns/net")).expect("root may look")
}

fn it_is_the_user_and_nothing_more(place: &Place) {
    let user = USER.to_string();
    let waiting = Waiting::start(place, &["--uid", &user]);
    assert_eq!(waiting.status("Uid"), [user.as_str(); 4].join(" "));
    assert!(!waiting.status("Gid").split(' ').any(|gid| gid == "0"), "no group of root's");
    assert_eq!(waiting.capabilities(), BTreeSet::from(["0".repeat(16)]));
    assert_eq!([waiting.status("NoNewPrivs"), waiting.status("Seccomp")], ["1", "2"]);
    let loopbox = waiting.child.id();
    assert_ne!(namespace(waiting.server), namespace(loopbox), "it has a network of its own");
    waiting.end();
}

fn it_keeps_roots_power_over_files_where_root_is_inside(place: &Place) {
    let waiting = Waiting::start(place, &["--uid", "0"]);
    // CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER: bits 0, 1 and 3 (linux/capability.h).
    let kept = format!("{:016x}", 0b1011);
    assert_eq!(waiting.capabilities(), BTreeSet::from(["0".repeat(16), kept.clone()]));
    assert_eq!([waiting.status("CapEff"), waiting.status("CapBnd")], [kept.clone(), kept]);
    assert_eq!([waiting.status("NoNewPrivs"), waiting.status("Seccomp")], ["1", "2"]);
    waiting.end();
}

/// `loopbox run` of a shell script as the user, with a directory of his shown writable.
fn shell(place: &Place, words: &[&str], script: &str) -> String {
    let directory = place.directory("work");
    chown(&directory, Some(USER), Some(USER)).expect("root can give it away");
    let (work, user) = (format!("{}:/work", directory.display()), USER.to_string());
    let words = [&["run", "--with", "sh", "--rw", &work, "--uid", &user], words].concat();
    let words = [&words[..], &["--", "sh", "-e", "-c", script]].concat();
    Loopbox::at(place).good(words)
}

/// Neither the modes that the client sees nor the server let it through.
fn what_the_user_may_not_read_is_not_served(place: &Place) {
    place.directory("shown");
    for (name, mode) in [("open", 0o644), ("of-root", 0o600)] {
        let file = place.file(format!("shown/{name}"), name);
        fs::set_permissions(file, Permissions::from_mode(mode)).expect("it is root's");
    }
    let shown = format!("{}:/shown", place.path("shown").display());
    let script = "read line < /shown/open || echo $line; if read line < /shown/of-root; then exit 9; fi";
    assert_eq!(shell(place, &["--ro", &shown], script), "open");
}

/// More files than a server keeps open, so that it has to open others anew.
const MANY: &str = "i=0; while [ $i -lt 600 ]; do : > many-$i; i=$((i+1)); done";

/// What is open can be read and written whatever its mode is by then, as on a local file system.
fn open_files_outlive_their_modes(place: &Place) {
    for directory in ["/tmp", "/work"] {
        let script = format!(
            "cd {directory}; umask 0
            echo first > closed; chmod 600 closed; exec 3>>closed; chmod 0 closed
            echo read > secret; exec 4<secret; chmod 0 secret
            {MANY}
            echo late >&3; read line <&4; echo $line
            if echo no > closed; then exit 9; fi 2>/dev/null
            chmod 600 closed; while read line; do echo $line; done < closed
            stat -c %a closed"
        );
        let told = shell(place, &["--with", "chmod", "--with", "stat"], &script);
        assert_eq!(told, "read\nfirst\nlate\n600", "{directory}");
    }
}

fn files_in_directories_that_were_closed_stay_open(place: &Place) {
    let script = format!(
        "cd /work; mkdir inner; echo first > inner/file; exec 3<inner/file 4>>inner/file; chmod 0 inner
        {MANY}
        read line <&3; echo $line; echo second >&4; exec 4>&-
        chmod 700 inner; while read line; do echo $line; done < inner/file"
    );
    let told = shell(place, &["--with", "chmod", "--with", "mkdir"], &script);
    assert_eq!(told, "first\nfirst\nsecond");
}

/// A directory that a group may write to.
fn groups_of_the_host_count(place: &Place) {
    const GROUP: u32 = 30_777;
    let directory = place.directory("group");
    chown(&directory, Some(0), Some(GROUP)).expect("root can give it away");
    fs::set_permissions(&directory, Permissions::from_mode(0o770)).expect("it is root's");
    let shown = format!("{}:/group", directory.display());
    let words = ["--rw", &shown, "--gid", &GROUP.to_string()];
    assert_eq!(shell(place, &words, "echo new > /group/new; read line < /group/new; echo $line"), "new");
    let script = "if echo new > /group/other; then exit 9; fi 2>/dev/null; echo refused";
    assert_eq!(shell(place, &["--rw", &shown], script), "refused");
}

/// Limits that a caller has set, and a program that raises one and does what it allows no more.
const LIMITED: &str = "ulimit -S -f 1000; ulimit -S -t 60; ulimit -S -v 1000000; exec \"$0\" \"$@\"";
const RAISES: &str =
    "ulimit -S -f unlimited; dd if=/dev/zero of=/it/file bs=1M count=3 2> /dev/null; echo ready; read line";

fn limits_are_for_each_program_and_not_for_it(place: &Place) {
    let shown = format!("{}:/it", place.directory("written").display());
    let words =
        ["run", "--preset", "base", "--scratch", "nfs", "--rw", &shown, "--", "sh", "-e", "-c", RAISES];
    let loopbox = Loopbox::at(place).command(words);
    let mut limited = Command::new("sh");
    limited.args(["-c", LIMITED]).arg(loopbox.get_program()).args(loopbox.get_args());
    limited.envs(loopbox.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let waiting = Waiting::begin(&mut limited);
    assert_eq!(fs::metadata(place.path("written/file")).expect("it was written").len(), 3 << 20);
    let limits = fs::read_to_string(format!("/proc/{}/limits", waiting.server)).expect("it runs");
    for name in ["Max cpu time", "Max file size", "Max address space"] {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect("it has this line");
        assert_eq!(line.split_whitespace().next(), Some("unlimited"), "{limits}");
    }
    waiting.end();
}
