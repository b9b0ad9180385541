//! The program `loopbox` as a case runs it: with a state directory and a TMPDIR of the case's own.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use defences::Defence;

use super::Place;

/// Where the program is: `cargo xtask test` says it to the machine.
const PROGRAM: &str = "LOOPBOX_PROGRAM";

/// The program, and where it keeps things.
pub struct Loopbox {
    /// The directory of its notes.
    pub state: PathBuf,
    /// Where it makes temporary directories.
    pub temporary: PathBuf,
    /// The names of defences that it does not have.
    without: String,
}

/// How a run of it ended.
#[derive(Debug)]
pub struct Ran {
    /// Exit status.
    pub status: i32,
    /// Standard output, without the last newline.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Loopbox {
    /// Keeps its things in a case's directory.
    pub fn at(place: &Place) -> Loopbox {
        Loopbox {
            state: place.path("state"),
            temporary: place.directory("temporary"),
            without: String::new(),
        }
    }

    /// Without some defences.
    pub fn without(self, defences: &[Defence]) -> Loopbox {
        let names: Vec<&str> = defences.iter().map(|defence| defence.name()).collect();
        Loopbox { without: names.join(","), ..self }
    }

    /// The program's file.
    pub fn program() -> PathBuf {
        let program =
            std::env::var_os(PROGRAM).unwrap_or_else(|| panic!("{PROGRAM} names no program to test"));
        std::fs::canonicalize(program).expect("the program to test exists")
    }

    /// The same program at a place where everybody may run it: a checkout may lie in a home that is closed to others.
    pub fn for_everybody() -> PathBuf {
        static COPY: OnceLock<PathBuf> = OnceLock::new();
        let copy = || {
            let directory = Path::new("/opt/loopbox");
            let path = directory.join("loopbox");
            if !path.exists() {
                fs::create_dir_all(directory).expect("a directory can be made");
                fs::copy(Loopbox::program(), &path).expect("the program can be copied");
            }
            path
        };
        COPY.get_or_init(copy).clone()
    }

    /// A command of it, ready to be started.
    pub fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(Loopbox::program());
        command
            .args(words)
            .env("LOOPBOX_STATE_DIR", &self.state)
            .env("TMPDIR", &self.temporary)
            .stdin(Stdio::null());
        if !self.without.is_empty() {
            command.env(defences::VARIABLE, &self.without);
        }
        command
    }

    /// Runs it to the end.
    pub fn run<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Ran {
        self.command(words).output().expect("loopbox can be started").into()
    }

    /// Runs it to the end, which has to be a good one. The answer is its standard output.
    pub fn good<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> String {
        let ran = self.run(words);
        assert_eq!(ran.status, 0, "{}{}", ran.stdout, ran.stderr);
        ran.stdout
    }
}

/// Runs a command to its end.
pub fn ran(command: &mut Command) -> Ran {
    command.output().expect("it can be started").into()
}

impl Ran {
    /// What it told a person: its standard error, and the status.
    pub fn told(&self) -> String {
        format!("{}exit status {}", self.stderr, self.status)
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        use std::os::unix::process::ExitStatusExt;
        let status = output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0));
        Ran {
            status,
            stdout: String::from_utf8_lossy(&output.stdout).trim_end().to_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
