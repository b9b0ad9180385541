//! A session of a person in a build's view: the same view, jail and environment, and a command of one's own.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sandbox::cancel::Cancel;
use sandbox::command::show_console;
use sandbox::jail::{Files, JailSpec, Mac, Profile, StdioFds, User};
use sandbox::{Privilege, Program, SessionOutcome, SessionProvider, SessionTerminal, unused_directory};

use crate::build::{BuildError, BuildRequest, Builder};
use crate::build_dirs::BuildDirs;
use crate::build_run::kill_processes;
use crate::caller;
use crate::derivation::Derivation;
use crate::plan::Plan;
use crate::store_path::StorePath;

/// Programs that run what they are told.
const SHELLS: [&str; 8] = ["ash", "bash", "dash", "fish", "ksh", "mksh", "sh", "zsh"];

/// Programs that are a shell when their first argument says so.
const MANY_IN_ONE: [&str; 2] = ["busybox", "toybox"];

/// A shell that most builds have, by Nix's setting `sandbox-paths`.
const USUAL: &str = "/bin/sh";

/// What is run in place of the builder.
#[derive(Clone, Debug, Default)]
pub enum ShellCommand {
    /// A shell that asks what to do.
    #[default]
    Shell,
    /// A line for a shell.
    Line(String),
    /// A command and its arguments; a name without a slash is looked up by a shell.
    Command(Vec<OsString>),
}

/// One session.
pub struct Session<'a> {
    /// Who is in it.
    pub user: SessionUser<'a>,
    /// What is run.
    pub command: ShellCommand,
    /// The directory of a failed build, to go on in; without it, the build directory is a new one.
    pub build: Option<PathBuf>,
    /// What it reads and writes.
    pub stdio: StdioFds,
    /// The terminal that these are for this session alone; none where they are something else.
    pub terminal: Option<Arc<dyn SessionTerminal>>,
    /// Its path on the host.
    pub console: Option<PathBuf>,
}

/// Who is in a session.
#[derive(Clone, Copy)]
pub enum SessionUser<'a> {
    /// A build user, by this process, which is root's; where a build directory is given, its owner.
    BuildUser,
    /// Whoever runs this process, by another that makes the view. His directories are where temporary ones are.
    Caller(&'a dyn SessionProvider),
}

/// How a session is set up for its user.
struct SessionSetup<'a> {
    user: User,
    privilege: Privilege<'a>,
    /// A directory to be made for it.
    top: PathBuf,
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
        session: Session<'_>,
    ) -> Result<SessionOutcome, BuildError> {
        derivation.check_buildable(self.store.directory())?;
        let inputs = self.inputs(derivation)?;
        self.store.hold(&inputs, &BTreeSet::new())?;
        let request = self.request(path, derivation, inputs)?;
        let owner = session.build.as_deref().map(owner).transpose()?;
        match session.user {
            SessionUser::BuildUser => {
                let user = self.acquire_user(owner)?;
                kill_processes(&self.spawner, &user)?;
                let top = BuildDirs::unused(&self.store, &self.settings, path);
                let privilege = Privilege::Own(&self.spawner);
                let ended =
                    self.shell_as(SessionSetup { user: user.as_user(), privilege, top }, request, session);
                kill_processes(&self.spawner, &user)?;
                ended
            }
            SessionUser::Caller(provider) => {
                let user = caller::user().map_err(BuildError::Groups)?;
                if let (Some(uid), Some(path)) = (owner.filter(|uid| *uid != user.uid), &session.build) {
                    return Err(BuildError::OthersDirectory { path: path.clone(), uid });
                }
                let (privilege, top) = (Privilege::Other(provider), unused_directory()?);
                self.shell_as(SessionSetup { user, privilege, top }, request, session)
            }
        }
    }

    fn shell_as(
        &self,
        SessionSetup { user, privilege, top }: SessionSetup<'_>,
        mut request: BuildRequest<'_>,
        session: Session<'_>,
    ) -> Result<SessionOutcome, BuildError> {
        let given = session.build.is_some();
        let place = BuildDirs::for_shell(&self.state, top, session.build)?;
        request.hook_paths = self.hook_paths(request.path, place.work_dir.mount_point())?;
        let mut plan = self.plan(&request, &user, &place.scratch)?;
        if given {
            place.write_missing_files(&plan)?;
        } else {
            place.write_files(&plan)?;
        }
        plan.keep_from_store();
        if given {
            // Others of the machine can reach it, and only a server keeps a program from leaving set-id files there.
            plan.local.retain(|scratch| *scratch != plan.jail.cwd);
        }
        session.command.put_into(&mut plan);
        if cfg!(target_os = "linux") {
            session.console.iter().for_each(|terminal| show_console(terminal, &mut plan.view.entries));
        }
        let view =
            plan.session(&*self.backend, &place.work_dir, privilege, &self.options.conditions).open()?;
        Ok(view.run(Program {
            jail: plan.jail.clone(),
            stdio: session.stdio,
            terminal: session.terminal,
            cancel: &self.cancel,
            stop: &Cancel::default(),
            worthless_on_failure: true,
        })?)
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
        let Some(Mac { profile: Profile { files: Files::Listed { write, .. }, .. }, .. }) =
            &mut self.jail.mac
        else {
            return;
        };
        write.retain(|path| path.starts_with(&self.jail.cwd));
    }
}

impl ShellCommand {
    /// Takes the builder's place in a plan.
    fn put_into(self, plan: &mut Plan) {
        let (shell, words) = shell(plan);
        let line = |line: &str| vec![OsString::from("-c"), OsString::from(line)];
        (plan.jail.program, plan.jail.argv) = match self {
            ShellCommand::Shell => (shell, words),
            ShellCommand::Line(text) => (shell, [words, line(&text)].concat()),
            ShellCommand::Command(command) => match command.first() {
                Some(first) if first.as_bytes().contains(&b'/') => (first.into(), command),
                _ => (shell, [words, line("exec \"$0\" \"$@\""), command].concat()),
            },
        };
    }
}

/// The shell that the builder is, or else the usual one, and the words that make it one.
fn shell(plan: &Plan) -> (PathBuf, Vec<OsString>) {
    let is = |word: Option<&OsStr>, names: &[&str]| {
        let name = word.and_then(|word| Path::new(word).file_name());
        name.is_some_and(|name| names.iter().any(|known| name == *known))
    };
    let JailSpec { program, argv, .. } = &plan.jail;
    if is(Some(program.as_os_str()), &SHELLS) {
        (program.clone(), argv.iter().take(1).cloned().collect())
    } else if is(Some(program.as_os_str()), &MANY_IN_ONE) && is(argv.get(1).map(|word| &**word), &SHELLS) {
        (program.clone(), argv.iter().take(2).cloned().collect())
    } else {
        (USUAL.into(), vec![USUAL.into()])
    }
}
