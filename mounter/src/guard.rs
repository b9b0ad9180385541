//! A process that ends a client when nobody else is left to do so.
//!
//! A client waits for its server as long as it takes. Whoever mounted it shuts it down when the server has died; but
//! should he be killed together with the server, whatever uses the mount, and every sync(2) of the machine, would wait for
//! ever. The guard is in a session of its own, knows a pipe and the client's switch, and nothing else.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::path::Path;
use std::process::{self, Child, Command, ExitCode, Stdio};

use defences::Defence;
use nix::sys::prctl;
use nix::sys::signal::SigSet;
use nix::unistd::{ForkResult, Pid};

use crate::child::{forget_streams, reap};
use crate::sys;

/// The hidden word that makes the binary call [`watch`].
pub const WORD: &str = "__guard";

/// What it is called among processes (pkill(1) and killall(1) go by it).
const NAME: &CStr = c"nfs-guard";

/// Ends with whoever holds this, in whatever way he ends, and shuts the client down then.
#[derive(Debug)]
pub struct Guard {
    /// Its other end is at its end once nobody has this one any more.
    alive: Option<PipeWriter>,
    /// Is at its end once the process has closed what it had of its parent's.
    ready: Option<PipeReader>,
    process: GuardProcess,
}

#[derive(Debug)]
enum GuardProcess {
    Forked(Pid),
    Started(Child),
}

impl Guard {
    /// Makes this process, which has one thread, two.
    pub(crate) fn fork(switch: &File) -> io::Result<Guard> {
        let (end, alive) = io::pipe()?;
        let (ready, not_ready) = io::pipe()?;
        match sys::fork_single_threaded()? {
            ForkResult::Child => {
                drop((alive, ready));
                process::exit(if become_guard(&end, switch).is_ok() { 0 } else { 1 })
            }
            ForkResult::Parent { child } => {
                drop(not_ready);
                Ok(Guard { alive: Some(alive), ready: Some(ready), process: GuardProcess::Forked(child) })
            }
        }
    }

    /// Starts this program once more.
    pub(crate) fn start(program: &Path, switch: &File) -> io::Result<Guard> {
        let (end, alive) = io::pipe()?;
        let mut command = Command::new(program);
        command.arg(WORD).env_clear().envs(defences::passed_on()).current_dir("/");
        command.stdin(Stdio::from(end)).stdout(switch.try_clone()?).stderr(Stdio::null());
        sys::in_own_session(&mut command);
        Ok(Guard { alive: Some(alive), ready: None, process: GuardProcess::Started(command.spawn()?) })
    }
}

impl Guard {
    /// Waits until it has closed what it had open of its parent's, the mount among it, which is in use until then: on a
    /// busy machine, a short program ends before that.
    pub(crate) fn wait_until_ready(&mut self) {
        if let Some(mut ready) = self.ready.take() {
            // Its end is what is waited for; nothing is written.
            let _ = ready.read(&mut [0]);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.alive.take());
        let ended = match &mut self.process {
            GuardProcess::Forked(child) => reap(*child).map(drop),
            GuardProcess::Started(child) => child.wait().map(drop),
        };
        if let Err(error) = ended {
            tracing::warn!("cannot wait for the guard of a mount: {error}");
        }
    }
}

/// Nothing but the two descriptors is kept: what else this process had open would seem to be open in its parent.
fn become_guard(end: &PipeReader, switch: &File) -> io::Result<()> {
    nix::unistd::setsid()?;
    forget_streams()?;
    nix::unistd::dup2_stdin(end)?;
    nix::unistd::dup2_stdout(switch)?;
    sys::close_from(3)?;
    wait_and_shut_down()
}

/// What the hidden word runs: standard input is the pipe, standard output the switch.
#[must_use]
pub fn watch() -> ExitCode {
    if wait_and_shut_down().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// That there is no client any more is the usual case. Requests to end are meant for others, who end by them; and so are
/// those that go to all processes of loopbox's name.
fn wait_and_shut_down() -> io::Result<()> {
    SigSet::all().thread_block()?;
    prctl::set_name(NAME)?;
    io::stdin().read_to_end(&mut Vec::new())?;
    if !Defence::EndedClients.stands() {
        return Ok(());
    }
    let mut switch = io::stdout();
    switch.write_all(b"1")?;
    switch.flush()
}
