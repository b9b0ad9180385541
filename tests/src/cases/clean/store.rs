//! A Nix store of the machine's own, at /nix and in memory, and how to see that nothing has changed in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use walkdir::WalkDir;

use crate::cases::Place;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::command::{command, quiet, text};
use crate::lab::{Lab, store};

use super::traces;

/// The commands that the graph uses.
const COMMANDS: [&str; 14] =
    ["chmod", "cp", "dd", "echo", "grep", "ln", "mkdir", "mv", "rm", "seq", "sh", "sleep", "usleep", "cat"];
const STORE: &str = "/nix/store";
/// What the program of the cases needs to start in a build.
const LIBRARIES: &str = "/lib64=/usr/lib64 /lib/x86_64-linux-gnu=/usr/lib/x86_64-linux-gnu";
/// Nix's own directory of files that are the same; it makes it at times.
const LINKS: &str = ".links";

/// The store, with one derivation that nothing is built of.
pub struct Store {
    configuration: PathBuf,
    /// The derivation's file.
    pub derivation: String,
    /// The users that builds run as.
    pub users: Vec<u32>,
    before: Listing,
}

/// Every file in the store, and what would show that it was touched.
type Listing = BTreeMap<PathBuf, (u32, i64, u64, u32, u64)>;

impl Store {
    /// Makes it.
    pub fn make(place: &Place) -> Store {
        mount(Some("store"), "/nix", Some("tmpfs"), MsFlags::empty(), Some("mode=755"))
            .expect("a tmpfs at /nix");
        Store::make_in_volume(place)
    }

    /// Makes it in the empty file system at /nix.
    pub fn make_in_volume(place: &Place) -> Store {
        let lab = Lab::open().expect("the checkout is there");
        let configuration = store::configuration(&lab).expect("the configuration can be written");
        let users = traces::build_users();
        let mut store = Store { configuration, derivation: String::new(), users, before: Listing::new() };
        let bin = place.directory("busybox/bin");
        fs::copy("/bin/busybox", bin.join("busybox")).expect("the machine has busybox");
        for name in COMMANDS {
            symlink("busybox", bin.join(name)).expect("a link can be made");
        }
        let busybox = store.ask("nix-store", ["--add", &place.path("busybox").to_string_lossy()]);
        let graph = place.file("graph.nix", include_str!("graph.nix"));
        let words = ["--quiet", &graph.to_string_lossy(), "--argstr", "busybox", &busybox];
        store.derivation = store.ask("nix-instantiate", words);
        store.before = listing();
        store
    }

    /// A loopbox that builds the graph.
    pub fn build(&self, loopbox: &Loopbox) -> Command {
        let mut build = loopbox.command(["build", "--no-out-link", "-j", "3", &self.derivation]);
        self.configure(&mut build);
        build
    }

    /// Builds by a script of busybox's shell, which has the program of the cases at `/program`; how that ended. `attributes`
    /// are further ones of the derivation, which [`Store::derivation`] is from then on.
    pub fn build_script(&mut self, place: &Place, script: &str, attributes: &str, words: &[&str]) -> Ran {
        let mut command = self.script(place, script, attributes);
        command.args(words).output().expect("loopbox can be started").into()
    }

    /// The same, ready to be started.
    pub fn script(&mut self, place: &Place, script: &str, attributes: &str) -> Command {
        let mut command = self.plain_script(place, script, attributes);
        Store::show_program(&mut command);
        command
    }

    /// The same with nothing but the shell.
    pub fn plain_script(&mut self, place: &Place, script: &str, attributes: &str) -> Command {
        self.instantiate(place, script, attributes);
        self.build(&Loopbox::at(place))
    }

    /// What is there now was there from the beginning.
    pub fn keep(&mut self) {
        self.before = listing();
    }

    /// Checks what the outputs of such a script depend on.
    pub fn check_script(&mut self, place: &Place, script: &str, words: &[&str]) -> Ran {
        self.check_command(place, script, words).output().expect("loopbox can be started").into()
    }

    /// The command that does so.
    pub fn check_command(&mut self, place: &Place, script: &str, words: &[&str]) -> Command {
        self.instantiate(place, script, "");
        let mut command = Loopbox::at(place).command(["check", &self.derivation]);
        self.configure(&mut command);
        command.args(words);
        Store::show_program(&mut command);
        command
    }

    /// Has a program of Nix's, or loopbox, use it.
    pub fn configure(&self, command: &mut Command) {
        command.env("NIX_CONF_DIR", &self.configuration);
    }

    fn show_program(command: &mut Command) {
        let shown = format!("/program={} {LIBRARIES}", program());
        command.args(["--sandbox-paths", &shown]);
    }

    fn instantiate(&mut self, place: &Place, script: &str, attributes: &str) {
        let busybox = self.ask("nix-store", ["--add", &place.path("busybox").to_string_lossy()]);
        let expression = format!(
            "derivation {{ name = \"script\"; system = builtins.currentSystem; {attributes} \
             builder = \"${{builtins.storePath {busybox}}}/bin/sh\"; args = [ \"-ec\" ''{script}'' ]; \
             PATH = \"${{builtins.storePath {busybox}}}/bin\"; }}"
        );
        self.derivation = self.ask("nix-instantiate", ["--quiet", "-E", &expression]);
    }

    /// Nothing but registered outputs was added since the store was made, and nothing was changed. The outputs are
    /// taken away again, and how many there were is the answer.
    pub fn assert_unchanged(&self) -> usize {
        assert_eq!(traces::names(Path::new("/nix/var/nix/builds")), [""; 0], "build directories");
        let before: BTreeSet<String> = self.before.keys().filter_map(|path| first_name(path)).collect();
        let added: Vec<String> = traces::names(Path::new(STORE))
            .into_iter()
            .filter(|name| name != LINKS && !before.contains(name))
            .map(|name| format!("{STORE}/{name}"))
            .collect();
        if !added.is_empty() {
            let words =
                ["--check-validity", "--print-invalid"].into_iter().chain(added.iter().map(String::as_str));
            assert_eq!(self.ask("nix-store", words), "", "paths in the store that are not registered");
            self.ask("nix-store", ["--verify-path"].into_iter().chain(added.iter().map(String::as_str)));
            self.ask("nix-store", ["--delete"].into_iter().chain(added.iter().map(String::as_str)));
        }
        let now = listing();
        assert!(now == self.before, "the store changed: {:#?}", difference(&self.before, &now));
        added.len()
    }

    /// Every path is as it was registered, and no root is left that would keep one of them.
    pub fn verify(&self) {
        self.ask("nix-store", ["--verify", "--check-contents"]);
        self.ask("nix-store", ["--gc", "--print-dead"]);
        assert_eq!(traces::names(Path::new("/nix/var/nix/temproots")), [""; 0], "temporary roots");
    }

    /// Asks a program of Nix.
    pub fn ask<'a>(&self, program: &str, words: impl IntoIterator<Item = &'a str>) -> String {
        text(&mut self.asking(program, words)).expect("Nix answers")
    }

    /// The command that does so.
    pub fn asking<'a>(&self, program: &str, words: impl IntoIterator<Item = &'a str>) -> Command {
        let mut asking = command(program, words);
        self.configure(&mut asking);
        asking
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // What keeps it in use has made the case fail already.
        let _ = quiet(&mut command("umount", ["-l", "/nix"]));
    }
}

/// The program of the cases.
pub fn program() -> String {
    std::env::current_exe().expect("this program has a path").display().to_string()
}

fn first_name(path: &Path) -> Option<String> {
    let below = path.strip_prefix(STORE).ok()?;
    Some(below.iter().next()?.to_string_lossy().into_owned())
}

fn listing() -> Listing {
    let entries = WalkDir::new(STORE).min_depth(1).into_iter();
    let entries = entries.filter_entry(|entry| entry.file_name() != LINKS);
    let line = |entry: walkdir::DirEntry| {
        let meta = entry.metadata().expect("it can be looked at");
        (entry.into_path(), (meta.mode(), meta.mtime(), meta.len(), meta.uid(), meta.nlink()))
    };
    entries.map(|entry| line(entry.expect("it can be read"))).collect()
}

fn difference(before: &Listing, now: &Listing) -> Vec<PathBuf> {
    let paths: BTreeSet<&PathBuf> = before.keys().chain(now.keys()).collect();
    paths.into_iter().filter(|path| before.get(*path) != now.get(*path)).cloned().collect()
}
