//! The examples at the end of each command's `--help`, run as they stand there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::store::{Store, ran};
use crate::cases::loopbox::Loopbox;
use crate::cases::{Place, cases};

cases![every_example_does_what_it_says];

/// How long what goes on until it is ended may take to begin.
const BEGIN: Duration = Duration::from_secs(30);

const USUAL: &str = "substituters =\nbuild-users-group = nixbld\n";

/// A store, and a directory that has what the examples name.
struct Examples<'a> {
    place: &'a Place,
    store: Store,
    work: PathBuf,
}

impl<'a> Examples<'a> {
    fn prepare(place: &'a Place, store: Store) -> Examples<'a> {
        let work = place.directory("work");
        let derivation = store.derivation("plain", "example");
        place.file("work/default.nix", format!("{{ hello = import {derivation}; }}\n"));
        place.file("work/hello.c", "int main(void) { return 0; }\n");
        place.directory("work/src");
        place.directory("work/view");
        place.file("work/src/file", "contents\n");
        let examples = Examples { place, store, work };
        let plan = examples.shell("loopbox run --dry-run --preset base -- true").output().expect("it starts");
        let mut plan: serde_json::Value = serde_json::from_slice(&plan.stdout).expect("a plan");
        // What a run makes for itself is not there.
        let entries = plan["view"]["entries"].as_array_mut().expect("a view has entries");
        entries.retain(|entry| entry.get("scratch").is_none());
        place.file("work/spec.json", plan["view"].to_string());
        examples
    }

    /// A line of a person's shell.
    fn shell(&self, line: &str) -> Command {
        let directory = Loopbox::program().parent().expect("it is in a directory").to_owned();
        let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap_or_default());
        let mut command = self.store.command("sh", ["-e", "-c", line]);
        command.current_dir(&self.work).env("PATH", path).env("PWD", &self.work);
        command
    }

    /// The lines that a command's help has.
    fn of(&self, command: &str) -> Vec<String> {
        let help = ran(&mut self.shell(&format!("loopbox {command} --help")));
        let (_, examples) = help.stdout.split_once("\nExamples:\n").expect("each command has examples");
        let lines = examples.lines().filter_map(|line| line.strip_prefix("  "));
        lines.filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    fn succeeds(&self, line: &str) -> String {
        let ran = ran(&mut self.shell(line));
        assert_eq!(ran.status, 0, "{line}: {}\n{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    fn has(&self, name: &str) -> bool {
        self.work.join(name).exists()
    }
}

/// The commands, in the order in which help lists them.
fn commands(help: &str) -> Vec<&str> {
    let lines = help.lines().take_while(|line| *line != "Options:");
    lines.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next()).collect()
}

/// Waits until something that a process makes is there.
fn begun(process: &mut Child, what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert_eq!(process.try_wait().expect("it can be waited for"), None, "it goes on");
        assert!(began.elapsed() < BEGIN, "it begins");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_mounted(at: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("there is a table of mounts");
    mounts.lines().any(|line| line.split(' ').nth(1).map(Path::new) == Some(at))
}

fn every_example_does_what_it_says(place: &Place) {
    let examples = Examples::prepare(place, Store::of_old_nix(place, USUAL));
    let help = examples.succeeds("loopbox --help");
    let commands = commands(&help);
    assert!(commands.len() >= 18, "{help}");
    let mut mounted = None;
    for command in commands {
        for line in examples.of(command) {
            match command {
                "external-builder" => examples.builds_what_nix_describes(&line),
                "build-hook" => examples.is_a_hook(&line),
                "daemon" => examples.listens(&line),
                "mount" => mounted = Some(examples.mounts(&line)),
                _ => {
                    let said = examples.succeeds(&line);
                    examples.has_done(&line, &said);
                }
            }
        }
    }
    let mut mounted = mounted.expect("mount has an example");
    assert_eq!(mounted.wait().expect("it ends").code(), Some(0));
    assert!(!is_mounted(&examples.work.join("view")));
    super::build_hook::assert_nothing_left(place);
}

impl Examples<'_> {
    /// What can be seen of an example besides that it has succeeded.
    fn has_done(&self, line: &str, said: &str) {
        let done = match line {
            "loopbox run --preset base -- ls /" => {
                let shown: Vec<&str> = said.lines().collect();
                shown.contains(&"usr") && shown.contains(&"tmp") && !shown.contains(&"root")
            }
            line if line.ends_with("hello hello.c") => self.has("hello"),
            line if line.contains("--output view.json") => self.has("view.json"),
            line if line.starts_with("loopbox build ") => self.has("result"),
            line if line.contains("--run env") => said.contains("NIX_BUILD_TOP="),
            line if line.contains("--html report.html") => self.has("report.html"),
            line if line.contains("loopbox.bash") => self.has("loopbox.bash"),
            "loopbox man ." => self.has("loopbox.1") && self.has("loopbox-run.1"),
            _ => true,
        };
        assert!(done, "{line}: {said}");
    }

    /// Nix writes such a file for each build.
    fn builds_what_nix_describes(&self, line: &str) {
        let derivation = self.store.derivation("plain", "described");
        let output = self.store.ask("nix-store", ["--query", "--outputs", &derivation]);
        let busybox = self.store.ask("nix-store", ["--query", "--references", &derivation]);
        let (top, inside) = (self.place.directory("described/build"), "/build");
        let description = serde_json::json!({
            "version": 1,
            "builder": format!("{busybox}/bin/sh"),
            "args": ["-c", "echo described > $out"],
            "env": { "out": output },
            "inputPaths": [busybox],
            "outputs": { "out": output },
            "storeDir": "/nix/store",
            "realStoreDir": "/nix/store",
            "system": "x86_64-linux",
            "topTmpDir": self.place.path("described"),
            "tmpDir": top,
            "tmpDirInSandbox": inside,
        });
        self.place.file("work/build.json", description.to_string());
        self.succeeds(line);
        assert_eq!(fs::read_to_string(&output).expect("it was built"), "described\n");
        fs::remove_file(output).expect("Nix would register it");
    }

    fn is_a_hook(&self, line: &str) {
        let hook = self.place.file("hook", format!("#!/bin/sh\n{line}\n"));
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("it can be made executable");
        let settings = format!("{USUAL}build-hook = {}\n", hook.display());
        self.store.configure(self.place, &settings);
        let derivation = self.store.derivation("plain", "hook");
        let built = ran(&mut self.shell(&format!("nix-store --realise {derivation}")));
        assert_eq!(built.status, 0, "{}", built.stderr);
        assert!(built.stderr.contains("on 'loopbox'"), "{}", built.stderr);
        self.store.configure(self.place, USUAL);
    }

    fn listens(&self, line: &str) {
        let mut daemon = self.shell(&format!("exec {line}")).spawn().expect("it starts");
        begun(&mut daemon, || Path::new("/run/loopbox.socket").exists());
        let process = Pid::from_raw(daemon.id().try_into().expect("a process's number"));
        kill(process, Signal::SIGTERM).expect("it can be signalled");
        assert_eq!(daemon.wait().expect("it ends").code(), Some(0));
    }

    fn mounts(&self, line: &str) -> Child {
        let mut mounted = self.shell(&format!("exec {line}")).spawn().expect("it starts");
        begun(&mut mounted, || is_mounted(&self.work.join("view")));
        assert!(self.has("view/usr"));
        mounted
    }
}
