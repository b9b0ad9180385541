//! What `loopbox shell` does once its words are read: builds what is missing, then enters.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use builder::build::Options;
use builder::shell::{Session, ShellCommand};
use builder::store::Settings;
use sandbox::SessionTerminal;
use sandbox::jail::{Outcome, Streams};

use super::Arguments;
use crate::commands::build::{progress::Progress, results};
use crate::commands::builds::{self, Start};
use crate::commands::need_root;
use crate::error::{CommandError, CommandResult};
use crate::exit::Status;
use crate::failures::UsageError;
use crate::globals::Globals;
use crate::signals::Interrupt;
use crate::{conditions, output, terminal};

/// Builds the inputs that are missing, and runs a shell or a command in the view of the derivation.
pub fn execute(arguments: &Arguments, globals: &Globals) -> CommandResult {
    arguments.conditions.check(&arguments.provided)?;
    need_root()?;
    if let Some(status) = terminal::front(globals.terminal.as_ref())? {
        return Ok(status);
    }
    let start = Start::make(Interrupt::watch()?, &arguments.evaluation)?;
    if let Some(inner) = &globals.terminal {
        inner.watch(&start.interrupt)?;
    }
    let Start { store, settings, interrupt } = &start;
    let targets = std::slice::from_ref(&arguments.target);
    let roots = arguments.evaluation.derivations(store, targets)?;
    let [root] = roots.as_slice() else { return Err(several(&arguments.target, roots.len()).into()) };
    let progress = Progress::new(false);
    let (options, interrupt) = (arguments.options(settings)?, interrupt.clone());
    let observer = Arc::new(progress.clone());
    let builder = builds::builder(start, options, arguments.provided.backend, globals, observer)?;
    let finished = builds::inputs_of(&builder, root)?;
    progress.end();
    if let Some(status) = interrupt.status() {
        return Ok(status);
    }
    if !finished.failed.is_empty() {
        return Ok(results::failed(&builder, finished.failed));
    }

    let derivation = builder.store.derivation(root)?;
    let (streams, stdio) = Streams::carry(None, globals.terminal.is_some())?;
    let session = Session {
        wish: arguments.wish(),
        build: arguments.keep_dir()?,
        stdio,
        terminal: globals.terminal.clone().map(|inner| Arc::new(inner) as Arc<dyn SessionTerminal>),
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
        Outcome::Exited(code) => Ok(Status::Exited(code)),
        Outcome::Signaled(signal) => Ok(Status::Signaled(signal)),
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

    fn wish(&self) -> ShellCommand {
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
