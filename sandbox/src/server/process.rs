//! The process that serves a view.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use mounter::Identity;
use mounter::jail::control;
use nfs_server::view::{AccessObserver, View, ViewOptions};
use nfs_server::{Listener, Peers, Server, ServerOptions, Users};

use super::confine::{self, ConfineError, Files};
use super::log;
use super::request::{Failure, ServeRequest, ServerCommand, ServerReport};
use crate::access::{AccessLog, Recording};
use crate::conditions::ConditionReport;

/// Serves what is asked for on the control socket, until that says so or ends. Call it before the process has a second
/// thread.
#[must_use]
pub fn serve(control: &UnixStream) -> ExitCode {
    let Ok(Some(request)) = control::receive::<ServeRequest>(control) else { return ExitCode::FAILURE };
    let Ok(sender) = control.try_clone() else { return ExitCode::FAILURE };
    log::send(sender, &request.log);
    let wanted = request.recording != Recording::Nothing;
    let accesses = wanted.then(|| Arc::new(AccessLog::new(request.recording)));
    let (server, view) = match start(&request, accesses.clone()) {
        Ok(started) => started,
        Err(failure) => return report(control, &ServerReport::Failed(failure)),
    };
    let (address, export) = (server.addr(), server.export().into());
    let identities = request.identify.iter().map(|at| identity(&view, at)).collect();
    let serves = ServerReport::Serves { address, export, pid: std::process::id(), identities };
    if control::send(control, &serves).is_err() {
        return ExitCode::FAILURE;
    }
    loop {
        match control::receive(control) {
            Ok(Some(ServerCommand::Stop)) => break,
            Ok(Some(ServerCommand::Count)) => {
                let counted = ServerReport::Counted(server.calls().to_numbers());
                if control::send(control, &counted).is_err() {
                    return ExitCode::FAILURE;
                }
            }
            // Without a command the other side has died, and the client with it.
            Ok(None) | Err(_) => return ExitCode::FAILURE,
        }
    }
    let (slowest_calls, faults) = (server.slowest_calls(), server.injected());
    let calls = server.stop().to_numbers();
    let mut accesses = Box::new(accesses.map(|accesses| accesses.take(&view)).unwrap_or_default());
    accesses.slowest_calls = slowest_calls;
    let imposed = ConditionReport { quota: view.quota_usage(), faults };
    report(control, &ServerReport::Ended { calls, accesses, imposed })
}

/// All that takes root comes first, and the first thread last.
fn start(request: &ServeRequest, accesses: Option<Arc<AccessLog>>) -> Result<(Server, Arc<View>), Failure> {
    let ServeRequest { view, rights, opens_as_user, .. } = request;
    let confined = |error: ConfineError| Failure::of(error.step, error.source);
    confine::raise_limits();
    let listener = Listener::new(Peers::KernelOnly)?;
    if *opens_as_user {
        confine::become_user(rights).map_err(confined)?;
    }
    let options = ViewOptions {
        observer: accesses.map(|accesses| accesses as Arc<dyn AccessObserver>),
        becomes: confine::becomes(rights),
        variation: request.variation,
        quota: request.conditions.quota,
        ..ViewOptions::default()
    };
    let opened = Arc::new(View::open_with(view, options)?);
    let files = Files::of(view).map_err(confined)?;
    if !opens_as_user {
        confine::become_user(rights).map_err(confined)?;
    }
    files.restrict().map_err(confined)?;
    let options = ServerOptions {
        times_calls: request.recording == Recording::Hidden,
        faults: request.conditions.faults.clone(),
        ..ServerOptions::new(Users::Only(vec![rights.user.uid]), Peers::KernelOnly)
    };
    let server = Server::start_on(listener, Arc::clone(&opened), options)?;
    Ok((server, opened))
}

fn identity(view: &View, at: &Path) -> Option<Identity> {
    view.host_identity(at).map(|(device, inode)| Identity { device, inode })
}

fn report(control: &UnixStream, last: &ServerReport) -> ExitCode {
    match control::send(control, last) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
