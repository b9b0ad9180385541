//! What `loopbox external-builder` does once its words are read.

use std::io::Write;
use std::path::PathBuf;

use builder::external::{Description, ExternalOptions, ExternalOutcome};
use builder::plan::SandboxPath;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{User, geteuid};
use sandbox::backend::Nfs;
use sandbox::jail::ExitOutcome;
use sandbox::recovery::StateDir;
use signal_hook::low_level::emulate_default_handler;

use super::Arguments;
use crate::commands::builds::sweep_and_make_writable;
use crate::conditions;
use crate::error::CommandResult;
use crate::exit::Status;
use crate::failures::RunError;
use crate::globals::Globals;
use crate::output;
use crate::report::listed;
use crate::session_host::SessionHost;
use crate::signals::Interrupt;

/// What Nix waits for on standard error: all is set up, and what follows is the build's own output.
const SET_UP: &[u8] = b"\x02\n";

/// Runs the one build that Nix describes, and ends as its builder did.
pub fn execute(arguments: &Arguments, globals: &Globals) -> CommandResult {
    let Ok(host) = SessionHost::find(globals) else {
        return Err(RunError::ExternalNotRoot { user: this_user() }.into());
    };
    let (description, paths) = arguments.split();
    let description = Description::read(&description)?;
    let sandbox_paths = SandboxPath::parse_all(paths.iter().map(String::as_str))?;
    let interrupt = Interrupt::watch()?;
    let state = match host {
        SessionHost::Own(_) => {
            // Nix has made the store writable for itself, and gives the builders that it runs the machine's mounts.
            let state = host.state(globals)?;
            sweep_and_make_writable(&state, description.real_store())?;
            state
        }
        // Nix removes that directory, and what is there would be of no use to another build.
        SessionHost::Daemon(_) => StateDir::open(&description.top().join("loopbox"))?,
    };
    let external = ExternalOptions {
        sandbox_paths: &sandbox_paths,
        network: arguments.network,
        conditions: arguments.quota.conditions(),
        state: &state,
        privilege: host.privilege(),
        backend: &Nfs::default(),
        scratches: arguments.scratch,
        cancel: interrupt.cancel(),
    };
    let ran = description.run(&external, || {
        // Nobody reads it when it cannot be written.
        let _ = std::io::stderr().write_all(SET_UP);
    });
    if let Some(status) = interrupt.status() {
        return Ok(status);
    }
    let ExternalOutcome { outcome, report, imposed } = ran?;
    // Into the build's log, which is all that whoever waits for it sees.
    report.iter().flat_map(|report| listed::hidden_of_build(report, None)).for_each(output::tell);
    conditions::lines("the build", &imposed, arguments.quota.quota()).iter().for_each(output::tell);
    match outcome {
        ExitOutcome::Exited(status) => Ok(Status::Exited(status)),
        ExitOutcome::Signaled(signal) => {
            end_by(signal);
            Ok(Status::Signaled(signal))
        }
    }
}

/// Ends this process as its builder was ended, which Nix tells in words of its own, and leaves no core dump. Real-time signals it
/// cannot end by.
fn end_by(signal: i32) {
    // Without it nothing but the dump is left over.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = emulate_default_handler(signal);
}

/// The name of the user that loopbox runs as, or the number.
fn this_user() -> String {
    let uid = geteuid();
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

impl Arguments {
    /// Nix appends the description to the words of its configuration.
    fn split(&self) -> (PathBuf, &[String]) {
        match self.words.split_last() {
            Some((description, paths)) => (description.into(), paths),
            None => (PathBuf::new(), &[]),
        }
    }
}
