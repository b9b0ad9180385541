//! A person at work where a build works: the same view, jail and environment, and a command of one's own.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, io};

use mounter::jail::{Mac, Outcome, Stdio3};
use mounter::profile::{Files, Profile};

use crate::build::{BuildError, Builder, Job, Purpose};
use crate::cancel::Cancel;
use crate::derivation::Derivation;
use crate::plan::{Plan, Word};
use crate::run::{Act, Means, in_view, kill_processes};
use crate::scratch::BuildDirectories;
use crate::store_path::StorePath;

/// Programs that run what they are told.
const SHELLS: [&str; 8] = ["ash", "bash", "dash", "fish", "ksh", "mksh", "sh", "zsh"];

/// Programs that are a shell when their first argument says so.
const MANY_IN_ONE: [&str; 2] = ["busybox", "toybox"];

/// A shell that most builds have, by Nix's setting `sandbox-paths`.
const USUAL: &str = "/bin/sh";

/// What is run in place of the builder.
#[derive(Clone, Debug, Default)]
pub enum Wish {
    /// A shell that asks what to do.
    #[default]
    Shell,
    /// A line for a shell.
    Line(String),
    /// A command and its arguments; a name without a slash is looked up by a shell.
    Command(Vec<Word>),
}

/// One session.
#[derive(Debug)]
pub struct Session {
    /// What is run.
    pub wish: Wish,
    /// The directory of a failed build, to go on in; without it, the build directory is a new one.
    pub build: Option<PathBuf>,
    /// What it reads and writes.
    pub stdio: Stdio3,
    /// The terminal that these are for this session alone; none where they are something else.
    pub terminal: Option<Arc<dyn SessionTerminal>>,
}

/// The other side of a terminal that a session alone has.
pub trait SessionTerminal: fmt::Debug + Send + Sync {
    /// The session is about to begin, as this user.
    ///
    /// # Errors
    /// When the terminal cannot be made ready.
    fn begin(&self, uid: u32) -> io::Result<()>;

    /// The session's program has stopped, as by Ctrl-Z.
    fn stopped(&self);
}

impl Builder {
    /// Runs something where a derivation would be built; its inputs have to be valid. Nothing stays of it but what was
    /// written to a build directory that was given.
    ///
    /// # Errors
    /// The step that failed.
    pub fn shell(
        &self,
        path: &StorePath,
        derivation: &Derivation<'_>,
        session: Session,
    ) -> Result<Outcome, BuildError> {
        derivation.check_buildable(self.store.directory())?;
        let inputs = self.inputs(derivation)?;
        self.store.hold(&inputs, &BTreeSet::new())?;
        let user = self.acquire_user(session.build.as_deref().map(owner).transpose()?)?;
        kill_processes(&self.spawner, &user)?;
        let given = session.build.is_some();
        let place =
            BuildDirectories::for_shell(&self.store, &self.settings, &self.state, path, session.build)?;
        let known = self.known(derivation, &inputs)?;
        let sandbox_closure = self.sandbox_closure()?;
        let (purpose, unwanted) = (Purpose::Make, BTreeSet::new());
        let hook_paths = self.hook_paths(path, &place.mount_point)?;
        let job = Job { path, derivation, known, sandbox_closure, purpose, unwanted, hook_paths };
        let mut plan = self.plan(&job, &user.as_user(), &place.scratch)?;
        if given {
            place.write_missing_files(&plan)?;
        } else {
            place.write_files(&plan)?;
        }
        plan.keep_from_store();
        session.wish.put_into(&mut plan);
        if let Some(terminal) = &session.terminal {
            terminal.begin(user.uid).map_err(BuildError::Terminal)?;
        }
        let means = Means {
            backend: &*self.backend,
            note: &place.note,
            spawner: &self.spawner,
            cancel: &self.cancel,
            stop: &Cancel::default(),
            act: session.terminal.map_or(Act::Program, Act::Session),
        };
        let ended = in_view(&means, &plan, &place.mount_point, session.stdio, || ());
        kill_processes(&self.spawner, &user)?;
        Ok(ended?.outcome)
    }
}

fn owner(build: &Path) -> Result<u32, BuildError> {
    let metadata = build.symlink_metadata();
    let failed = |source| BuildError::KeptDirectory { path: build.into(), source };
    let metadata = metadata.map_err(failed)?;
    if metadata.is_dir() { Ok(metadata.uid()) } else { Err(failed(std::io::ErrorKind::NotADirectory.into())) }
}

impl Plan {
    /// Nobody takes outputs from a session, so that none may be written where they would stay.
    fn keep_from_store(&mut self) {
        let Some(Mac { profile: Profile { files: Files::Listed { write, .. }, .. }, .. }) = &mut self.mac
        else {
            return;
        };
        write.retain(|path| path.starts_with(&self.directory));
    }
}

impl Wish {
    /// Takes the builder's place in a plan.
    fn put_into(self, plan: &mut Plan) {
        let shell = shell(plan);
        let (words, program) = match self {
            Wish::Shell => (Vec::new(), None),
            Wish::Line(line) => (vec![Word::from("-c"), Word::from(line)], None),
            Wish::Command(words) => match words.first().cloned() {
                Some(first) if first.as_bytes().contains(&b'/') => (words, Some(first)),
                _ => ([vec![Word::from("-c"), Word::from("exec \"$0\" \"$@\"")], words].concat(), None),
            },
        };
        (plan.program, plan.arguments) = match program {
            Some(program) => (program, words),
            None => (shell.0, [shell.1, words].concat()),
        };
    }
}

/// The shell that the builder is, or else the usual one, and the words that make it one.
fn shell(plan: &Plan) -> (Word, Vec<Word>) {
    let is = |word: Option<&Word>, names: &[&str]| {
        let name = word.and_then(|word| word.as_bytes().rsplit(|byte| *byte == b'/').next());
        name.is_some_and(|name| names.iter().any(|known| known.as_bytes() == name))
    };
    let program = Some(&plan.program);
    if is(program, &SHELLS) {
        (plan.program.clone(), plan.arguments.iter().take(1).cloned().collect())
    } else if is(program, &MANY_IN_ONE) && is(plan.arguments.get(1), &SHELLS) {
        (plan.program.clone(), plan.arguments.iter().take(2).cloned().collect())
    } else {
        let usual = Word::from(USUAL);
        (usual.clone(), vec![usual])
    }
}
