//! A Nix store of the case's own, at /nix and in memory, used by the machine's Nix or by a newer one.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MsFlags, mount};

use crate::cases::Place;
pub use crate::cases::loopbox::ran;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::command::{command, quiet, text};
use crate::lab::Lab;
use crate::lab::new_nix::NewNix;

/// The commands that builds use.
const COMMANDS: [&str; 5] = ["sh", "cat", "echo", "ls", "sleep"];

/// What every store is configured with.
const USUAL: &str = "sandbox = true
sandbox-fallback = false
max-jobs = 1
experimental-features = nix-command external-builders
";

/// The store.
pub struct Store {
    configuration: PathBuf,
    file: PathBuf,
    busybox: String,
    /// The words before a command that is to see the newer Nix.
    enter: Vec<OsString>,
    loopbox: Loopbox,
    /// Whether it is mounted for the case.
    mounted: bool,
}

impl Store {
    /// For the machine's Nix, with these settings besides the usual ones.
    pub fn of_old_nix(place: &Place, settings: &str) -> Store {
        Store::make(place, settings, Vec::new())
    }

    /// For the newer Nix.
    pub fn of_new_nix(place: &Place, settings: &str) -> Store {
        Store::make(place, settings, enter(place))
    }

    /// The one that the machine has at /nix, for the newer Nix; it knows nothing of `builds.nix`.
    pub fn of_machine(place: &Place, settings: &str) -> Store {
        Store::open(place, settings, enter(place))
    }

    fn open(place: &Place, settings: &str, enter: Vec<OsString>) -> Store {
        let configuration = place.directory("conf");
        place.file("conf/nix.conf", format!("{USUAL}{settings}"));
        let file = place.file("builds.nix", include_str!("builds.nix"));
        let loopbox = Loopbox::at(place);
        Store { configuration, file, busybox: String::new(), enter, loopbox, mounted: false }
    }

    fn make(place: &Place, settings: &str, enter: Vec<OsString>) -> Store {
        mount(Some("store"), "/nix", Some("tmpfs"), MsFlags::empty(), Some("mode=755"))
            .expect("a tmpfs at /nix");
        let bin = place.directory("busybox/bin");
        fs::copy("/bin/busybox", bin.join("busybox")).expect("the machine has busybox");
        for name in COMMANDS {
            symlink("busybox", bin.join(name)).expect("a link can be made");
        }
        let mut store = Store::open(place, settings, enter);
        store.mounted = true;
        store.busybox = store.ask("nix-store", ["--add".as_ref(), place.path("busybox").as_os_str()]);
        store
    }

    /// Uses other settings besides the usual ones.
    pub fn configure(&self, place: &Place, settings: &str) {
        place.file("conf/nix.conf", format!("{USUAL}{settings}"));
    }

    /// A command that sees the store and its Nix.
    pub fn command<S: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        words: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut words_of_all: Vec<OsString> = self.enter.clone();
        words_of_all.push(program.as_ref().to_owned());
        words_of_all.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        let mut command = command(&words_of_all[0], &words_of_all[1..]);
        command.env("NIX_CONF_DIR", &self.configuration).stdin(Stdio::null());
        command
            .env("LOOPBOX_STATE_DIR", &self.loopbox.state)
            .env("TMPDIR", &self.loopbox.temporary)
            .env_remove("NIX_REMOTE");
        command
    }

    /// What a program prints that has to succeed.
    pub fn ask<S: AsRef<OsStr>>(&self, program: &str, words: impl IntoIterator<Item = S>) -> String {
        text(&mut self.command(program, words)).expect("Nix answers")
    }

    /// A derivation of `builds.nix`.
    pub fn derivation(&self, attribute: &str, salt: &str) -> String {
        self.derivation_with(attribute, &["--argstr", "salt", salt])
    }

    /// The same with these words for its arguments.
    pub fn derivation_with(&self, attribute: &str, arguments: &[&str]) -> String {
        let file = self.file.to_string_lossy();
        let words = ["--quiet", &file, "-A", attribute, "--argstr", "busybox", &self.busybox];
        self.ask("nix-instantiate", words.iter().chain(arguments))
    }

    /// The words that evaluate an attribute of `builds.nix`.
    pub fn words<'a>(&'a self, attribute: &'a str, salt: &'a str, files: &'a str) -> Vec<&'a str> {
        let file = self.file.to_str().expect("the checkout's path is text");
        let with = ["--argstr", "busybox", &self.busybox, "--argstr", "salt", salt, "--arg", "files", files];
        [&[file, "-A", attribute][..], &with].concat()
    }

    /// `loopbox` with these words.
    pub fn loopbox<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        self.command(Loopbox::program(), words)
    }

    /// `loopbox build` of a derivation.
    pub fn build(&self, derivation: &str) -> Ran {
        ran(&mut self.loopbox(["build", "--no-out-link", derivation]))
    }

    /// Forgets what was built of some derivations.
    pub fn forget(&self, derivations: &[&str]) {
        for derivation in derivations {
            let outputs = self.ask("nix-store", ["--query", "--outputs", derivation]);
            for output in outputs.lines().filter(|path| Path::new(path).exists()) {
                self.ask("nix-store", ["--delete", output]);
            }
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.mounted {
            // What keeps it in use has made the case fail already.
            let _ = quiet(&mut command("umount", ["-l", "/nix"]));
        }
    }
}

/// The words before a command that is to see the newer Nix.
fn enter(place: &Place) -> Vec<OsString> {
    let lab = Lab::open().expect("the checkout is there");
    let nix = NewNix::bring(&lab).expect("it was brought outside");
    let programs = [Loopbox::program(), Loopbox::for_everybody()];
    let directory = |program: &PathBuf| program.parent().expect("it is in a directory").to_owned();
    let shown: Vec<PathBuf> = programs.iter().map(directory).chain([place.dir().to_owned()]).collect();
    nix.enter(&lab, shown.iter().map(PathBuf::as_path)).expect("there are words for that")
}
