//! The supervisor on macOS: mounts the view, starts the program, kills what is left of it, and takes the mounts away.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nix::poll::PollTimeout;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{ForkResult, Pid};

use super::mounts::JailMounts;
use super::{inside, users::kill_all_of};
use crate::child::{Handle, forget_streams, reap};
use crate::jail::commands::Commands;
use crate::jail::control::{self, Report, SetupReport};
use crate::jail::{ExitOutcome, JailError, Mac, SpawnRequest, Task};
use crate::sys;

/// All of a jail's life; the answer is the last report.
pub(in crate::jail) fn supervise(request: &SpawnRequest, task: Task, control: &UnixStream) -> Report {
    let mut commands = Commands::new(control);
    let (mounts, mut program) = match start(request, task, &mut commands) {
        Ok(started) => started,
        Err(error) => return Report::Failed(error),
    };
    // A failure to send is a death of loopbox, which the wait below notices.
    let _ = control::send(control, &Report::Started { pid: program.pid.as_raw() });
    let outcome = program.wait(&mut commands);
    let ended = Instant::now();
    // What is left of the program would keep the mount busy.
    drop(program);
    let unmounted = if commands.server_gone {
        mounts.abandon();
        Ok(())
    } else {
        mounts.leave()
    };
    match outcome {
        Ok(outcome) => Report::Ended { outcome, unmounted, unmounting: ended.elapsed() },
        Err(error) => Report::Lost(error),
    }
}

fn start(
    request: &SpawnRequest,
    task: Task,
    commands: &mut Commands<'_>,
) -> Result<(JailMounts, Program), JailError> {
    request.validate()?;
    let missing = || JailError::Spec { problem: "it says nothing of macOS".into() };
    let mac = request.spec.mac.as_ref().ok_or_else(missing)?;
    let mounts = JailMounts::make(&request.root, mac)?;
    let mut program = Program::start(request, mac, task)?;
    program.wait_until_executed(commands)?;
    Ok((mounts, program))
}

/// The program and all that came of it, which is killed when this is dropped.
struct Program {
    pid: Pid,
    handle: Handle,
    /// Its messages until it is executed.
    channel: UnixStream,
    /// The user, when all of his processes are the program's.
    user: Option<u32>,
    reaped: bool,
}

impl Program {
    fn start(request: &SpawnRequest, mac: &Mac, task: Task) -> Result<Program, JailError> {
        let failed = |source: io::Error| JailError::Fork { source };
        let (channel, theirs) = UnixStream::pair().map_err(failed)?;
        match sys::fork_single_threaded().map_err(failed)? {
            ForkResult::Child => {
                drop(channel);
                inside::become_program(request, mac, task, &theirs)
            }
            ForkResult::Parent { child } => {
                drop(theirs);
                let handle = Handle::of(child).map_err(failed)?;
                // Root has other processes, whatever is said.
                let user = mac.alone.then_some(request.spec.user.uid).filter(|uid| *uid != 0);
                let program = Program { pid: child, handle, channel, user, reaped: false };
                forget_streams().map_err(failed)?;
                Ok(program)
            }
        }
    }

    /// Waits until it has been executed or a step of it failed.
    fn wait_until_executed(&mut self, commands: &mut Commands<'_>) -> Result<(), JailError> {
        loop {
            let ready = commands.wait_for(self.channel.as_fd(), PollTimeout::NONE)?;
            if ready.kill {
                self.kill();
            }
            if ready.other {
                let said = control::receive(&self.channel);
                return match said.map_err(|source| JailError::Control { source })? {
                    None => Ok(()),
                    Some(SetupReport::Failed(error)) => Err(error),
                };
            }
        }
    }

    /// Waits for its end, and kills it when loopbox says so or dies.
    fn wait(&mut self, commands: &mut Commands<'_>) -> Result<ExitOutcome, JailError> {
        loop {
            let ready = commands.wait_for(self.handle.as_fd(), PollTimeout::NONE)?;
            if ready.kill {
                self.kill();
            }
            if ready.other {
                return self.reap();
            }
        }
    }

    fn reap(&mut self) -> Result<ExitOutcome, JailError> {
        let outcome = reap(self.pid).map_err(|source| JailError::Wait { source })?;
        self.reaped = true;
        Ok(outcome)
    }

    /// No namespace holds its processes together: those of a user who does nothing else are found by him, others by
    /// the session that the program leads, as far as they stay in it.
    fn kill(&self) {
        let killed = match self.user {
            Some(uid) => kill_all_of(uid).map_err(|error| error.to_string()),
            None => killpg(self.pid, Signal::SIGKILL).map_err(|errno| errno.to_string()),
        };
        if let Err(error) = killed {
            tracing::debug!("nothing of the program was killed: {error}");
        }
        if !self.reaped {
            // It may not lead its session yet, or not be its user yet. Until it is reaped, the number is its own.
            let _ = nix::sys::signal::kill(self.pid, Signal::SIGKILL);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if !self.reaped {
            let _ = self.reap();
        }
    }
}
