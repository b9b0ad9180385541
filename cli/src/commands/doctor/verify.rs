//! `loopbox doctor --verify`: tries on this very machine what loopbox counts on, and reports it in a form that can be
//! shown to others. What only some systems have does not apply to others, and says so.

mod entry_mode;
mod files;
mod fixture;
mod large;
mod report;
mod server;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use sandbox::causes;
use sandbox::recovery::StateDir;
use sandbox::temporary_directory;

use super::{Arguments, UNFIT};
use crate::commands::need_root;
use crate::error::CommandResult;
use crate::exit::Status;
use crate::globals::Globals;
use crate::signals::Interrupt;
use crate::{itself, output};

use fixture::Fixture;
use report::{Item, State, VerifyReport};

/// How long one check may take. What hangs in the kernel cannot be ended, only be left alone.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The same for what writes more than the machine's memory, which may go to a slow disk.
const LONG_TIMEOUT: Duration = Duration::from_secs(3600);

/// How often is looked whether it is to stop.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Why a check did not pass.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    /// It is not as it should be.
    #[error("{0}")]
    Failed(String),
    /// It cannot be asked here.
    #[error("{0}")]
    NotHere(String),
}

/// What a check found, when it passed.
type CheckResult = Result<String, CheckError>;

/// A check: its name, its time limit, and what it does.
type Check = (&'static str, Duration, fn(&Fixture) -> CheckResult);

/// All of them, in the order in which they are tried: what ends the mount comes last.
const CHECKS: [Check; 22] = [
    ("a view is mounted", TIMEOUT, files::view),
    ("what is shown read-only is read-only", TIMEOUT, files::read_only),
    ("what exists is not made again", TIMEOUT, files::exclusive),
    ("a deleted file lives as long as it is open", TIMEOUT, files::deleted),
    ("locks are kept", TIMEOUT, files::locks),
    ("sockets are made and connected to", TIMEOUT, files::sockets),
    ("pipes are made and written to", TIMEOUT, files::pipes),
    ("extended attributes", TIMEOUT, files::attributes),
    ("other users reach the mount", TIMEOUT, files::other_user),
    ("signed programs start from the mount", TIMEOUT, files::signed),
    ("other programs are not served", TIMEOUT, server::peers),
    ("a program runs in a view", TIMEOUT, entry_mode::run),
    ("way in: chroot", TIMEOUT, entry_mode::chroot),
    ("way in: chroot with the system's disk image", TIMEOUT, entry_mode::cryptex),
    ("way in: chroot with a shared cache of its own", TIMEOUT, entry_mode::private_cache),
    ("a shell of the system's starts below another root", TIMEOUT, entry_mode::shell),
    ("way in: sandbox profile", TIMEOUT, entry_mode::profile),
    ("a profile closes the server's port", TIMEOUT, entry_mode::port),
    ("more is written than the memory holds", LONG_TIMEOUT, large::more_than_memory),
    ("a mount in use is not taken away", TIMEOUT, server::busy),
    ("unmounting", TIMEOUT, server::unmount),
    ("the server is killed", TIMEOUT, server::killed),
];

/// Runs all checks, and prints the results.
pub fn execute(arguments: &Arguments, globals: &Globals) -> CommandResult {
    need_root()?;
    let interrupt = Interrupt::watch()?;
    let state = StateDir::open(&globals.state_dir)?;
    state.sweep()?;
    let within = arguments.dir.clone().map_or_else(temporary_directory, Ok)?;
    let mut report = VerifyReport::of_this_machine();
    let made = Instant::now();
    match Fixture::create(&std::path::absolute(within)?, &state, globals, arguments.quick) {
        Ok(fixture) => {
            let fixture = Arc::new(fixture);
            run_checks(&fixture, &mut report, &interrupt);
            if let Some(status) = interrupt.status() {
                return Ok(status);
            }
            report.add(check_removed(&fixture.base));
        }
        Err(error) => report.add(Item::new(CHECKS[0].0, Err(CheckError::failed("", &error)), made.elapsed())),
    }
    if arguments.json {
        output::print_json(&report)?;
    } else {
        output::print(report.for_people())?;
    }
    Ok(if report.is_good() { Status::Done } else { Status::Exited(UNFIT) })
}

/// Until it is to stop: the item that takes long is left alone then, the others end by themselves.
fn run_checks(fixture: &Arc<Fixture>, report: &mut VerifyReport, interrupt: &Interrupt) {
    for (name, timeout, check) in CHECKS {
        if interrupt.status().is_some() {
            break;
        }
        let began = Instant::now();
        if report.hangs() {
            let result = Err(CheckError::NotHere("not tried: one before did not come to an end".into()));
            report.add(Item::new(name, result, began.elapsed()));
            continue;
        }
        let (sender, received) = mpsc::channel();
        let held = Arc::clone(fixture);
        thread::spawn(move || sender.send(check(&held)));
        let received = loop {
            match received.recv_timeout(POLL_INTERVAL) {
                Err(mpsc::RecvTimeoutError::Timeout) if began.elapsed() < timeout => {}
                received => break received,
            }
            if timeout == LONG_TIMEOUT && interrupt.status().is_some() {
                break Err(mpsc::RecvTimeoutError::Timeout);
            }
        };
        match received {
            Ok(result) => report.add(Item::new(name, result, began.elapsed())),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let result = Err(CheckError::Failed("it broke down".into()));
                report.add(Item::new(name, result, began.elapsed()));
            }
            Err(mpsc::RecvTimeoutError::Timeout) => report.add(Item::hanging(name, timeout)),
        }
    }
    fixture.end();
}

/// Everything that was made is gone again.
fn check_removed(base: &Path) -> Item {
    let began = Instant::now();
    let result = match base.symlink_metadata() {
        Err(_) => Ok("no mount, and no directory".into()),
        Ok(_) => Err(CheckError::Failed(format!("{} is still there", base.display()))),
    };
    Item::new("nothing is left", result, began.elapsed())
}

impl CheckError {
    fn failed(context: &str, error: &(impl std::error::Error + 'static)) -> CheckError {
        let text = causes::in_a_line(error);
        CheckError::Failed(if context.is_empty() { text } else { format!("{context}: {text}") })
    }
}

/// Adds to an error what was being done.
trait Context<T> {
    fn context(self, what: &str) -> Result<T, CheckError>;
}

impl<T, E: std::error::Error + 'static> Context<T> for Result<T, E> {
    fn context(self, what: &str) -> Result<T, CheckError> {
        self.map_err(|error| CheckError::failed(what, &error))
    }
}

/// This program again, with notes in this directory.
fn loopbox(state: &Path) -> Result<Command, CheckError> {
    let mut command = Command::new(itself::program().context("finding this program")?);
    command.env("LOOPBOX_STATE_DIR", state).stdin(Stdio::null());
    Ok(command)
}

/// Fails unless it holds.
fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), CheckError> {
    if holds { Ok(()) } else { Err(CheckError::Failed(otherwise())) }
}

#[cfg(not(target_os = "macos"))]
fn only_on_macos(what: &str) -> CheckResult {
    Err(CheckError::NotHere(format!("only macOS {what}")))
}

impl State {
    fn of(result: &CheckResult) -> State {
        match result {
            Ok(_) => State::Passed,
            Err(CheckError::Failed(_)) => State::Failed,
            Err(CheckError::NotHere(_)) => State::NotHere,
        }
    }
}
