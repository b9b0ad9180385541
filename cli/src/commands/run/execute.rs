//! What `loopbox run` does once its words are read: serve, mount, run, unmount, stop.

use std::path::Path;
use std::sync::Arc;

use builder::program;
use mounter::jail::{Jail, JailError, Outcome, Root, Stdio3};
use mounter::stale::{Leftovers, StateDir};
use mounter::{MountOptions, Source};
use nfs_server::view::View;
use nfs_server::{Peers, Server, ServerOptions, Users};

use super::place::{self, Place};
use super::plan::Plan;
use super::{Arguments, RunError};
use crate::arguments::Globals;
use crate::commands::need_root;
use crate::failure::{Answer, Status};
use crate::output;
use crate::signals::Interrupt;

/// This binary, whatever has become of its path; the supervisor of a jail is the same one.
const SELF: &str = "/proc/self/exe";

/// Serves the view, mounts it, runs the command, kills what it left, unmounts while still serving, and stops.
pub fn execute(arguments: &Arguments, globals: &Globals) -> Answer {
    let plan = Plan::make(arguments, &place::unused())?;
    plan.view.validate()?;
    if arguments.dry_run {
        output::print(&plan.to_json()?)?;
        return Ok(Status::Done);
    }
    need_root()?;
    let interrupt = Interrupt::watch()?;
    let state = StateDir::open(&globals.state_dir)?;
    state.sweep()?;
    let note = state.note(Leftovers { mount: None, temporary: vec![plan.base.clone()] })?;
    let place = Place::make(&plan)?;

    let view = Arc::new(View::open(&plan.view, None)?);
    let program = plan.program(&view)?;
    let users = Users::Only(vec![plan.user.uid]);
    let options = ServerOptions { users, peers: Peers::KernelOnly, secret: None };
    let server = Server::start(Arc::clone(&view), options)?;
    let source = Source { addr: server.addr(), export: server.export().into() };
    note.serves(&source)?;
    let options = MountOptions { changes: plan.changes };
    let root = Root::Nfs { source, options, mount_point: place.mount_point().into() };

    let ended =
        Jail::spawn(Path::new(SELF), &plan.jail(root, program.clone()), Stdio3::inherit()).and_then(|jail| {
            let killer = jail.killer();
            let _killed_by_signals = interrupt.on_signal(move || killer.kill());
            jail.wait()
        });
    server.stop();
    if let Some(status) = interrupt.status() {
        return Ok(status);
    }
    explain(&view, &program, &plan, ended)
}

/// A program that could not start says little or nothing about it: the kernel answers ENOENT for a missing loader too,
/// and some loaders only exit.
fn explain(view: &View, program: &Path, plan: &Plan, ended: Result<Outcome, JailError>) -> Answer {
    let suspicious = matches!(
        ended,
        Err(JailError::Exec { .. }) | Ok(Outcome::Exited(127) | Outcome::Signaled(libc::SIGABRT))
    );
    if suspicious && let Err(trouble) = program::check(view, program, plan.search_path(), plan.library_path())
    {
        return Err(RunError::CannotStart(program.into(), trouble).into());
    }
    match ended? {
        Outcome::Exited(code) => Ok(Status::Exited(code)),
        Outcome::Signaled(signal) => Ok(Status::Signaled(signal)),
    }
}
