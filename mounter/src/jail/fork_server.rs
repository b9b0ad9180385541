//! A process that forks what loopbox needs as processes: starting a program of loopbox's size takes several times as long as
//! a fork of a small process, and after a fork of loopbox itself each page that it writes to is a fault.
//!
//! It is this binary, run again from a file that nobody can change ([`Executable`]), so that nothing of loopbox is in its
//! memory; it has one thread, and ends with loopbox. What a new process is to have is sent to it; it keeps nothing of that.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};

use defences::Defence;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};

use super::executable::Executable;
use super::{StdioFds, WORD};
use crate::sys;

/// The number of an answer that is not an error's.
const FORKED: i32 = 0;

/// What a process is to be that is asked for, with the descriptors that it gets. The answer has a pidfd for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProcessKind {
    /// The supervisor of a jail: its three streams, and its end of a control socket.
    Supervisor,
    /// One that serves a view: its end of a control socket, the network namespace that it is to be in, and the root directory
    /// that it is to have, if not the machine's.
    Server,
    /// An attendant of the daemon: the connection, its end of the socket with its configuration, its standard error, and the
    /// control group that it is to be in with all that is forked for it, if it has one.
    Attendant,
    /// One that kills all processes of a user: a socket, on which it is told the user's number and answers with an error's.
    Killer,
}

impl ProcessKind {
    const ALL: [ProcessKind; 4] =
        [ProcessKind::Supervisor, ProcessKind::Server, ProcessKind::Attendant, ProcessKind::Killer];

    fn number(self) -> i32 {
        self as i32
    }

    fn of(number: i32) -> Option<ProcessKind> {
        ProcessKind::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// loopbox's side. The process ends once everybody who may ask it has dropped his; supervisors that it has forked go on.
#[derive(Debug)]
pub(super) struct ForkServer {
    socket: UnixStream,
    /// The process, if it is a child of this one.
    process: Option<Child>,
    /// Whether attendants may ask it too, so that it may go on for any time.
    shared: AtomicBool,
}

/// One that another process has started, and that this one may ask as well.
impl From<UnixStream> for ForkServer {
    fn from(socket: UnixStream) -> ForkServer {
        ForkServer { socket, process: None, shared: AtomicBool::new(true) }
    }
}

impl ForkServer {
    /// Starts `loopbox` (this binary) as one.
    pub fn start(loopbox: &Path) -> io::Result<ForkServer> {
        let (ours, theirs) = UnixStream::pair()?;
        let executable = Executable::of(loopbox)?;
        let mut command = Command::new(executable.path());
        command
            .arg0("loopbox")
            .arg(WORD)
            .arg(theirs.as_raw_fd().to_string())
            .env_clear()
            .envs(defences::passed_on())
            .current_dir("/");
        let null = || File::options().read(true).write(true).open("/dev/null");
        command.stdin(null()?).stdout(null()?).stderr(null()?);
        sys::in_own_session_with(&mut command, theirs.as_raw_fd());
        Ok(ForkServer { socket: ours, process: Some(command.spawn()?), shared: AtomicBool::new(false) })
    }

    /// Has a supervisor forked that has these streams and this end of a control socket; its pidfd.
    pub fn fork(&self, stdio: &StdioFds, control: &UnixStream) -> io::Result<OwnedFd> {
        let StdioFds { stdin, stdout, stderr } = stdio;
        let sent = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd(), control.as_fd()];
        self.ask(ProcessKind::Supervisor, &sent)
    }

    /// Has a process forked that serves a view, in a network namespace, and has this end of a control socket; its pidfd.
    pub fn fork_server(
        &self,
        control: &UnixStream,
        network: BorrowedFd<'_>,
        root: Option<BorrowedFd<'_>>,
    ) -> io::Result<OwnedFd> {
        let sent: Vec<_> = [control.as_fd(), network].into_iter().chain(root).collect();
        self.ask(ProcessKind::Server, &sent)
    }

    /// Has an attendant forked for a connection, which may ask the process as well, also when this one has ended; the
    /// attendant's pidfd. It logs to this process's standard error. In a control group it has whatever is forked for it
    /// there, too.
    pub fn fork_attendant(
        &self,
        connection: BorrowedFd<'_>,
        config: BorrowedFd<'_>,
        group: Option<BorrowedFd<'_>>,
    ) -> io::Result<OwnedFd> {
        self.shared.store(true, Ordering::Relaxed);
        let stderr = io::stderr();
        let sent: Vec<_> = [connection, config, stderr.as_fd()].into_iter().chain(group).collect();
        self.ask(ProcessKind::Attendant, &sent)
    }

    /// Has all processes of a user killed, by a process that becomes this user.
    pub fn kill_user(&self, uid: u32) -> io::Result<()> {
        let (mut killer, theirs) = UnixStream::pair()?;
        self.ask(ProcessKind::Killer, &[theirs.as_fd()])?;
        drop(theirs);
        let mut errno = Vec::new();
        killer.write_all(&uid.to_ne_bytes())?;
        killer.read_to_end(&mut errno)?;
        match errno.try_into().map(i32::from_ne_bytes) {
            // Somebody of this user was faster; or another process that did the same to this user.
            Err(_) | Ok(0 | libc::ESRCH) => Ok(()),
            Ok(errno) => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    fn ask(&self, kind: ProcessKind, sent: &[BorrowedFd<'_>]) -> io::Result<OwnedFd> {
        sys::send_descriptors(&self.socket, kind.number(), sent)?;
        match sys::receive_descriptors(&self.socket)? {
            Some((FORKED, [Some(process), ..])) => Ok(process),
            Some((FORKED, _)) => Err(io::ErrorKind::InvalidData.into()),
            Some((errno, _)) => Err(io::Error::from_raw_os_error(errno)),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Drop for ForkServer {
    fn drop(&mut self) {
        // If the process has ended already, there is nobody to be told.
        let _ = self.socket.shutdown(Shutdown::Both);
        if self.shared.load(Ordering::Relaxed) {
            return;
        }
        if let Some(Err(error)) = self.process.as_mut().map(Child::wait) {
            tracing::warn!("cannot wait for the process that forks supervisors: {error}");
        }
    }
}

/// What a forked process is, with its end of a control socket.
pub(super) enum Forked {
    /// The supervisor of a jail.
    Supervisor(UnixStream),
    /// One that serves a view.
    Server(UnixStream),
    /// An attendant of the daemon, with the socket of its configuration and the fork server.
    Attendant { connection: UnixStream, config: UnixStream, forks: ForkServer },
}

/// The process itself, just started, which has one thread. Returns in each process that it has forked; and in the process itself
/// with nothing, when everybody has ended who may ask it.
pub(super) fn begin(socket: UnixStream) -> io::Result<Option<Forked>> {
    prctl::set_name(c"loopbox-fork")?;
    sys::default_signals()?;
    // As in every program of Rust: who writes to nobody is told so.
    sys::set_ignored(Signal::SIGPIPE, true)?;
    // The kernel reaps its children: loopbox holds on to them by their descriptors.
    sys::set_ignored(Signal::SIGCHLD, true)?;
    // An abort of a child of its must not end it ([`sys::fork_in`]).
    sys::set_ignored(Signal::SIGABRT, true)?;
    let mut askers = vec![Asker { socket, group: None }];
    while let Some(at) = next_asker(&askers)? {
        let asked = sys::receive_descriptors(&askers[at].socket).ok().flatten();
        let Some((kind, mut received)) =
            asked.and_then(|(number, sent)| Some((ProcessKind::of(number)?, sent)))
        else {
            askers.swap_remove(at);
            continue;
        };
        let pair = (kind == ProcessKind::Attendant).then(|| Asker::new(received[ATTENDANT_GROUP].take()));
        let (forked, asks, arrives) = match pair.transpose().map(Option::unzip) {
            Ok((asks, arrives)) => (arrives.as_ref().unwrap_or(&askers[at]).fork(), asks, arrives),
            Err(error) => (Err(error), None, None),
        };
        let process = match forked {
            Ok(None) => {
                drop((askers, arrives));
                return become_forked(kind, received, asks);
            }
            Ok(Some(process)) => Ok(process),
            Err(error) => Err(error),
        };
        // Whoever has the other ends waits to see these closed.
        drop((received, asks));
        if answer(&askers[at].socket, process).is_err() {
            askers.swap_remove(at);
        }
        // If there is no attendant, this is at its end.
        askers.extend(arrives);
    }
    Ok(None)
}

/// Where the descriptor of an attendant's control group is among those that it gets.
const ATTENDANT_GROUP: usize = 3;

/// Somebody who may ask, and the control group of what is forked for him.
struct Asker {
    socket: UnixStream,
    group: Option<OwnedFd>,
}

impl Asker {
    /// A new one, and the socket with which he asks.
    fn new(group: Option<OwnedFd>) -> io::Result<(UnixStream, Asker)> {
        let (asks, socket) = UnixStream::pair()?;
        Ok((asks, Asker { socket, group }))
    }

    /// A process for him; nothing in that process itself.
    fn fork(&self) -> io::Result<Option<OwnedFd>> {
        sys::fork_in(self.group.as_ref().map(AsFd::as_fd))
    }
}

/// Waits until somebody asks, or has ended; nothing if nobody is left.
fn next_asker(askers: &[Asker]) -> io::Result<Option<usize>> {
    let mut waiting: Vec<_> =
        askers.iter().map(|asker| PollFd::new(asker.socket.as_fd(), PollFlags::POLLIN)).collect();
    while !waiting.is_empty() {
        match poll(&mut waiting, PollTimeout::NONE) {
            Ok(_) => return Ok(waiting.iter().position(|asker| asker.any().unwrap_or(true))),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(None)
}

/// Sends a pidfd of what was forked, or an error's number.
fn answer(asker: &UnixStream, process: io::Result<OwnedFd>) -> io::Result<()> {
    match process {
        Ok(process) => sys::send_descriptors(asker, FORKED, &[process.as_fd()]),
        Err(error) => sys::send_descriptors(asker, error.raw_os_error().unwrap_or(libc::EIO), &[]),
    }
}

fn become_forked(
    kind: ProcessKind,
    received: [Option<OwnedFd>; sys::DESCRIPTORS_MAX],
    asks: Option<UnixStream>,
) -> io::Result<Option<Forked>> {
    sys::set_ignored(Signal::SIGABRT, false)?;
    match (kind, received, asks) {
        (ProcessKind::Supervisor, [Some(stdin), Some(stdout), Some(stderr), Some(control)], _) => {
            become_supervisor(&stdin, &stdout, &stderr)?;
            Ok(Some(Forked::Supervisor(control.into())))
        }
        (ProcessKind::Attendant, [Some(connection), Some(config), Some(stderr), None], Some(asks)) => {
            become_attendant(&stderr)?;
            let (connection, config, forks) = (connection.into(), config.into(), asks.into());
            Ok(Some(Forked::Attendant { connection, config, forks }))
        }
        (ProcessKind::Server, [Some(control), Some(network), root, None], _) => {
            nix::sched::setns(network, CloneFlags::CLONE_NEWNET)?;
            if let Some(root) = root {
                nix::unistd::fchdir(root)?;
                nix::unistd::chroot(".")?;
            }
            prctl::set_name(c"loopbox-server")?;
            Ok(Some(Forked::Server(control.into())))
        }
        (ProcessKind::Killer, [Some(asked), None, None, None], _) => kill_all_of(asked.into()).map(|()| None),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// It waits for its own children, and nobody's keys end it.
fn become_attendant(stderr: &OwnedFd) -> io::Result<()> {
    sys::set_ignored(Signal::SIGCHLD, false)?;
    prctl::set_name(c"loopbox-attend")?;
    nix::unistd::setsid()?;
    Ok(nix::unistd::dup2_stderr(stderr)?)
}

fn become_supervisor(stdin: &OwnedFd, stdout: &OwnedFd, stderr: &OwnedFd) -> io::Result<()> {
    sys::set_ignored(Signal::SIGCHLD, false)?;
    prctl::set_name(c"loopbox-jail")?;
    leave_session()?;
    nix::unistd::dup2_stdin(stdin)?;
    nix::unistd::dup2_stdout(stdout)?;
    Ok(nix::unistd::dup2_stderr(stderr)?)
}

fn leave_session() -> nix::Result<()> {
    if Defence::OwnSession.stands() { nix::unistd::setsid().map(drop) } else { Ok(()) }
}

/// The kernel signals all that this user may signal, but for the caller itself (kill(2)).
fn kill_all_of(mut asked: UnixStream) -> io::Result<()> {
    let mut number = [0; size_of::<u32>()];
    asked.read_exact(&mut number)?;
    let uid = Uid::from_raw(u32::from_ne_bytes(number));
    let killed =
        nix::unistd::setresuid(uid, uid, uid).and_then(|()| kill(Pid::from_raw(-1), Signal::SIGKILL));
    let errno = killed.map_or_else(|errno| errno as i32, |()| 0);
    asked.write_all(&errno.to_ne_bytes())
}
