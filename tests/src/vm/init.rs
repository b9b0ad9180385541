//! The machine's inside: process 1, which makes a usual Linux root, runs the program and powers off.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, chdir, pivot_root, sync};
use rustix::process::{WaitOptions, wait};

use super::host::{Host, Stream};
use super::{Boot, INSIDE, Job, KEPT, emulator, service};
use crate::command::{command, quiet};

/// How long output that is still on its way may take once the program has ended; daemons may hold the pipe for ever.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Where the new root is put together.
const STAGE: &str = "/mnt";
/// What stays of the modules that the tests need, loaded before anything runs.
const MODULES: [&str; 4] = ["nfs", "nfsv3", "overlay", "loop"];
/// Where programs look for modules of the running kernel.
const MODULES_AT: &str = "/lib/modules";

/// Process 1. Never returns: the machine is off at the end.
pub fn main(spec: &Path) -> Result<ExitCode> {
    if let Err(error) = live(spec) {
        eprintln!("init: {error:#}");
    }
    sync();
    reboot(RebootMode::RB_POWER_OFF).context("cannot power off")?;
    Ok(ExitCode::FAILURE)
}

fn live(spec: &Path) -> Result<()> {
    let job: Job = serde_json::from_slice(&fs::read(spec)?).context("the job cannot be read")?;
    let status_file = Host::status_file(&job)?;
    build_root(&job)?;
    bring_up(&job)?;
    more_descriptors()?;
    let host = Host::connect(status_file)?;
    let status = run(&job, &host)?;
    // Nothing may hold a disk any more; the answer is that there was nobody left.
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    for disk in job.disks.iter().rev() {
        if umount2(&disk.at, MntFlags::empty()).is_err() {
            // Mounts on top of it: detached, it is written back by the sync that follows.
            let _ = umount2(&disk.at, MntFlags::MNT_DETACH);
        }
    }
    host.end(status)
}

/// Puts an overlay over the host's files, so that only what is to be kept changes any, and makes it the root.
fn build_root(job: &Job) -> Result<()> {
    put("proc", "/proc", "proc", "")?;
    // The host's /lib/modules, if it has one, is not this kernel's.
    for module in MODULES {
        quiet(command("/sbin/modprobe", ["-d"]).arg(job.boot.modules_root()).arg(module))?;
    }
    put("stage", STAGE, "tmpfs", "mode=755")?;
    for name in ["upper", "work", "root"] {
        fs::create_dir(Path::new(STAGE).join(name))?;
    }
    let options = format!("lowerdir=/,upperdir={STAGE}/upper,workdir={STAGE}/work");
    let root = Path::new(STAGE).join("root");
    put("root", &root, "overlay", &options)?;
    for (name, mode) in
        [("proc", 0o555), ("sys", 0o555), ("dev", 0o755), ("run", 0o755), ("mnt", 0o755), ("tmp", 0o1777)]
    {
        let at = root.join(name);
        fs::create_dir_all(&at)?;
        if ["run", "mnt", "tmp"].contains(&name) {
            put(name, &at, "tmpfs", &format!("mode={mode:o}"))?;
        }
    }
    let kept = root.join(job.kept.strip_prefix("/").unwrap_or(&job.kept));
    match job.boot {
        Boot::Uml(_) => mount(Some(&job.kept), &kept, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .with_context(|| format!("cannot bind {}", job.kept.display()))?,
        Boot::Emulator(_) => put(emulator::KEPT_TAG, &kept, "9p", emulator::MOUNT_OPTIONS)?,
    }
    fs::create_dir_all(root.join("mnt/host"))?;
    pivot_root(&root, &root.join("mnt/host")).context("cannot enter the new root")?;
    chdir("/")?;
    umount2("/mnt/host", MntFlags::MNT_DETACH).context("cannot leave the host's root")?;
    fs::remove_dir("/mnt/host").context("cannot remove the old root's mount point")
}

/// The usual mounts, the loopback interface, the disks.
fn bring_up(job: &Job) -> Result<()> {
    put("proc", "/proc", "proc", "")?;
    put("sysfs", "/sys", "sysfs", "")?;
    put("dev", "/dev", "devtmpfs", "mode=755")?;
    for directory in ["/dev/pts", "/dev/shm"] {
        fs::create_dir_all(directory)?;
    }
    put("devpts", "/dev/pts", "devpts", "ptmxmode=666,mode=620,gid=5")?;
    put("shm", "/dev/shm", "tmpfs", "mode=1777")?;
    put("cgroup2", "/sys/fs/cgroup", "cgroup2", "")?;
    service::delegate().context("cannot make the control group of a service")?;
    show_modules(&job.boot.modules())?;
    quiet(&mut command("/sbin/ip", ["link", "set", "lo", "up"]))?;
    // Where cases mount their stores; a machine that has not used Nix has none.
    fs::create_dir_all("/nix")?;
    for (number, disk) in job.disks.iter().enumerate() {
        fs::create_dir_all(&disk.at)?;
        put(&job.boot.disk(number), &disk.at, "ext4", "")?;
    }
    Ok(())
}

/// Puts this kernel's modules where modprobe looks for them, whoever calls it: a program, or the kernel by itself.
fn show_modules(modules: &Path) -> Result<()> {
    fs::create_dir_all(MODULES_AT)?;
    mount(Some(modules), MODULES_AT, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .with_context(|| format!("cannot show {} at {MODULES_AT}", modules.display()))
}

/// A login shell's limit of open files is too small for a server that holds some for every file in use.
fn more_descriptors() -> Result<()> {
    const FILES: u64 = 1_000_000;
    setrlimit(Resource::RLIMIT_NOFILE, FILES, FILES).context("cannot raise the limit of open files")
}

/// Runs the program with its output carried to the host.
fn run(job: &Job, host: &Host) -> Result<i32> {
    let [program, arguments @ ..] = job.program.as_slice() else {
        anyhow::bail!("the job names no program");
    };
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .envs([("HOME", "/root"), ("TMPDIR", "/tmp"), ("LANG", "C.UTF-8"), (INSIDE, "1")])
        .envs(job.environment.iter().cloned())
        .env(KEPT, &job.kept)
        .current_dir(&job.checkout)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()));
    let (stdout, stderr) = match &mut child {
        Ok(child) => (child.stdout.take(), child.stderr.take()),
        Err(error) => {
            // As a shell would: the program that cannot be started is the caller's mistake, not the machine's.
            host.stream(Stream::Error)?.write_all(format!("{error:#}\n").as_bytes())?;
            return Ok(127);
        }
    };
    let carriers = [carry(stdout, host.stream(Stream::Output)?), carry(stderr, host.stream(Stream::Error)?)];
    let status = reap(&child?)?;
    for done in carriers {
        // Err: somebody still holds the pipe, and what he says now is of no interest.
        let _ = done.recv_timeout(LAST_WORDS);
    }
    Ok(status)
}

/// Waits for the program, and for every process that lost its parent meanwhile: nobody else would.
pub fn reap(program: &Child) -> Result<i32> {
    let program = i32::try_from(program.id())?;
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid.as_raw_pid() == program => {
                let signal = || status.terminating_signal().map(|signal| 128 + signal);
                if let Some(status) = status.exit_status().or_else(signal) {
                    return Ok(status);
                }
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno).context("cannot wait for the program"),
        }
    }
}

/// Carries bytes until the pipe's end; the receiver hears of the end.
fn carry(from: Option<impl Read + Send + 'static>, mut to: Box<dyn Write + Send>) -> Receiver<()> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        if let Some(mut from) = from {
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                if to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
        }
        // Nobody listens any more when the program's end was waited for too long.
        let _ = sender.send(());
    });
    receiver
}

fn put(source: &str, at: impl AsRef<Path>, kind: &str, options: &str) -> Result<()> {
    let at = at.as_ref();
    mount(Some(source), at, Some(kind), MsFlags::empty(), Some(options))
        .with_context(|| format!("cannot mount {kind} at {}", at.display()))
}
