//! What `loopbox daemon` does.

use std::process::ExitCode;

use sandbox::daemon::{AttendantConfig, DaemonListener, Policy, serve};
use sandbox::inherited;
use sandbox::jail::{AttendantContext, Spawner};
use sandbox::recovery::StateDir;

use super::Arguments;
use crate::commands::need_root;
use crate::error::{CommandError, CommandResult};
use crate::exit::Status;
use crate::globals::Globals;
use crate::signals::Interrupt;
use crate::{itself, log, output};

/// The first descriptor that a service manager passes on (`sd_listen_fds(3)`).
const PASSED: i32 = 3;

/// Listens, and starts attendants, until it is asked to stop. What they do goes on then.
pub fn execute(arguments: &Arguments, globals: &Globals) -> CommandResult {
    need_root()?;
    let state = StateDir::open(&globals.state_dir)?;
    let policy = Policy::read(&arguments.policy)?;
    let interrupt = Interrupt::watch()?;
    state.sweep()?;
    let listening = match passed_on() {
        true => DaemonListener::on(inherited(PASSED)?),
        false => DaemonListener::at(&globals.socket)?,
    };
    let config = AttendantConfig {
        state_dir: globals.state_dir.clone(),
        log: log::filter(globals),
        quota: policy.quota(),
    };
    serve(&listening, &policy, &Spawner::new(itself::program()?), &config, interrupt.cancel())?;
    // A service that is asked to stop, and does, has not failed.
    Ok(Status::Done)
}

/// One of its attendants, in a process of its own.
pub fn attend(context: AttendantContext) -> ExitCode {
    let AttendantContext { connection, config, spawner } = context;
    let attended = AttendantConfig::receive(&config).map_err(CommandError::from).and_then(
        |AttendantConfig { state_dir, log, quota }| {
            log::to_stderr(&log);
            Ok(sandbox::daemon::attend(&connection, &StateDir::open(&state_dir)?, &spawner, quota)?)
        },
    );
    match attended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::tell(&error);
            error.exit_code()
        }
    }
}

/// Whether a service manager listens, and has started this process because somebody connects.
fn passed_on() -> bool {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u32>().ok());
    number("LISTEN_PID") == Some(std::process::id()) && number("LISTEN_FDS") == Some(1)
}
