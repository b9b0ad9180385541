//! A machine on a processor in software (QEMU), with the kernel of a distribution: no privilege, no device of the host's.
//!
//! The host's files come to it by 9P, all of them to read and one directory to write.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::unistd::dup;

use super::{Job, enter, line};
use crate::lab::emulator::Emulator;

/// The name by which the machine mounts the host's root.
pub const ROOT_TAG: &str = "root";
/// The name by which it mounts the directory that it can write to.
pub const KEPT_TAG: &str = "kept";
/// How it mounts both.
pub const MOUNT_OPTIONS: &str = "trans=virtio,version=9p2000.L,msize=512000";

/// All that can be emulated, but for what has the kernel copy and clear memory by one instruction that is repeated for each
/// byte (`rep movsb`, `rep stosb`): each time counts as one, where a processor does a line of its cache at once.
const PROCESSOR: &str = "max,-erms,-fsrm,-fsrs,-fzrm,-fsrc";

/// Runs the machine to its end; whether the program came to an end in it.
pub(super) fn run(job: &Job, emulator: &Emulator, spec: &Path) -> Result<bool> {
    // 9P's server looks itself up there.
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), None::<&str>)
        .context("cannot mount /proc for the emulator")?;
    enter::protect(job, Path::new("/"))?;
    let console = fs::File::create(&job.console).context("cannot create the console's file")?;
    let (mut ours, theirs) = UnixStream::pair().context("cannot make a line to the machine")?;
    // The emulator inherits it by number.
    let inherited = dup(&theirs)?;
    let mut machine = emulator
        .program()
        .args(arguments(job, emulator, spec, inherited.as_raw_fd()))
        .env_clear()
        // Changes to disks that are forgotten are kept there meanwhile.
        .env("TMPDIR", &job.directory)
        .envs(emulator.environment())
        .stdin(Stdio::null())
        .stdout(console.try_clone()?)
        .stderr(console)
        .spawn()
        .context("cannot start the emulator")?;
    drop((theirs, inherited));
    let status = line::receive(&ours, io::stdout(), io::stderr())?;
    if let Some(status) = status {
        fs::write(&job.status, status.to_string()).context("cannot write the status file")?;
        ours.write_all(&[line::TAKEN]).context("cannot answer the machine")?;
    }
    machine.wait().context("cannot wait for the emulator")?;
    Ok(status.is_some())
}

/// What the emulator is told. `line` is the descriptor of the one line between the machine and the host.
fn arguments(job: &Job, emulator: &Emulator, spec: &Path, line: RawFd) -> Vec<OsString> {
    let mut words: Vec<String> = Vec::new();
    let mut say = |word: &str, value: String| words.extend([word.to_owned(), value]);
    say("-machine", "q35".to_owned());
    say("-accel", "tcg".to_owned());
    say("-cpu", PROCESSOR.to_owned());
    say("-smp", "1".to_owned());
    say("-m", format!("{}M", job.memory));
    if job.counts_instructions {
        // An instruction takes a nanosecond, and where nothing is to be done the clock goes on to what comes next.
        say("-icount", "shift=0,sleep=off".to_owned());
    }
    say("-display", "none".to_owned());
    for directory in emulator.firmware() {
        say("-L", directory.display().to_string());
    }
    say("-kernel", emulator.image().display().to_string());
    say("-initrd", emulator.initramfs().display().to_string());
    // What comes behind the dashes is for process 1.
    let helper = job.helper.display();
    say("-append", format!("console=ttyS0 quiet panic=-1 -- {helper} __vm-init {}", spec.display()));
    say("-chardev", format!("file,id=console,append=on,path={}", escaped(&job.console)));
    say("-serial", "chardev:console".to_owned());
    say("-device", "virtio-serial-pci".to_owned());
    say("-chardev", format!("socket,id=line,fd={line}"));
    say("-device", "virtserialport,chardev=line,name=line".to_owned());
    let share = |tag: &str, path: &Path, rest: &str| {
        format!("local,mount_tag={tag},security_model=passthrough,{rest},path={}", escaped(path))
    };
    say("-virtfs", share(ROOT_TAG, Path::new("/"), "readonly=on,multidevs=remap"));
    say("-virtfs", share(KEPT_TAG, &job.kept, "multidevs=remap"));
    for disk in &job.disks {
        let snapshot = if disk.keep { "off" } else { "on" };
        say("-drive", format!("if=virtio,format=raw,snapshot={snapshot},file={}", escaped(&disk.image)));
    }
    ["-nodefaults", "-no-user-config", "-no-reboot"]
        .map(str::to_owned)
        .into_iter()
        .chain(words)
        .map(OsString::from)
        .collect()
}

/// A path among options that commas separate.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::{Boot, Disk};

    fn job(counts_instructions: bool, disks: Vec<Disk>) -> (Job, Emulator) {
        let emulator = Emulator::at("/lab/emulator");
        let job = Job {
            boot: Boot::Emulator(emulator.clone()),
            counts_instructions,
            checkout: "/src".into(),
            kept: "/lab/kept".into(),
            memory: 3072,
            disks,
            helper: "/lab/own/1".into(),
            program: vec!["true".into()],
            environment: Vec::new(),
            status: "/lab/runs/1/status".into(),
            console: "/lab/runs/1/console".into(),
            directory: "/lab/runs/1".into(),
        };
        (job, emulator)
    }

    fn told(job: &Job, emulator: &Emulator) -> String {
        let words = arguments(job, emulator, Path::new("/lab/runs/1/job.json"), 7);
        let words = words.iter().map(|word| word.to_string_lossy());
        words.collect::<Vec<_>>().join(" ").replace(" -", "\n-")
    }

    #[test]
    fn the_machine_has_one_processor_and_the_hosts_files_to_read() {
        let (job, emulator) = job(false, Vec::new());
        insta::assert_snapshot!(told(&job, &emulator));
    }

    #[test]
    fn a_clock_that_counts_instructions_is_asked_for() {
        let (job, emulator) = job(true, Vec::new());
        assert!(told(&job, &emulator).contains("\n-icount shift=0,sleep=off\n"));
    }

    #[test]
    fn changes_to_a_disk_stay_only_where_they_are_to_be_kept() {
        let disk = |image: &str, keep| Disk { image: image.into(), at: "/nix".into(), keep };
        let (job, emulator) = job(false, vec![disk("/a,b.ext4", false), disk("/c.ext4", true)]);
        let told = told(&job, &emulator);
        assert!(told.contains("\n-drive if=virtio,format=raw,snapshot=on,file=/a,,b.ext4\n"), "{told}");
        assert!(told.contains("\n-drive if=virtio,format=raw,snapshot=off,file=/c.ext4"), "{told}");
    }
}
