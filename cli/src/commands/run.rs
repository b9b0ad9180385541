//! `loopbox run … -- CMD`: any command in a view, without Nix.

mod bind;
mod defaults;
mod place;
mod plan;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use builder::program::{self, Trouble};
use mounter::jail::{Jail, JailError, Outcome, Root, Stdio3};
use mounter::stale::{Leftovers, StateDir};
use mounter::{MountOptions, Source};
use nfs_server::view::View;
use nfs_server::{Peers, Server, ServerOptions, Users};

use super::need_root;
use crate::arguments::Globals;
use crate::failure::{Answer, Status};
use crate::output;
use crate::signals::Interrupt;
use bind::Bind;
use place::Place;
use plan::Plan;

/// This binary, whatever has become of its path; the supervisor of a jail is the same one.
const SELF: &str = "/proc/self/exe";

/// Words of `loopbox run`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Show a host file or directory, read-only; at the same path unless another is given
    #[arg(long, value_name = "SRC[:AT]")]
    ro: Vec<Bind>,
    /// Show a host file or directory that the command may write
    #[arg(long, value_name = "SRC[:AT]")]
    rw: Vec<Bind>,
    /// Show a path of the Nix store and all that it needs
    #[arg(long, value_name = "PATH")]
    closure: Vec<PathBuf>,
    /// Show a host program with its loader, its libraries and its interpreter; a name is looked up in PATH
    #[arg(long, value_name = "PROGRAM")]
    with: Vec<PathBuf>,
    /// An empty directory that the command may write, gone afterwards
    #[arg(long, value_name = "AT")]
    tmpfs: Vec<PathBuf>,
    /// A variable of the environment; without a value, loopbox's own
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<OsString>,
    /// Where the command starts
    #[arg(long, value_name = "DIR", default_value = "/")]
    chdir: PathBuf,
    /// User to run as; without it, the one who called sudo, or else whoever calls
    #[arg(long)]
    uid: Option<u32>,
    /// Group to run as
    #[arg(long)]
    gid: Option<u32>,
    /// Let the command use this machine's network
    #[arg(long)]
    net: bool,
    /// Name of the machine that the command sees
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    hostname: String,
    /// Print the view and the jail as JSON and run nothing
    #[arg(long)]
    dry_run: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Why a command did not run in its view.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Mounting, namespaces and users need root.
    #[error("this needs root: nobody else may mount file systems")]
    NotRoot,
    /// The command is in no directory of its PATH.
    #[error("{0:?} is in no directory of the PATH in the view")]
    NotInPath(String),
    /// The command does not exist.
    #[error("{0:?} does not exist in the view")]
    NoProgram(PathBuf),
    /// Something that the command needs is not in the view.
    #[error("{0:?} cannot start in the view")]
    CannotStart(PathBuf, #[source] Trouble),
}

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
