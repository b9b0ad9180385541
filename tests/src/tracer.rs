//! A program whose changes to files are counted, one of which it is killed at, or refused; or its system calls.
//!
//! The calls of the program itself are looked at, in all its threads, by ptrace(2); the processes that it starts go on
//! unseen. Between two changes nothing on a disk becomes different by the program's doing: who has killed it before each of them
//! has killed it everywhere.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// A longer name is cut when it is shown.
const NAME_MAX: usize = 200;

/// What becomes of one of the changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The program is killed before it.
    Killed,
    /// It does not happen, and fails: as on a full disk if it takes room, and as on a broken one otherwise.
    Refused,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Changes to files.
    Changes,
    /// All system calls from the first on by which a file is given to somebody else: what registers outputs begins by that.
    CallsOfRegistration,
}

/// How a program ended that was looked at.
#[derive(Debug)]
pub struct Traced {
    /// Its exit status, if it was not killed.
    pub status: Option<i32>,
    /// Its standard error.
    pub stderr: String,
    /// The change that had this fate, if there were as many.
    pub hit: Option<Change>,
}

/// A change to a file, of whatever kind.
#[derive(Clone, Debug)]
pub struct Change {
    /// The system call.
    pub call: &'static str,
    /// The file's name as the call has it.
    pub name: String,
    /// What it fails with if it is refused.
    pub errno: Errno,
}

/// A program that is looked at.
struct Tracer {
    process: Pid,
    /// Its threads that are in a system call, with what that is to fail with.
    inside: BTreeMap<Pid, Option<Errno>>,
    /// Whether it has become the program that is meant.
    executed: bool,
    counted: Counted,
    /// Whether the first call that counts was seen.
    begun: bool,
    count: usize,
    at: usize,
    fate: Fate,
    hit: Option<Change>,
}

/// Runs the command, whose change, or call, number `at` has this fate; the first one has number 1. Only changes are refused.
pub fn run(command: &Command, counted: Counted, at: usize, fate: Fate) -> Result<Traced> {
    let mut stderr = tempfile::tempfile()?;
    // It waits until it is looked at.
    let mut waiting = Command::new("/bin/sh");
    waiting.args(["-c", "read _; exec \"$@\" < /dev/null", "sh"]);
    waiting.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => waiting.env(name, value),
            None => waiting.env_remove(name),
        };
    }
    waiting.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(stderr.try_clone()?);
    let mut child = waiting.spawn()?;
    let process = Pid::from_raw(child.id() as i32);
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(process, options).context("cannot trace the program")?;
    ptrace::interrupt(process)?;
    child.stdin.take().context("it has a standard input")?.write_all(b"\n")?;
    let inside = BTreeMap::new();
    let mut tracer =
        Tracer { process, inside, executed: false, counted, begun: false, count: 0, at, fate, hit: None };
    let status = tracer.until_ended()?;
    let mut text = String::new();
    stderr.rewind()?;
    stderr.read_to_string(&mut text)?;
    Ok(Traced { status, stderr: text, hit: tracer.hit })
}

impl Tracer {
    /// The exit status, if it was not killed.
    fn until_ended(&mut self) -> Result<Option<i32>> {
        loop {
            match waitpid(None, Some(WaitPidFlag::__WALL))? {
                WaitStatus::Exited(process, status) if process == self.process => return Ok(Some(status)),
                WaitStatus::Signaled(process, ..) if process == self.process => return Ok(None),
                WaitStatus::Exited(thread, _) | WaitStatus::Signaled(thread, ..) => {
                    self.inside.remove(&thread);
                }
                WaitStatus::PtraceEvent(thread, _, event) => {
                    self.executed |= event == libc::PTRACE_EVENT_EXEC;
                    go_on(thread, None)?;
                }
                WaitStatus::PtraceSyscall(thread) => {
                    if self.stopped_at_call(thread)? {
                        go_on(thread, None)?;
                    }
                }
                WaitStatus::Stopped(thread, signal) => go_on(thread, Some(signal))?,
                other => bail!("the program became {other:?}"),
            }
        }
    }

    /// At the beginning or at the end of a system call; whether the thread is to go on.
    fn stopped_at_call(&mut self, thread: Pid) -> Result<bool> {
        let mut registers = match ptrace::getregs(thread) {
            Err(Errno::ESRCH) => return Ok(false),
            registers => registers?,
        };
        if let Some(refused) = self.inside.remove(&thread) {
            if let Some(errno) = refused {
                registers.rax = i64::from(-(errno as i32)).cast_unsigned();
                ptrace::setregs(thread, registers)?;
            }
            return Ok(true);
        }
        let mut refused = None;
        if self.executed
            && let Some(change) = self.counts(thread, &registers)
        {
            self.count += 1;
            if self.count == self.at {
                self.hit = Some(change.clone());
                match self.fate {
                    Fate::Killed => {
                        kill(self.process, Signal::SIGKILL)?;
                        return Ok(false);
                    }
                    Fate::Refused => {
                        refused = Some(change.errno);
                        // There is no such call.
                        registers.orig_rax = u64::MAX;
                        ptrace::setregs(thread, registers)?;
                    }
                }
            }
        }
        self.inside.insert(thread, refused);
        Ok(true)
    }
}

impl Tracer {
    /// The call that a thread is going to make, if it counts.
    fn counts(&mut self, thread: Pid, registers: &libc::user_regs_struct) -> Option<Change> {
        let change = match self.counted {
            Counted::CallsOfRegistration if self.begun => None,
            _ => change(thread, registers),
        };
        self.begun |= change.as_ref().is_some_and(|change| change.call.starts_with("fchown"));
        match self.counted {
            Counted::Changes => change,
            Counted::CallsOfRegistration => self.begun.then(|| Change {
                call: "system call",
                name: registers.orig_rax.to_string(),
                errno: Errno::EIO,
            }),
        }
    }
}

/// Until its next call. It may have been killed meanwhile.
fn go_on(thread: Pid, signal: Option<Signal>) -> Result<()> {
    match ptrace::syscall(thread, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno).context("cannot let the program go on"),
    }
}

/// What a call is going to change, if it is one that changes files.
fn change(thread: Pid, registers: &libc::user_regs_struct) -> Option<Change> {
    let number = i64::try_from(registers.orig_rax).ok()?;
    let [first, second, third, fourth] = [registers.rdi, registers.rsi, registers.rdx, registers.r10];
    let named = |call, address, errno| Some(Change { call, name: text(thread, address), errno });
    let opened = |call, errno| {
        let name = file(thread, first)?;
        Some(Change { call, name, errno })
    };
    match number {
        libc::SYS_openat if third & libc::O_CREAT as u64 != 0 => named("openat", second, Errno::ENOSPC),
        libc::SYS_open if second & libc::O_CREAT as u64 != 0 => named("open", first, Errno::ENOSPC),
        libc::SYS_mkdirat => named("mkdirat", second, Errno::ENOSPC),
        libc::SYS_mkdir => named("mkdir", first, Errno::ENOSPC),
        libc::SYS_symlinkat => named("symlinkat", third, Errno::ENOSPC),
        libc::SYS_symlink => named("symlink", second, Errno::ENOSPC),
        libc::SYS_linkat => named("linkat", fourth, Errno::ENOSPC),
        libc::SYS_link => named("link", second, Errno::ENOSPC),
        libc::SYS_renameat | libc::SYS_renameat2 => named("renameat", fourth, Errno::ENOSPC),
        libc::SYS_rename => named("rename", second, Errno::ENOSPC),
        libc::SYS_write | libc::SYS_pwrite64 | libc::SYS_writev => opened("write", Errno::ENOSPC),
        libc::SYS_copy_file_range => {
            let name = file(thread, third)?;
            Some(Change { call: "copy_file_range", name, errno: Errno::ENOSPC })
        }
        libc::SYS_sendfile => opened("sendfile", Errno::ENOSPC),
        libc::SYS_fsync | libc::SYS_fdatasync => opened("fsync", Errno::EIO),
        libc::SYS_ftruncate => opened("ftruncate", Errno::EIO),
        libc::SYS_unlinkat => named("unlinkat", second, Errno::EIO),
        libc::SYS_unlink => named("unlink", first, Errno::EIO),
        libc::SYS_rmdir => named("rmdir", first, Errno::EIO),
        libc::SYS_fchmod => opened("fchmod", Errno::EIO),
        libc::SYS_fchmodat => named("fchmodat", second, Errno::EIO),
        libc::SYS_chmod => named("chmod", first, Errno::EIO),
        libc::SYS_fchown => opened("fchown", Errno::EIO),
        libc::SYS_fchownat => named("fchownat", second, Errno::EIO),
        libc::SYS_chown | libc::SYS_lchown => named("chown", first, Errno::EIO),
        libc::SYS_utimensat => named("utimensat", second, Errno::EIO),
        _ => None,
    }
}

/// The file that a descriptor is of, if that is one of a disk.
fn file(thread: Pid, descriptor: u64) -> Option<String> {
    let link = fs::read_link(format!("/proc/{thread}/fd/{descriptor}")).ok()?;
    let name = link.to_str()?;
    let elsewhere = ["/proc/", "/sys/", "/dev/", "/memfd:"];
    (name.starts_with('/') && !elsewhere.iter().any(|start| name.starts_with(start))).then(|| name.into())
}

/// The bytes there until a zero.
fn text(thread: Pid, address: u64) -> String {
    let mut bytes = [0; NAME_MAX];
    let read =
        File::open(format!("/proc/{thread}/mem")).and_then(|memory| memory.read_at(&mut bytes, address));
    let bytes = &bytes[..read.unwrap_or(0)];
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or(bytes)).into_owned()
}
