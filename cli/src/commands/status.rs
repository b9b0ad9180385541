//! `loopbox status`: the sessions of this machine, and what they do.

use std::collections::HashMap;
use std::io::{IsTerminal, stdout};
use std::thread::sleep;
use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};
use nix::unistd::{Uid, User};
use sandbox::recovery::{StateDir, StateError};
use sandbox::status::{ServerStatus, SessionStatus, sessions};
use serde::Serialize;

use super::need_root;
use crate::error::{CommandError, CommandResult};
use crate::exit::Status;
use crate::globals::Globals;
use crate::output;
use crate::signals::Interrupt;

/// What calls are counted over, and how often the table is drawn on a terminal.
const INTERVAL: Duration = Duration::from_secs(1);

/// How soon a signal is heard meanwhile.
const SIGNAL_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Show the sessions of this machine: who runs what, calls a second, bytes and memory; on a terminal until Ctrl-C
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Print once, as JSON
    #[arg(long)]
    json: bool,
    /// Print once, on a terminal too
    #[arg(long, conflicts_with = "json")]
    once: bool,
}

/// A session, with its calls per second.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionRate {
    #[serde(flatten)]
    session: SessionStatus,
    calls_per_second: Option<f64>,
}

/// Shows them.
pub fn execute(arguments: &Arguments, globals: &Globals) -> CommandResult {
    need_root()?;
    let (state, interrupt) = (StateDir::open(&globals.state_dir)?, Interrupt::watch()?);
    let mut before = sessions(&state)?;
    let live = !arguments.json && !arguments.once && stdout().is_terminal() && output::stderr_can_redraw();
    let line = live.then(|| table_line(&before)).transpose()?;
    loop {
        if let Some(status) = wait(&interrupt) {
            if let Some(line) = line {
                line.finish_and_clear();
                // That is how it is ended.
                return Ok(Status::Done);
            }
            return Ok(status);
        }
        let now = with_rates(&before, &state)?;
        match &line {
            Some(line) => line.set_message(table(&now)),
            None if arguments.json => {
                output::print_json(&serde_json::json!({ "sessions": now }))?;
                return Ok(Status::Done);
            }
            None => {
                output::print(table(&now))?;
                return Ok(Status::Done);
            }
        }
        before = now.into_iter().map(|with_rates| with_rates.session).collect();
    }
}

/// Waits a while; the status if a signal comes.
fn wait(interrupt: &Interrupt) -> Option<Status> {
    (0..INTERVAL.as_millis() / SIGNAL_POLL_INTERVAL.as_millis()).find_map(|_| {
        sleep(SIGNAL_POLL_INTERVAL);
        interrupt.status()
    })
}

fn table_line(sessions: &[SessionStatus]) -> Result<ProgressBar, CommandError> {
    let line = ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{msg}")?);
    let still = |session: &SessionStatus| SessionRate { session: session.clone(), calls_per_second: None };
    line.set_message(table(&sessions.iter().map(still).collect::<Vec<_>>()));
    Ok(line)
}

/// What lives now, and how fast it went since then, or since it began.
fn with_rates(before: &[SessionStatus], state: &StateDir) -> Result<Vec<SessionRate>, StateError> {
    let served = before.iter().filter_map(|session| session.served.as_ref());
    let before: HashMap<u32, (u64, f64)> =
        served.map(|served| (served.server_pid, (served.nfs_calls.total(), served.seconds))).collect();
    let moves = |session: SessionStatus| {
        let calls_per_second = session.served.as_ref().map(|now| {
            let (calls, seconds) = before.get(&now.server_pid).copied().unwrap_or_default();
            now.nfs_calls.total().saturating_sub(calls) as f64
                / (now.seconds - seconds).max(f64::MIN_POSITIVE)
        });
        SessionRate { session, calls_per_second }
    };
    Ok(sessions(state)?.into_iter().map(moves).collect())
}

fn table(sessions: &[SessionRate]) -> String {
    if sessions.is_empty() {
        return "no sessions".into();
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["pid", "user", "program", "for", "calls", "calls/s", "read", "written", "memory"]);
    for SessionRate { session, calls_per_second } in sessions {
        let mut row = vec![session.pid.to_string()];
        row.extend(session.served.iter().flat_map(|served| of_served(served, *calls_per_second)));
        table.add_row(row);
    }
    for numbers in 4..9 {
        if let Some(column) = table.column_mut(numbers) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

fn of_served(served: &ServerStatus, calls_per_second: Option<f64>) -> [String; 8] {
    let user = User::from_uid(Uid::from_raw(served.uid)).ok().flatten();
    [
        user.map_or_else(|| served.uid.to_string(), |user| output::name(user.name)),
        served.program.as_ref().map(output::name).unwrap_or_default(),
        HumanDuration(whole_seconds(served.seconds)).to_string(),
        served.nfs_calls.total().to_string(),
        calls_per_second.map(|rate| format!("{rate:.0}")).unwrap_or_default(),
        HumanBytes(served.bytes_read).to_string(),
        HumanBytes(served.bytes_written).to_string(),
        served.server_memory.map(|bytes| HumanBytes(bytes).to_string()).unwrap_or_default(),
    ]
}

fn whole_seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.trunc()).unwrap_or_default()
}
