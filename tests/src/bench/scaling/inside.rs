//! The measurement itself, inside the machine: closures in memory, and a jail that does nothing in each of them.

use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use mounter::jail::{
    ExitOutcome, Jail, JailExit, JailSpec, Local, Root, SpawnRequest, Spawner, StdioFds, User,
};
use nfs_server::view::{Access, Entry, Owner, ViewSpec};
use nix::mount::{MsFlags, mount};
use sandbox::ServeOptions;
use sandbox::backend::{BackendKind, ProvisionRequest};
use sandbox::recovery::{Leftovers, StateDir};
use serde::{Deserialize, Serialize};

use super::nix::Nix;
use super::{BY_FILES, BY_PATHS, Sample, Size, trees};

/// Who is in the jails.
const GROUP: u32 = 30_000;
const USER: User = User::new(30_001, GROUP);
/// Beyond so many files a round of hard links takes half a minute here: they are linked in the first rounds only, and so
/// does Nix build in the first only, whose clock is coarse anyway.
const MANY: u32 = 50_000;
const FEW_ROUNDS: usize = 3;
/// Where it all happens, in the store's own file system.
const BASE: &str = "/nix/bench";
/// What /proc/meminfo counts that somebody holds: not caches of what could be read again.
const HELD: [&str; 5] = ["AnonPages:", "Shmem:", "SUnreclaim:", "KernelStack:", "PageTables:"];

/// What is to be measured, and with what.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// The program.
    pub loopbox: PathBuf,
    /// Nix's configuration.
    pub configuration: PathBuf,
    /// How often.
    pub rounds: usize,
}

/// Measures, and prints a sample on each line.
pub fn main(job: &str) -> Result<ExitCode> {
    crate::vm::only_inside("the measurement of how backends grow")?;
    let job: Job = serde_json::from_str(job)?;
    let sizes: std::collections::BTreeSet<Size> = BY_FILES.into_iter().chain(BY_PATHS).collect();
    let sizes: Vec<Size> = sizes.into_iter().collect();
    mount(Some("store"), "/nix", Some("tmpfs"), MsFlags::empty(), Some("mode=755,size=90%,nr_inodes=0"))?;
    fs::create_dir_all("/nix/store")?;
    fs::create_dir_all(BASE)?;
    sizes.iter().try_for_each(|size| trees::make(*size))?;
    let nix = Nix::register(&job.configuration, &busybox()?, &sizes)?;
    for round in 0..job.rounds {
        for &size in &sizes {
            for kind in BackendKind::fit() {
                if kind != BackendKind::Hardlink || size.files < MANY || round < FEW_ROUNDS {
                    print(&measure(&job, kind, size).with_context(|| format!("{kind}, {size:?}"))?)?;
                }
            }
            if round < FEW_ROUNDS {
                let setup = nix.setup(size, round)?;
                print(&Sample { way: "Nix".into(), size, setup, teardown: None, memory: None })?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(sample: &Sample) -> Result<()> {
    let mut to = std::io::stdout().lock();
    serde_json::to_writer(&mut to, sample)?;
    Ok(to.write_all(b"\n")?)
}

/// The machine's, as a store path has it.
fn busybox() -> Result<PathBuf> {
    let directory = std::env::temp_dir().join("busybox");
    let bin = directory.join("bin");
    fs::create_dir_all(&bin)?;
    fs::copy("/bin/busybox", bin.join("busybox"))?;
    for name in ["sh", "stat", "touch"] {
        symlink("busybox", bin.join(name))?;
    }
    Ok(directory)
}

fn measure(job: &Job, kind: BackendKind, size: Size) -> Result<Sample> {
    let base = Path::new(BASE);
    for name in ["at", "store", "tmp"] {
        fs::create_dir(base.join(name))?;
        fs::set_permissions(base.join(name), fs::Permissions::from_mode(0o700))?;
    }
    let view = view(size, base);
    let state = StateDir::open(&base.join("state"))?;
    let record = state.record(Leftovers::default())?;
    let before = held()?;
    let began = Instant::now();
    let at = base.join("at");
    let spawner = Spawner::new(job.loopbox.clone());
    let wanted = ProvisionRequest {
        view: &view,
        user: &USER,
        at: &at,
        record: &record,
        spawner: &spawner,
        serve: ServeOptions::default(),
        asked_from: None,
    };
    let provisioned = kind.backend().provision(wanted)?;
    let (stdin, input) = std::io::pipe()?;
    let stdio = StdioFds {
        stdin: stdin.into(),
        stderr: std::io::stderr().as_fd().try_clone_to_owned()?,
        ..StdioFds::null()?
    };
    let jail = Jail::spawn(&spawner, &request(provisioned.root()), stdio)?;
    let setup = began.elapsed();
    let memory = held()? - before;
    // The builder reads until then.
    drop(input);
    let JailExit { outcome, unmounted, unmounting } = jail.wait_for_exit()?;
    unmounted?;
    let ended = Instant::now();
    provisioned.end()?;
    let teardown = unmounting + ended.elapsed();
    if outcome != ExitOutcome::Exited(0) {
        bail!("the builder ended with {outcome:?}");
    }
    drop(record);
    for name in ["at", "store", "tmp"] {
        fs::remove_dir(base.join(name)).with_context(|| format!("something is left in {name}"))?;
    }
    let (setup, teardown) = (setup.as_secs_f64(), Some(teardown.as_secs_f64()));
    Ok(Sample { way: kind.to_string(), size, setup, teardown, memory: Some(memory) })
}

/// The closure in a store that the build writes to, and a shell.
fn view(size: Size, base: &Path) -> ViewSpec {
    let scratch = |at: &str, name: &str, mode| Entry::Scratch {
        at: at.into(),
        source: base.join(name),
        mode,
        owner: Owner { uid: 0, gid: GROUP },
    };
    let graft =
        |at: PathBuf, source: PathBuf| Entry::Graft { at, source, access: Access::Fixed, optional: false };
    let mut entries = vec![scratch("/nix/store", "store", 0o1775), scratch("/tmp", "tmp", 0o1777)];
    entries.push(graft("/bin/busybox".into(), "/bin/busybox".into()));
    entries.extend(trees::paths(size).into_iter().map(|path| graft(path.clone(), path)));
    ViewSpec { entries }
}

fn request(root: Root) -> SpawnRequest {
    let spec = JailSpec::new(USER, "/bin/busybox", vec!["cat".into()]);
    SpawnRequest { root, devices: Vec::new(), local: Local::default(), spec }
}

/// In KiB.
fn held() -> Result<i64> {
    let table = fs::read_to_string("/proc/meminfo")?;
    let lines = table.lines().filter(|line| HELD.iter().any(|name| line.starts_with(name)));
    lines
        .map(|line| line.split_ascii_whitespace().nth(1).and_then(|word| word.parse::<i64>().ok()))
        .sum::<Option<i64>>()
        .context("/proc/meminfo has no numbers")
}
