//! The virtual machine: Linux on the host's own files, to run a program as root beside a real NFS client. The kernel is
//! User-Mode Linux's, or a stock one on an emulated processor.
//!
//! The program sees the host's files at their own paths. What it writes to the lab's `kept` directory is kept; all else
//! that it writes, renames or removes is so in the machine alone. Everything is in one pid namespace whose death is tied to ours, so that nothing is left.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::lab::Lab;
use crate::lab::emulator::Emulator;
use crate::lab::kernel::Kernel;

pub mod emulator;
pub mod enter;
mod host;
pub mod init;
pub mod knfsd;
mod line;
pub mod processor;
pub mod root;
pub mod service;
mod uml;

/// How long between two looks at whether the machine has ended.
const POLL: Duration = Duration::from_millis(20);
/// Set for what runs in a machine.
const INSIDE: &str = "LOOPBOX_VM";
/// Names the directory of the host that what runs in a machine can write to.
const KEPT: &str = "LOOPBOX_KEPT";
/// How much of the kernel's messages an error repeats.
const CONSOLE_TAIL: usize = 3000;

/// What a machine's kernel runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Platform {
    /// User-Mode Linux: the kernel is a program of the host's. Quick, but a system call is an exchange between two programs.
    #[default]
    Uml,
    /// A processor in software, with a kernel as distributions have it: everything is slow, and a system call not slower
    /// than everything else.
    Emulator,
}

/// A kernel that was brought, to be started on its platform.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Boot {
    /// User-Mode Linux's.
    Uml(Kernel),
    /// The emulator with its own.
    Emulator(Emulator),
}

/// A machine that can be started.
#[derive(Clone, Debug)]
pub struct Vm {
    /// What its kernel runs on.
    pub platform: Platform,
    /// Whether its clock counts instructions and not time: a nanosecond each. Of the emulator alone.
    pub counts_instructions: bool,
    /// Memory in MiB.
    pub memory: u32,
    /// Disk images; a run's writes to one that is not `keep` are forgotten.
    pub disks: Vec<Disk>,
    /// The machine is killed after this.
    pub timeout: Duration,
}

/// An image of a file system and the place where it is mounted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Disk {
    /// An ext4 image on the host.
    pub image: PathBuf,
    /// Where it is mounted inside.
    pub at: PathBuf,
    /// Whether writes go to the image.
    pub keep: bool,
}

/// What a program left behind.
#[derive(Debug)]
pub struct Finished {
    /// Exit status; 128 + the signal's number if a signal ended it.
    pub status: i32,
    /// Standard output, when captured.
    pub stdout: Vec<u8>,
    /// Standard error, when captured.
    pub stderr: Vec<u8>,
}

/// What happens to the program's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Shown as it comes.
    Show,
    /// Kept in `Finished`.
    Capture,
    /// Standard output is kept, standard error is shown as it comes.
    Results,
}

/// All that the helpers on both sides need to know; written to a file that they read.
#[derive(Debug, Serialize, Deserialize)]
struct Job {
    boot: Boot,
    counts_instructions: bool,
    checkout: PathBuf,
    /// The one directory of the host that the program can write to.
    kept: PathBuf,
    memory: u32,
    disks: Vec<Disk>,
    /// The program `xtask`, which is the machine's outside and process 1.
    helper: PathBuf,
    program: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    status: PathBuf,
    console: PathBuf,
    directory: PathBuf,
}

impl Default for Vm {
    fn default() -> Vm {
        Vm {
            platform: Platform::default(),
            counts_instructions: false,
            memory: 4096,
            disks: Vec::new(),
            timeout: Duration::from_secs(600),
        }
    }
}

impl Vm {
    /// Boots, runs the program as root in the checkout's directory, powers off.
    pub fn run(&self, lab: &Lab, program: &[OsString], output: Output) -> Result<Finished> {
        let boot = match self.platform {
            Platform::Uml => Boot::Uml(Kernel::bring(lab)?),
            Platform::Emulator => Boot::Emulator(Emulator::bring(lab)?),
        };
        self.run_boot(lab, &boot, program, output)
    }

    /// The same with any kernel.
    pub fn run_boot(&self, lab: &Lab, boot: &Boot, program: &[OsString], output: Output) -> Result<Finished> {
        let directory = RunDirectory::make(lab)?;
        let job = self.job(lab, boot, program, &directory.0)?;
        let spec = directory.0.join("job.json");
        fs::write(&spec, serde_json::to_vec_pretty(&job)?).context("cannot write the job")?;

        let mut machine = Machine::start(&job.helper, &spec)?;
        let stdout = carry(machine.0.stdout.take(), output != Output::Show, io::stdout());
        let stderr = carry(machine.0.stderr.take(), output == Output::Capture, io::stderr());
        let in_time = machine.wait(self.timeout)?;
        drop(machine);
        let (stdout, stderr) = (collect(stdout), collect(stderr));
        if !in_time {
            bail!("{program:?} was killed after {} s in the VM\n{}", self.timeout.as_secs(), tail(&stderr));
        }
        let status = fs::read_to_string(&job.status).map_err(|_| {
            let console = fs::read(&job.console).unwrap_or_default();
            anyhow::anyhow!("the VM ended before {program:?} did; its last messages:\n{}", tail(&console))
        })?;
        let status = status.trim().parse().context("the VM left no number as the exit status")?;
        Ok(Finished { status, stdout, stderr })
    }

    fn job(&self, lab: &Lab, boot: &Boot, program: &[OsString], directory: &Path) -> Result<Job> {
        Ok(Job {
            boot: boot.clone(),
            counts_instructions: self.counts_instructions,
            checkout: lab.checkout().to_owned(),
            kept: lab.kept("")?,
            memory: self.memory,
            disks: self.disks.clone(),
            helper: lab.own_program()?,
            program: program.to_vec(),
            environment: std::env::vars_os().filter(|(name, _)| passes(name)).collect(),
            status: directory.join("status"),
            console: directory.join("console"),
            directory: directory.to_owned(),
        })
    }
}

impl Boot {
    /// The directory below which the kernel's modules are, as `modprobe -d` takes it.
    fn modules_root(&self) -> PathBuf {
        match self {
            Boot::Uml(kernel) => kernel.root.clone(),
            Boot::Emulator(emulator) => emulator.kernel(),
        }
    }

    /// Where they are: a directory for each release.
    fn modules(&self) -> PathBuf {
        match self {
            Boot::Uml(kernel) => kernel.root.join("usr/lib/uml/modules"),
            Boot::Emulator(emulator) => emulator.kernel().join("usr/lib/modules"),
        }
    }

    /// The device that is the machine's disk with this number.
    fn disk(&self, number: usize) -> String {
        let letter = char::from(b'a' + u8::try_from(number % 26).unwrap_or_default());
        match self {
            Boot::Uml(_) => format!("/dev/ubd{letter}"),
            Boot::Emulator(_) => format!("/dev/vd{letter}"),
        }
    }
}

/// An error unless this process runs in a machine: what it is about to do changes the system that it runs on.
pub fn only_inside(what: &str) -> Result<()> {
    if !is_inside() {
        bail!("{what} run inside the virtual machine only: cargo xtask test, or cargo xtask vm");
    }
    Ok(())
}

/// Whether this process runs in a machine.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Variables of the host that a program in the machine gets too.
fn passes(name: &OsString) -> bool {
    name.to_str()
        .is_some_and(|name| name.starts_with("LOOPBOX_") || name.starts_with("RUST_") || name == "CI")
}

/// A program as process 1 of a pid namespace and with mounts of its own; whatever it starts dies with this thread.
pub fn contained(program: &Path) -> Command {
    // setpriv ties unshare to this thread's life, --kill-child ties the pid namespace to unshare's.
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"])
        .args(["--propagation", "private", "--"])
        .arg(program);
    command
}

/// The outermost process; dropped, it and all that it started are dead.
struct Machine(Child);

impl Machine {
    fn start(helper: &Path, spec: &Path) -> Result<Machine> {
        let child = contained(helper)
            .arg("__vm-enter")
            .arg(spec)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start setpriv and unshare (util-linux)")?;
        Ok(Machine(child))
    }

    fn wait(&mut self, limit: Duration) -> Result<bool> {
        let start = Instant::now();
        while self.0.try_wait().context("cannot wait for the VM")?.is_none() {
            if start.elapsed() > limit {
                return Ok(false);
            }
            thread::sleep(POLL);
        }
        Ok(true)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Both fail only if it is dead already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The files of one run.
struct RunDirectory(PathBuf);

impl RunDirectory {
    fn make(lab: &Lab) -> Result<RunDirectory> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        sweep(&lab.directory("runs")?);
        let path = lab.directory(&format!("runs/{}-{number}", std::process::id()))?;
        Ok(RunDirectory(path))
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        // A leftover is only some kilobytes in target/.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes what runs left whose process was killed.
fn sweep(runs: &Path) {
    let Ok(entries) = fs::read_dir(runs) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // A leftover is only some kilobytes in target/.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn carry(
    from: Option<impl Read + Send + 'static>,
    keep: bool,
    mut to: impl Write + Send + 'static,
) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut kept = Vec::new();
        let Some(mut from) = from else { return kept };
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if keep {
                kept.extend_from_slice(&buffer[..count]);
            } else if to.write_all(&buffer[..count]).and_then(|()| to.flush()).is_err() {
                break;
            }
        }
        kept
    })
}

fn collect(thread: JoinHandle<Vec<u8>>) -> Vec<u8> {
    thread.join().unwrap_or_default()
}

fn tail(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(CONSOLE_TAIL)..]).into_owned()
}
