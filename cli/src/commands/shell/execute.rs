//! What `loopbox shell` does once its words are read: builds what is missing, then enters.

#[cfg(target_os = "linux")]
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use builder::build::{Builder, Options};
use builder::shell::{Session, ShellCommand};
use builder::store::Settings;
use builder::store_path::StorePath;
#[cfg(target_os = "linux")]
use builder::through_nix::realise_inputs;
use sandbox::SessionTerminal;
use sandbox::jail::{ExitOutcome, Streams};

use super::Arguments;
use crate::commands::build::{progress::Progress, results};
use crate::commands::builds::{self, BuildSetup};
use crate::error::{CommandError, CommandResult};
use crate::exit::Status;
use crate::failures::UsageError;
use crate::globals::Globals;
use crate::session_host::SessionHost;
use crate::signals::Interrupt;
use crate::{conditions, output, terminal};

/// Builds the inputs that are missing, and runs a shell or a command in the view of the derivation.
pub fn execute(arguments: &Arguments, globals: &Globals) -> CommandResult {
    arguments.conditions.check(&arguments.provided)?;
    let host = SessionHost::find(globals)?;
    host.check_backend(arguments.provided.backend)?;
    if let Some(status) = terminal::front(globals.terminal.as_ref())? {
        return Ok(status);
    }
    let setup = BuildSetup::make(Interrupt::watch()?, &arguments.evaluation)?;
    if let Some(inner) = &globals.terminal {
        inner.watch(&setup.interrupt)?;
    }
    let targets = std::slice::from_ref(&arguments.target);
    let roots = arguments.evaluation.derivations(&setup.store, targets)?;
    let [root] = roots.as_slice() else { return Err(several(&arguments.target, roots.len()).into()) };
    let interrupt = setup.interrupt.clone();
    let inputs = match &host {
        SessionHost::Own(_) => built(arguments, globals, setup, root)?,
        #[cfg(target_os = "linux")]
        SessionHost::Daemon(_) => realised(arguments, globals, setup, root, &host)?,
    };
    if let Some(status) = interrupt.status() {
        return Ok(status);
    }
    let builder = match inputs {
        Inputs::Valid(builder) => builder,
        Inputs::Failed(status) => return Ok(status),
    };
    let derivation = builder.store.derivation(root)?;
    let (streams, stdio) = Streams::carry(None, globals.terminal.is_some())?;
    let session = Session {
        user: host.session_user(),
        command: arguments.command(),
        build: arguments.keep_dir()?,
        stdio,
        terminal: globals.terminal.clone().map(|inner| Arc::new(inner) as Arc<dyn SessionTerminal>),
        console: terminal::name(globals.terminal.as_ref()),
    };
    let ended = builder.shell(root, &derivation, session);
    let carried = streams.finish();
    if let Some(status) = interrupt.status() {
        return Ok(status);
    }
    let ended = ended?;
    carried?;
    let asked = arguments.conditions.quota();
    conditions::lines("the shell", &ended.imposed, asked).iter().for_each(output::tell);
    match ended.outcome {
        ExitOutcome::Exited(code) => Ok(Status::Exited(code)),
        ExitOutcome::Signaled(signal) => Ok(Status::Signaled(signal)),
    }
}

/// What became of a derivation's inputs.
enum Inputs {
    /// They are there, for a session by this.
    Valid(Arc<Builder>),
    /// The person has been told.
    Failed(Status),
}

/// Builds them.
fn built(
    arguments: &Arguments,
    globals: &Globals,
    setup: BuildSetup,
    root: &StorePath,
) -> Result<Inputs, CommandError> {
    let progress = Progress::new(false);
    let options = arguments.options(&setup.settings)?;
    let observer = Arc::new(progress.clone());
    let builder = builds::builder(setup, options, arguments.provided.backend, globals, observer)?;
    let finished = builds::inputs_of(&builder, root)?;
    progress.end();
    match finished.failed.is_empty() || builder.cancel.is_cancelled() {
        true => Ok(Inputs::Valid(builder)),
        false => Ok(Inputs::Failed(results::failed(&builder, finished.failed))),
    }
}

/// Has Nix's daemon bring them.
#[cfg(target_os = "linux")]
fn realised(
    arguments: &Arguments,
    globals: &Globals,
    setup: BuildSetup,
    root: &StorePath,
    host: &SessionHost,
) -> Result<Inputs, CommandError> {
    let options = arguments.options(&setup.settings)?;
    let observer = Arc::new(Progress::new(false));
    let builder = builds::builder_by_daemon(setup, options, host, globals, observer)?;
    let derivation = builder.store.derivation(root)?;
    derivation.check_buildable(builder.store.directory())?;
    let ended = realise_inputs(&builder.store, &derivation, &builder.cancel)?;
    match (ended.code(), ended.signal()) {
        (Some(0), _) => Ok(Inputs::Valid(builder)),
        (Some(code), _) => Ok(Inputs::Failed(Status::Exited(code))),
        (None, signal) => Ok(Inputs::Failed(Status::Signaled(signal.unwrap_or_default()))),
    }
}

impl Arguments {
    fn options(&self, settings: &Settings) -> Result<Options, CommandError> {
        Ok(Options {
            cores: self.cores,
            sandbox_paths: builds::sandbox_paths(settings, &self.sandbox_paths)?,
            scratches: self.provided.scratches()?,
            conditions: self.conditions.conditions(),
            ..Options::default()
        })
    }

    fn command(&self) -> ShellCommand {
        match &self.run {
            Some(line) => ShellCommand::Line(line.clone()),
            None if self.command.is_empty() => ShellCommand::Shell,
            None => ShellCommand::Command(self.command.clone()),
        }
    }

    fn keep_dir(&self) -> Result<Option<PathBuf>, CommandError> {
        Ok(self.keep_dir.as_deref().map(std::path::absolute).transpose()?)
    }
}

fn several(target: &Path, count: usize) -> UsageError {
    UsageError {
        message: format!("{target:?} stands for {count} derivations, and a shell is of one"),
        hints: vec!["-A ATTR chooses one of a Nix file's attributes".into()],
    }
}
