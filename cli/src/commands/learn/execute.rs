//! What `loopbox learn` does once its words are read: run the command with the whole machine in its view, and tell what it used.

use std::borrow::Cow;
use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;

use builder::store::Store;
use nix::unistd::{Uid, User};
use sandbox::Scratches;
use sandbox::access::Recording;
use sandbox::backend::BackendKind;
use sandbox::command::{BindSpec, Declaration, Request};
use sandbox::learn::{LearnRules, LearnedView, Secrets};

use super::Arguments;
use super::closure::roots;
use crate::commands::in_view::{InView, InViewOutcome};
use crate::error::{CommandError, CommandResult};
use crate::exit::Status;
use crate::failures::UsageError;
use crate::globals::Globals;
use crate::output::{self, name};
use crate::session_host::SessionHost;
use crate::terminal;

/// Paths of a kind that are told.
const TOLD: usize = 10;

/// Runs the command, and tells or writes the smallest view in which it runs again.
pub fn execute(arguments: &Arguments, globals: &Globals) -> CommandResult {
    if cfg!(target_os = "macos") {
        return Err(not_on_a_mac().into());
    }
    if SessionHost::find(globals).is_ok()
        && let Some(status) = terminal::front(globals.terminal.as_ref())?
    {
        return Ok(status);
    }
    let known = arguments.update.as_deref().map(Declaration::read).transpose()?.unwrap_or_default();
    let allowed = arguments.allow.iter().map(std::path::absolute).collect::<Result<Vec<PathBuf>, _>>()?;
    let secrets = Secrets::new(&allowed)?;
    let mut declared = known.clone();
    declared.extend(arguments.words(&known)?);
    let request = arguments.declared.request(beside_the_machine(&declared), &arguments.command)?;
    // A server alone sees what is asked for.
    let console = terminal::name(globals.terminal.as_ref());
    let request = Request { whole_machine: true, scratches: Scratches::Nfs, console, ..request };
    let in_view = InView::new(&request, BackendKind::Nfs, Recording::Found, false)?;
    let plan = in_view.plan()?;
    let ended_command = match in_view.run(plan, globals)? {
        InViewOutcome::Interrupted(status) => return Ok(status),
        InViewOutcome::Ended(ended_command) => ended_command,
    };
    let learnt = ended_command.ended.as_ref().ok().map(|ended| {
        let homes = homes(request.user.uid);
        let rules = LearnRules { immutable: &request.immutable, homes: &homes, secrets: &secrets };
        LearnedView::of(&ended_command.command, &ended.accesses, &rules)
    });
    let status = ended_command.status()?;
    if let Some(learnt) = learnt {
        arguments.keep(declared, learnt, status)?;
    }
    Ok(status)
}

impl Arguments {
    /// What is declared on the command line. The command starts where the caller is, unless something was said before.
    fn words(&self, known: &Declaration) -> Result<Declaration, CommandError> {
        let here = || known.chdir.is_none().then(env::current_dir).transpose();
        let chdir = match &self.chdir {
            Some(chdir) => Some(chdir.clone()),
            None => here()?,
        };
        Ok(Declaration { chdir, ..self.declared.declaration() })
    }

    /// Adds what was learnt to what is known, writes it or tells it, and says what it lacks.
    fn keep(&self, mut view: Declaration, learnt: LearnedView, status: Status) -> Result<(), CommandError> {
        let LearnedView { view: mut found, secrets, in_part, incomplete } = learnt;
        let (roots, rest) = roots(&Store::from_environment(), &found.closure)?;
        found.closure = roots;
        found.ro.extend(rest.into_iter().map(BindSpec::same));
        view.extend(found);
        view.fold();
        match self.output.as_ref().or(self.update.as_ref()) {
            Some(file) => {
                view.write(file)?;
                output::tell(format_args!(
                    "learnt: {}; 'loopbox run --view {}' runs it",
                    count(&view),
                    name(file)
                ));
            }
            None => output::tell(format_args!("learnt: it runs with\n{}", self.line(&view))),
        }
        if status != Status::Exited(0) {
            output::tell("note: the command failed, and its view has what it used until then");
        }
        if incomplete {
            output::tell("note: it used more than is remembered; --ro of whole directories helps");
        }
        list("note: not shown, since nobody should see it; --allow PATH shows it:", &secrets);
        list("note: listed, and shown only as far as it was used; --ro DIR shows all of it:", &in_part);
        Ok(())
    }

    /// The command line that runs the command in such a view.
    fn line(&self, view: &Declaration) -> String {
        let mut lines = vec!["  loopbox run".to_owned()];
        for (flag, value) in view.flags() {
            let value = value.map(|value| format!(" {}", quoted(&value))).unwrap_or_default();
            lines.push(format!("    {flag}{value}"));
        }
        let command: Vec<String> = self.command.iter().map(|word| quoted(word)).collect();
        lines.push(format!("    -- {}", command.join(" ")));
        lines.join(" \\\n")
    }
}

/// A word of a command line as a shell reads it.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    // Only a NUL byte has no form, and no word has one.
    shlex::try_quote(&word).map_or_else(|_| word.to_string(), Cow::into_owned)
}

/// What has to be declared although the machine is shown: what is written, and what is shown elsewhere.
fn beside_the_machine(declared: &Declaration) -> Declaration {
    let elsewhere = declared.ro.iter().filter(|bind| !bind.is_same());
    Declaration {
        with: Vec::new(),
        closure: Vec::new(),
        dir: Vec::new(),
        ro: elsewhere.cloned().collect(),
        ..declared.clone()
    }
}

/// The directories that people have as their own, of this user and of whoever calls.
fn homes(uid: u32) -> Vec<PathBuf> {
    let of_user = User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.dir);
    let own = env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    of_user.into_iter().chain(own).collect()
}

fn count(view: &Declaration) -> String {
    let counted = |count: usize, one: &str, many: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {many}")),
    };
    let is_directory = |bind: &&BindSpec| bind.source.is_dir() && !bind.source.is_symlink();
    let directories = view.ro.iter().filter(is_directory).count();
    let parts = [
        counted(view.with.len(), "program with its libraries", "programs with their libraries"),
        counted(view.closure.len(), "closure of the store", "closures of the store"),
        counted(directories, "directory", "directories"),
        counted(view.ro.len() - directories, "file", "files"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "nothing".into() } else { parts.join(", ") }
}

fn list(title: &str, paths: &[PathBuf]) {
    if paths.is_empty() {
        return;
    }
    output::tell(title);
    paths.iter().take(TOLD).for_each(|path| output::tell(format_args!("note:   {}", name(path))));
    if let Some(more) = paths.len().checked_sub(TOLD).filter(|more| *more > 0) {
        output::tell(format_args!("note:   and {more} more"));
    }
}

fn not_on_a_mac() -> UsageError {
    UsageError {
        message: "learn: on a Mac a view's server may not look at what the view hides".into(),
        hints: vec!["'loopbox run --report' names what a command asked for in vain.".into()],
    }
}
