//! What a hostile program tries: run inside a view, or as another user, by the cases in `cases/hold/`.
//!
//! Every attempt says itself which refusals are right, so that a list of attempts is also the list of answers.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use nix::errno::Errno;

pub mod escape;
pub mod graft;
pub mod itself;
pub mod namespaces;
pub mod port;
pub mod set_id;

/// One thing that has to fail.
pub struct Attempt {
    /// What is tried.
    pub name: &'static str,
    /// Tries it.
    pub run: fn(&Target) -> nix::Result<Gain>,
    /// The errors that it may fail with.
    pub refusals: &'static [Errno],
}

/// What an attempt that was carried out has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gain {
    /// Something of the host, or a change to it.
    Host,
    /// Nothing beyond the view.
    Nothing,
}

impl Gain {
    /// `Host` when this is so.
    pub fn when(reached: bool) -> Gain {
        if reached { Gain::Host } else { Gain::Nothing }
    }
}

/// A list of attempts.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Kind {
    /// Changing a read-only graft.
    Graft,
    /// Making programs that run as somebody else, and devices.
    SetId,
    /// Reaching files and processes of the host.
    Escape,
    /// Using namespaces and mounts to that end.
    Namespaces,
    /// Talking to the server.
    Port,
    /// Changing the program that runs the view.
    Itself,
}

/// What they aim at.
#[derive(Debug, Args)]
pub struct Target {
    /// The list.
    kind: Kind,
    /// A read-only directory of the view.
    #[arg(long, default_value = "/graft")]
    pub graft: PathBuf,
    /// A directory that this process may write to.
    #[arg(long, default_value = "/tmp")]
    pub scratch: PathBuf,
    /// A file of the host that the view does not show.
    #[arg(long, default_value = "/secret")]
    pub secret: PathBuf,
    /// A process of the host.
    #[arg(long, default_value_t = 1)]
    pub process: i32,
    /// A server; the one behind this process's root when missing.
    #[arg(long)]
    pub server: Option<String>,
    /// Only this one.
    #[arg(long)]
    pub one: Option<String>,
}

/// Tries them all; prints each with its answer, and fails when one is not right.
pub fn main(target: &Target) -> Result<ExitCode> {
    let attempts = match target.kind {
        Kind::Graft => graft::ATTEMPTS,
        Kind::SetId => set_id::ATTEMPTS,
        Kind::Escape => escape::ATTEMPTS,
        Kind::Namespaces => namespaces::ATTEMPTS,
        Kind::Port => port::ATTEMPTS,
        Kind::Itself => itself::ATTEMPTS,
    };
    let alone = matches!(target.kind, Kind::Namespaces) && target.one.is_none();
    let mut wrong = 0;
    for attempt in attempts.iter().filter(|attempt| target.wants(attempt.name)) {
        let right = if alone { target.in_own_process(attempt)? } else { attempt.make(target) };
        wrong += u32::from(!right);
    }
    if target.one.is_none() {
        println!("{wrong} wrong");
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Attempt {
    /// Tries it, and says whether the answer is right.
    fn make(&self, target: &Target) -> bool {
        let outcome = (self.run)(target);
        let right = match outcome {
            Ok(gain) => gain == Gain::Nothing,
            Err(errno) => self.refusals.contains(&errno),
        };
        println!("{}{}: {outcome:?}", if right { "" } else { "WRONG " }, self.name);
        right
    }
}

impl Target {
    fn wants(&self, name: &str) -> bool {
        self.one.as_ref().map_or(name != namespaces::INNER, |one| one == name)
    }

    fn in_own_process(&self, attempt: &Attempt) -> Result<bool> {
        let status = self.process(attempt.name).status().context("cannot start this program again")?;
        Ok(status.success())
    }

    /// This program, to make one attempt.
    pub fn process(&self, attempt: &str) -> Command {
        let mut process = Command::new("/proc/self/exe");
        process.args(["__attempts", "namespaces", "--one", attempt, "--scratch"]).arg(&self.scratch);
        process.arg("--secret").arg(&self.secret);
        process
    }

    /// Whether the host's file can be seen.
    pub fn sees_secret(&self) -> Gain {
        Gain::when(self.secret.symlink_metadata().is_ok())
    }
}

/// The error number of the standard library's error.
pub fn errno<T>(result: std::io::Result<T>) -> nix::Result<T> {
    result.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
}
