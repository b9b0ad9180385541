//! What `loopbox run` does once its words are read.

use std::path::{Path, PathBuf};

use sandbox::access::Recording;
use sandbox::command::{Declaration, PresetContext, Request};
use sandbox::report::{HASHED_MAX, Report};

use super::Arguments;
use crate::commands::in_view::{InView, InViewOutcome};
use crate::conditions;
use crate::error::{CommandError, CommandResult};
use crate::exit::{Status, UNDECLARED};
use crate::globals::Globals;
use crate::output;
use crate::report::document::{AnyReport, CommandReport, DocumentError};
use crate::report::{self, listed};
use crate::session_host::SessionHost;
use crate::terminal;

/// Runs the command in its view, and says what it asked for.
pub fn execute(arguments: &Arguments, globals: &Globals) -> CommandResult {
    if !arguments.dry_run
        && SessionHost::find(globals).is_ok()
        && let Some(status) = terminal::front(globals.terminal.as_ref())?
    {
        return Ok(status);
    }
    arguments.report.check(arguments.provided.backend)?;
    arguments.conditions.check(&arguments.provided)?;
    let allowed = arguments.report.allowed()?;
    let request = Request { console: terminal::name(globals.terminal.as_ref()), ..arguments.request()? };
    let recording = if arguments.report.is_needed() { Recording::Hidden } else { Recording::Nothing };
    let in_view = InView::new(&request, arguments.provided.backend, recording, arguments.report.is_deep())?;
    let plan = in_view.plan()?;
    if arguments.dry_run {
        output::print_json(&plan)?;
        return Ok(Status::Done);
    }
    let ended_command = match in_view.run(plan, globals)? {
        InViewOutcome::Interrupted(status) => return Ok(status),
        InViewOutcome::Ended(ended_command) => ended_command,
    };
    if let Ok(ended) = &ended_command.ended {
        let asked = arguments.conditions.quota();
        conditions::lines("the command", &ended.imposed, asked).iter().for_each(output::tell);
    }
    let access = match &ended_command.ended {
        Ok(ended) if arguments.report.is_needed() => {
            Some(Report::of(&ended_command.command.view, &request.immutable, &[], ended, HASHED_MAX))
        }
        _ => None,
    };
    let judged = match (&access, &allowed) {
        (Some(access), Some(allowed)) => allowed.check(access.not_shown.hidden()),
        _ => Ok(()),
    };
    if let Some(access) = access
        && arguments.report.is_wanted()
    {
        arguments.tell(access, &request.immutable)?;
    }
    let status = ended_command.status()?;
    Ok(judged.map_or_else(|paths| not_allowed(&paths, status), |()| status))
}

/// Tells of what may not be asked for. A command that failed has a status of its own.
fn not_allowed(paths: &[PathBuf], status: Status) -> Status {
    if paths.is_empty() {
        output::tell(
            "the command asked for more hidden paths than are remembered: --strict cannot say what they are",
        );
    } else {
        output::tell("the command asked for paths of this machine that are not in its view:");
        listed::some_of(paths, false, listed::WITH_REPORT).into_iter().for_each(output::tell);
    }
    if status == Status::Exited(0) { Status::Exited(UNDECLARED.into()) } else { status }
}

impl Arguments {
    /// What presets, files and words say, in this order.
    fn request(&self) -> Result<Request, CommandError> {
        let mut declared = Declaration::default();
        let (home, current) = (std::env::home_dir(), std::env::current_dir().ok());
        let context = PresetContext {
            root: Path::new("/"),
            home: home.as_deref().filter(|home| home.is_absolute()),
            current: current.as_deref(),
        };
        for preset in &self.preset {
            declared.extend(preset.declaration(context));
        }
        for file in &self.view {
            declared.extend(Declaration::read(file)?);
        }
        let words = Declaration { chdir: self.chdir.clone(), ..self.declared.declaration() };
        declared.extend(words);
        let request = self.declared.request(declared, &self.command)?;
        let (scratches, conditions) = (self.provided.scratches()?, self.conditions.conditions());
        Ok(Request { scratches, conditions, ..request })
    }

    /// Reports what the command asked its view for.
    fn tell(&self, mut access: Report, store: &Path) -> Result<(), DocumentError> {
        access.not_shown.find_owners(store);
        let command = self.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let report = AnyReport::Command(Box::new(CommandReport { command, access }));
        report::tell_of(&report);
        self.report.keep(vec![report])
    }
}
