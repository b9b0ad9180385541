//! `loopbox doctor`: what this machine has and lacks for loopbox, and what to do about it.

#[cfg(target_os = "linux")]
#[path = "doctor/linux.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "doctor/macos.rs"]
mod system;

mod launchd;
mod verify;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Serialize;

use crate::error::CommandResult;
use crate::exit::Status;
use crate::globals::Globals;
use crate::output;

/// Arguments of `loopbox doctor`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
    /// Test what loopbox relies on: mounts, sockets, entering views, a killed server, more data than memory
    #[arg(long)]
    verify: bool,
    /// Print a launchd job that runs 'loopbox clean' at every start of macOS
    #[arg(long, conflicts_with_all = ["verify", "json"])]
    launchd: bool,
    /// Directory for the tests [default: a temporary directory]
    #[arg(long, value_name = "DIR", requires = "verify")]
    dir: Option<PathBuf>,
    /// Skip tests that take long
    #[arg(long, requires = "verify")]
    quick: bool,
}

/// State of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// As it should be.
    Good,
    /// Something will not work without it.
    Missing,
    /// Nothing works without it.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    /// What it is about.
    subject: &'static str,
    /// How it is.
    state: State,
    /// What was seen.
    seen: String,
    /// What a person can do about it.
    advice: Option<String>,
}

/// Exit status when something is bad.
const UNFIT: i32 = 1;

/// Checks everything and changes nothing, unless asked to run the tests.
pub fn execute(arguments: &Arguments, globals: &Globals) -> CommandResult {
    if arguments.launchd {
        launchd::print(globals)?;
        return Ok(Status::Done);
    }
    if arguments.verify {
        return verify::execute(arguments, globals);
    }
    let mut findings = vec![root(globals)];
    findings.extend(system::findings(globals));
    findings.push(nix());
    if arguments.json {
        output::print_json(&findings)?;
    } else {
        output::print(findings.iter().map(Finding::for_people).collect::<String>())?;
    }
    let unfit = findings.iter().any(|finding| finding.state == State::Bad);
    Ok(if unfit { Status::Exited(UNFIT) } else { Status::Done })
}

impl Finding {
    fn good(subject: &'static str, seen: impl Into<String>) -> Finding {
        Finding { subject, state: State::Good, seen: seen.into(), advice: None }
    }

    fn other(
        subject: &'static str,
        state: State,
        seen: impl Into<String>,
        advice: impl Into<String>,
    ) -> Finding {
        Finding { subject, state, seen: seen.into(), advice: Some(advice.into()) }
    }

    fn for_people(&self) -> String {
        let mark = match self.state {
            State::Good => "good",
            State::Missing => "missing",
            State::Bad => "bad",
        };
        let mut text = format!("{mark:<8} {}: {}\n", self.subject, self.seen);
        if let Some(advice) = &self.advice {
            text += &format!("         → {advice}\n");
        }
        text
    }
}

fn root(globals: &Globals) -> Finding {
    let uid = nix::unistd::geteuid();
    if uid.is_root() {
        return Finding::good("root", "loopbox runs as root");
    }
    let seen = format!("loopbox runs as user {uid}");
    if std::os::unix::net::UnixStream::connect(&globals.socket).is_ok() {
        return Finding::good(
            "root",
            format!("{seen}, and its daemon listens, which mounts for those whom it knows"),
        );
    }
    Finding::other("root", State::Bad, seen, "mounting needs root: run loopbox with sudo")
}

fn nix() -> Finding {
    let asked = Command::new("nix-store").arg("--version").stdin(Stdio::null()).output();
    match asked {
        Ok(answer) if answer.status.success() => {
            Finding::good("Nix", String::from_utf8_lossy(&answer.stdout).trim().to_owned())
        }
        Ok(answer) => Finding::other(
            "Nix",
            State::Missing,
            format!("nix-store fails: {}", String::from_utf8_lossy(&answer.stderr).trim()),
            "'loopbox build' and '--closure' need a Nix that works",
        ),
        Err(_) => Finding::other(
            "Nix",
            State::Missing,
            "there is no nix-store in PATH",
            "'loopbox build' and '--closure' need Nix; everything else works without",
        ),
    }
}
