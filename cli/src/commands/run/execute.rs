//! What `loopbox run` does once its words are read: make the view, run, take it away.

use std::path::Path;

use builder::backend::{Backend, BackendError, Wish, devices};
use builder::plan::User;
use builder::program;
use builder::shell::SessionTerminal;
use mounter::MountOptions;
use mounter::jail::{Jail, JailError, Outcome, Spawner, Streams};
use mounter::stale::{Leftovers, StateDir};
use nfs_server::view::{Owner, View};
use nix::unistd::geteuid;

use super::directory::{self, RunDirectory};
use super::plan::Plan;
use super::{Arguments, RunError};
use crate::arguments::Globals;
use crate::commands::{entering, need_root};
use crate::error::{CommandError, CommandResult, Status};
use crate::itself;
use crate::output;
use crate::signals::Interrupt;
use crate::terminal::{self, TerminalError};

/// Makes the view real, runs the command in it, kills what it left, and takes the view away.
pub fn execute(arguments: &Arguments, globals: &Globals) -> CommandResult {
    if !arguments.dry_run
        && geteuid().is_root()
        && let Some(status) = terminal::front(globals)?
    {
        return Ok(status);
    }
    let simplest = Plan::make(arguments, &directory::unused(), entering::simplest())?;
    simplest.view.validate()?;
    if arguments.dry_run {
        output::print_json(&simplest.to_json()?)?;
        return Ok(Status::Done);
    }
    need_root()?;
    let interrupt = Interrupt::watch()?;
    if let Some(inner) = &globals.terminal {
        inner.watch(&interrupt)?;
    }
    let state = StateDir::open(&globals.state_dir)?;
    state.sweep()?;
    let loopbox = itself::program()?;
    let plan = match entering::host(&state, &globals.state_dir, &loopbox)? {
        None => simplest,
        mac => Plan::make(arguments, &simplest.base, mac)?,
    };
    let mount = cfg!(target_os = "macos").then(|| directory::mount_point(&plan.base));
    let note = state.note(Leftovers { mount, temporary: vec![plan.base.clone()] })?;
    let directory = RunDirectory::make(&plan, &note)?;

    let Owner { uid, gid } = plan.user;
    let user = User { uid, gid, groups: Vec::new() };
    let realised = arguments.backend(&plan).realise(Wish {
        view: &plan.view,
        user: &user,
        at: directory.mount_point(),
        note: &note,
        sink: None,
    });
    let realised = realised.map_err(whole)?;
    let program = plan.program(realised.view())?;
    let mut jail = plan.jail(realised.root(), program.clone());
    jail.devices = devices(&plan.view);
    jail.noted_in(&note);
    if let Some(inner) = &globals.terminal {
        jail.terminal = true;
        inner.begin(uid).map_err(TerminalError)?;
    }
    let (streams, stdio) = Streams::carry(Some(uid), globals.terminal.is_some())?;
    let spawner = Spawner::new(loopbox);
    let ended = Jail::spawn(&spawner, &jail, stdio).and_then(|jail| {
        let jail = match globals.terminal.clone() {
            Some(inner) => jail.when_stopped(move || inner.stopped()),
            None => jail,
        };
        let killer = jail.killer();
        let _killed_by_signals = interrupt.cancel().on_cancel(move || killer.kill());
        jail.wait()
    });
    let carried = streams.finish();
    if let Some(status) = interrupt.status() {
        return Ok(status);
    }
    let answer = explain(realised.view(), &program, &plan, ended);
    realised.end()?;
    carried?;
    answer
}

impl Arguments {
    /// What is shown writable may be changed by the host at the same time, which only an NFS client has to know.
    fn backend(&self, plan: &Plan) -> Box<dyn Backend> {
        self.backend.mounted_with(MountOptions { changes: plan.changes })
    }
}

/// What is wrong with a view says so itself.
fn whole(error: BackendError) -> CommandError {
    match error {
        BackendError::View(error) => error.into(),
        BackendError::Serve(error) => error.into(),
        other => other.into(),
    }
}

/// A program that could not start says little or nothing about it: the kernel answers ENOENT for a missing loader too,
/// and some loaders only exit.
fn explain(view: &View, program: &Path, plan: &Plan, ended: Result<Outcome, JailError>) -> CommandResult {
    let suspicious = matches!(
        ended,
        Err(JailError::Exec { .. }) | Ok(Outcome::Exited(127) | Outcome::Signaled(libc::SIGABRT))
    );
    if suspicious
        && plan.has_own_root()
        && let Err(trouble) = program::check(view, program, plan.search_path(), plan.library_path())
    {
        return Err(RunError::CannotStart(program.into(), trouble).into());
    }
    match ended? {
        Outcome::Exited(code) => Ok(Status::Exited(code)),
        Outcome::Signaled(signal) => Ok(Status::Signaled(signal)),
    }
}
