//! The supervisor: mounts the view, starts the program, outlives it, and takes the mount away, whoever dies first.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Instant;
use std::{fs, thread};

use defences::Defence;
use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::poll::PollTimeout;
use nix::sched::CloneFlags;
use nix::sys::prctl;
use nix::sys::socket::{MsgFlags, recv};
use nix::unistd::{ForkResult, Pid};

use super::commands::{self, Commands};
use super::control::{self, InitReport, Report, SERVER_GONE, SetupReport};
use super::tree::Tree;
use super::{ExitOutcome, Ids, JailError, Root, SpawnRequest, Task, User, inside};
use crate::child::{Handle, forget_streams, reap};
use crate::guard::Guard;
use crate::{Mount, sys};

/// How often calls to a dead server are aborted while what waits for them is killed, in milliseconds: a process can
/// start one more call each time before it notices that it was killed.
const ABORT_INTERVAL: u16 = 50;

/// All of a jail's life; the answer is the last report.
pub(super) fn supervise(request: &SpawnRequest, task: Task, control: &UnixStream) -> Report {
    let mut commands = Commands::new(control);
    let mounted = request.validate().and_then(|()| own_mounts()).and_then(|()| mount(&request.root, control));
    let mount = match mounted {
        Ok(mount) => mount,
        Err(error) => return Report::Failed(error),
    };
    let started = Program::start(request, task).and_then(|mut program| {
        program.wait_until_executed(&request.spec.user, &mut commands, mount.nfs())?;
        Ok(program)
    });
    let mut program = match started {
        Ok(program) => program,
        Err(error) => {
            mount.unmount_unused(commands.server_gone);
            return Report::Failed(error);
        }
    };
    // A failure to send is a death of loopbox, which the wait below notices.
    let _ = control::send(control, &Report::Started { pid: program.pid.as_raw() });
    let outcome = program.wait(&mut commands, mount.nfs(), control);
    let ended = Instant::now();
    let unmounted = match mount {
        Mounted::Nfs(mount, _guard) if commands.server_gone => {
            mount.abandon();
            Ok(())
        }
        Mounted::Nfs(mount, mut guard) => {
            abort_calls_if_the_server_goes(control, &mount);
            guard.iter_mut().for_each(Guard::wait_until_ready);
            mount.unmount()
        }
        Mounted::Places(tree) => {
            drop(tree);
            Ok(())
        }
        Mounted::Nothing => Ok(()),
    };
    match outcome {
        Ok(outcome) => Report::Ended { outcome, unmounted, unmounting: ended.elapsed() },
        Err(error) => Report::Lost(error),
    }
}

/// A mount namespace that nobody else sees. The host's mounts in it follow the host's, so that an unmount there is
/// not held up by us.
fn own_mounts() -> Result<(), JailError> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| {
            nix::mount::mount(
                None::<&str>,
                "/",
                None::<&str>,
                MsFlags::MS_REC | MsFlags::MS_SLAVE,
                None::<&str>,
            )
        })
        .map_err(|errno| JailError::MountNamespace { source: errno.into() })
}

/// Mounting asks the server, which dies with loopbox. There is no mount yet whose calls could be aborted, but the
/// kernel lets go of a caller that is killed: so this process dies with its parent, which ends with loopbox, until it has
/// mounted. And any command of loopbox ends it until then: there is nothing but the mount to end, and who waits for a
/// server that has died hears nothing.
fn mount(root: &Root, control: &UnixStream) -> Result<Mounted, JailError> {
    let (source, options, mount_point) = match root {
        Root::Nfs { source, options, mount_point } => (source, options, mount_point),
        Root::Places(places) => return Ok(Mounted::Places(Tree::make(places)?)),
        Root::Directory(_) => return Ok(Mounted::Nothing),
    };
    inside::die_with_parent(control)?;
    end_by_commands(control)?;
    let mount = Mount::new(source, mount_point, options).map_err(|source| JailError::Mount { source })?;
    sys::end_by(control.as_fd(), false).map_err(cannot_end)?;
    prctl::set_pdeathsig(None).map_err(|errno| JailError::Arrange {
        what: "clear PR_SET_PDEATHSIG".into(),
        source: errno.into(),
    })?;
    let guard = mount
        .fork_guard()
        .map_err(|source| JailError::Arrange { what: "start the mount's guard".into(), source })?;
    Ok(Mounted::Nfs(mount, guard))
}

/// Lets a command, or the end of the control socket, end this process from now on.
fn end_by_commands(control: &UnixStream) -> Result<(), JailError> {
    sys::end_by(control.as_fd(), true).map_err(cannot_end)?;
    match recv(control.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
        Err(Errno::EAGAIN) => Ok(()),
        // It came before.
        _ => Err(JailError::SupervisorDied),
    }
}

fn cannot_end(source: io::Error) -> JailError {
    JailError::Arrange { what: "be ended by loopbox while it mounts".into(), source }
}

/// What the supervisor has mounted.
enum Mounted {
    /// With what ends its client should this process be killed together with loopbox.
    Nfs(Mount, Option<Guard>),
    Places(Tree),
    Nothing,
}

impl Mounted {
    /// The mount whose calls need a server.
    fn nfs(&self) -> Option<&Mount> {
        match self {
            Mounted::Nfs(mount, _) => Some(mount),
            Mounted::Places(_) | Mounted::Nothing => None,
        }
    }

    /// Takes it away without a program having run.
    fn unmount_unused(self, server_gone: bool) {
        match self {
            Mounted::Nfs(mount, _guard) if server_gone => mount.abandon(),
            mounted => drop(mounted),
        }
    }
}

/// The first process inside. It is killed when this is dropped.
struct Program {
    pid: Pid,
    handle: Handle,
    /// Its messages until it is executed.
    channel: UnixStream,
    /// What a process 1 of loopbox's own reports of the program; at its end at once if there is none.
    reports: Option<UnixStream>,
    /// How the program ended, if process 1 has reported it.
    reported: Option<ExitOutcome>,
    reaped: bool,
}

impl Program {
    fn start(request: &SpawnRequest, task: Task) -> Result<Program, JailError> {
        let failed = |source: io::Error| JailError::Fork { source };
        let (channel, theirs) = UnixStream::pair().map_err(failed)?;
        let (reports, init_reports) = UnixStream::pair().map_err(failed)?;
        let own_processes = File::open("/proc/self/ns/pid").map_err(failed)?;
        if Defence::ProcessNamespace.stands() {
            nix::sched::unshare(CloneFlags::CLONE_NEWPID).map_err(|errno| failed(errno.into()))?;
        }
        match sys::fork_single_threaded().map_err(failed)? {
            ForkResult::Child => {
                drop((channel, reports));
                inside::become_program(request, task, &theirs, &init_reports)
            }
            ForkResult::Parent { child } => {
                let handle = Handle::of(child).map_err(failed)?;
                let reports = Some(reports);
                let program = Program { pid: child, handle, channel, reports, reported: None, reaped: false };
                // Children of this process, its threads included, are born where it is itself again.
                nix::sched::setns(own_processes, CloneFlags::CLONE_NEWPID)
                    .map_err(|errno| failed(errno.into()))?;
                forget_streams().map_err(failed)?;
                Ok(program)
            }
        }
    }

    /// Gives the process its users when it asks for them, until it has been executed or a step of it failed.
    fn wait_until_executed(
        &mut self,
        user: &User,
        commands: &mut Commands<'_>,
        mount: Option<&Mount>,
    ) -> Result<(), JailError> {
        loop {
            let ready = commands.wait_for(self.channel.as_fd(), interval(commands))?;
            if ready.kill {
                self.kill();
            }
            abort_calls(commands, mount);
            if !ready.other {
                continue;
            }
            match control::receive(&self.channel).map_err(|source| JailError::Control { source })? {
                None => return Ok(()),
                Some(SetupReport::Failed(error)) => return Err(error),
                Some(SetupReport::WantsIds) => {
                    let inside = user.inside.unwrap_or(Ids { uid: user.uid, gid: user.gid });
                    write_id_maps(self.pid, user, inside)?;
                    // A failure is the death of the process, and the end of the stream follows.
                    let _ = self.channel.write_all(b".");
                }
            }
        }
    }

    /// Waits for the end of the program, and so of everything inside, and kills it when loopbox says so or dies.
    fn wait(
        &mut self,
        commands: &mut Commands<'_>,
        mount: Option<&Mount>,
        control: &UnixStream,
    ) -> Result<ExitOutcome, JailError> {
        loop {
            let timeout = interval(commands);
            let reports = self.reports.as_ref().map(UnixStream::as_fd);
            let ready = commands.wait_for_either(self.handle.as_fd(), reports, timeout)?;
            if ready.second {
                self.receive_report(control);
            }
            if ready.kill {
                self.kill();
            }
            abort_calls(commands, mount);
            if ready.other {
                // Whoever could write there is dead.
                while self.reports.is_some() {
                    self.receive_report(control);
                }
                self.reaped = true;
                let ended = reap(self.pid).map_err(|source| JailError::Wait { source })?;
                return Ok(self.reported.unwrap_or(ended));
            }
        }
    }

    /// Receives one report of process 1.
    fn receive_report(&mut self, control: &UnixStream) {
        match self.reports.as_ref().map(control::receive::<InitReport>) {
            Some(Ok(Some(InitReport::Stopped))) => {
                // A failure to send is a death of loopbox, which the control socket tells.
                let _ = control::send(control, &Report::Stopped);
            }
            Some(Ok(Some(InitReport::Ended(outcome)))) => self.reported = Some(outcome),
            _ => self.reports = None,
        }
    }

    fn kill(&self) {
        if let Err(error) = self.handle.kill()
            && error.raw_os_error() != Some(libc::ESRCH)
        {
            tracing::warn!("cannot kill the program: {error}");
        }
    }
}

/// How long something is waited for at once.
fn interval(commands: &Commands<'_>) -> PollTimeout {
    if commands.server_gone { PollTimeout::from(ABORT_INTERVAL) } else { PollTimeout::NONE }
}

/// Ends the calls that nobody answers any more.
fn abort_calls(commands: &Commands<'_>, mount: Option<&Mount>) {
    if commands.server_gone
        && let Some(mount) = mount
    {
        mount.aborter().abort_calls();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            let _ = reap(self.pid);
        }
    }
}

/// Unmounting asks the server, which ends with loopbox if not before. Its calls are then aborted until this process exits.
fn abort_calls_if_the_server_goes(control: &UnixStream, mount: &Mount) {
    let Ok(control) = control.try_clone() else { return };
    let aborter = mount.aborter();
    thread::spawn(move || {
        // Requests to kill come too late and mean nothing.
        while commands::next(&control).is_some_and(|command| command != SERVER_GONE) {}
        loop {
            aborter.abort_calls();
            thread::sleep(std::time::Duration::from_millis(ABORT_INTERVAL.into()));
        }
    });
}

/// One user and one group exist in the namespace (user_namespaces(7)). Without `deny`, the kernel refuses the group
/// map of a process that may not change its groups.
fn write_id_maps(pid: Pid, user: &User, inside: Ids) -> Result<(), JailError> {
    let write = |file: &str, text: String| {
        let path = PathBuf::from(format!("/proc/{pid}/{file}"));
        fs::write(&path, text).map_err(|source| JailError::IdMap { path, source })
    };
    write("setgroups", "deny".into())?;
    write("uid_map", format!("{} {} 1\n", inside.uid, user.uid))?;
    write("gid_map", format!("{} {} 1\n", inside.gid, user.gid))
}
