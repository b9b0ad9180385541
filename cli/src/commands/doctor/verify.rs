//! `loopbox doctor --verify`: tries on this very machine what loopbox counts on, and reports it in a form that can be
//! shown to others. What only some systems have does not apply to others, and says so.

mod entering;
mod files;
mod ground;
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

use ground::Ground;
use report::{Item, Report, State};

/// How long one item may take. What hangs in the kernel cannot be ended, only be left alone.
const PATIENCE: Duration = Duration::from_secs(120);

/// The same for what writes more than the machine's memory, which may go to a slow disk.
const MUCH_PATIENCE: Duration = Duration::from_secs(3600);

/// Between two looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// Why an item did not pass.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// It is not as it should be.
    #[error("{0}")]
    Failed(String),
    /// It cannot be asked here.
    #[error("{0}")]
    NotHere(String),
}

/// What an item says when it is as it should be.
type Verdict = Result<String, Trouble>;

/// An item: its name, how long it may take, and what it does.
type Check = (&'static str, Duration, fn(&Ground) -> Verdict);

/// All of them, in the order in which they are tried: what ends the mount comes last.
const CHECKS: [Check; 22] = [
    ("a view is mounted", PATIENCE, files::view),
    ("what is shown read-only is read-only", PATIENCE, files::read_only),
    ("what exists is not made again", PATIENCE, files::exclusive),
    ("a deleted file lives as long as it is open", PATIENCE, files::deleted),
    ("locks are kept", PATIENCE, files::locks),
    ("sockets are made and connected to", PATIENCE, files::sockets),
    ("pipes are made and written to", PATIENCE, files::pipes),
    ("extended attributes", PATIENCE, files::attributes),
    ("other users reach the mount", PATIENCE, files::other_user),
    ("signed programs start from the mount", PATIENCE, files::signed),
    ("other programs are not served", PATIENCE, server::peers),
    ("a program runs in a view", PATIENCE, entering::run),
    ("way in: chroot", PATIENCE, entering::chroot),
    ("way in: chroot with the system's disk image", PATIENCE, entering::cryptex),
    ("way in: chroot with a shared cache of its own", PATIENCE, entering::private_cache),
    ("a shell of the system's starts below another root", PATIENCE, entering::shell),
    ("way in: sandbox profile", PATIENCE, entering::profile),
    ("a profile closes the server's port", PATIENCE, entering::port),
    ("more is written than the memory holds", MUCH_PATIENCE, large::more_than_memory),
    ("a mount in use is not taken away", PATIENCE, server::busy),
    ("unmounting", PATIENCE, server::unmount),
    ("the server is killed", PATIENCE, server::killed),
];

/// Tries everything, and says what came of it.
pub fn execute(arguments: &Arguments, globals: &Globals) -> CommandResult {
    need_root()?;
    let interrupt = Interrupt::watch()?;
    let state = StateDir::open(&globals.state_dir)?;
    state.sweep()?;
    let within = arguments.dir.clone().map_or_else(temporary_directory, Ok)?;
    let mut report = Report::of_this_machine();
    let made = Instant::now();
    match Ground::make(&std::path::absolute(within)?, &state, globals, arguments.quick) {
        Ok(ground) => {
            let ground = Arc::new(ground);
            try_all(&ground, &mut report, &interrupt);
            if let Some(status) = interrupt.status() {
                return Ok(status);
            }
            report.add(nothing_left(&ground.base));
        }
        Err(error) => report.add(Item::new(CHECKS[0].0, Err(Trouble::failed("", &error)), made.elapsed())),
    }
    if arguments.json {
        output::print_json(&report)?;
    } else {
        output::print(report.for_people())?;
    }
    Ok(if report.is_good() { Status::Done } else { Status::Exited(UNFIT) })
}

/// Until it is to stop: the item that takes long is left alone then, the others end by themselves.
fn try_all(ground: &Arc<Ground>, report: &mut Report, interrupt: &Interrupt) {
    for (name, patience, check) in CHECKS {
        if interrupt.status().is_some() {
            break;
        }
        let began = Instant::now();
        if report.hangs() {
            let verdict = Err(Trouble::NotHere("not tried: one before did not come to an end".into()));
            report.add(Item::new(name, verdict, began.elapsed()));
            continue;
        }
        let (sender, said) = mpsc::channel();
        let held = Arc::clone(ground);
        thread::spawn(move || sender.send(check(&held)));
        let said = loop {
            match said.recv_timeout(LOOK) {
                Err(mpsc::RecvTimeoutError::Timeout) if began.elapsed() < patience => {}
                said => break said,
            }
            if patience == MUCH_PATIENCE && interrupt.status().is_some() {
                break Err(mpsc::RecvTimeoutError::Timeout);
            }
        };
        match said {
            Ok(verdict) => report.add(Item::new(name, verdict, began.elapsed())),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let verdict = Err(Trouble::Failed("it broke down".into()));
                report.add(Item::new(name, verdict, began.elapsed()));
            }
            Err(mpsc::RecvTimeoutError::Timeout) => report.add(Item::hanging(name, patience)),
        }
    }
    ground.end();
}

/// Everything that was made is gone again.
fn nothing_left(base: &Path) -> Item {
    let began = Instant::now();
    let verdict = match base.symlink_metadata() {
        Err(_) => Ok("no mount, and no directory".into()),
        Ok(_) => Err(Trouble::Failed(format!("{} is still there", base.display()))),
    };
    Item::new("nothing is left", verdict, began.elapsed())
}

impl Trouble {
    fn failed(doing: &str, error: &(impl std::error::Error + 'static)) -> Trouble {
        let text = causes::in_a_line(error);
        Trouble::Failed(if doing.is_empty() { text } else { format!("{doing}: {text}") })
    }
}

/// Says what was being done when something failed.
trait Doing<T> {
    fn doing(self, what: &str) -> Result<T, Trouble>;
}

impl<T, E: std::error::Error + 'static> Doing<T> for Result<T, E> {
    fn doing(self, what: &str) -> Result<T, Trouble> {
        self.map_err(|error| Trouble::failed(what, &error))
    }
}

/// This program again, with notes in this directory.
fn loopbox(state: &Path) -> Result<Command, Trouble> {
    let mut command = Command::new(itself::program().doing("finding this program")?);
    command.env("LOOPBOX_STATE_DIR", state).stdin(Stdio::null());
    Ok(command)
}

/// For what has to be so.
fn demand(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Trouble> {
    if holds { Ok(()) } else { Err(Trouble::Failed(otherwise())) }
}

#[cfg(not(target_os = "macos"))]
fn only_on_macos(what: &str) -> Verdict {
    Err(Trouble::NotHere(format!("only macOS {what}")))
}

impl State {
    fn of(verdict: &Verdict) -> State {
        match verdict {
            Ok(_) => State::Passed,
            Err(Trouble::Failed(_)) => State::Failed,
            Err(Trouble::NotHere(_)) => State::NotHere,
        }
    }
}
