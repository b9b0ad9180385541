//! The part in the virtual machine: every server on the same files, mounted by the kernel's client, round after round.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde::{Deserialize, Serialize};

use super::results::{Event, Unit};
use super::servers::{Offer, Running, serve};
use super::subjects::{Server, Workload};
use super::work::{LARGE, SCRATCH, Session, TREE, large_file, tree};
use crate::lab;

/// What all servers serve.
const BACKING: &str = "/mnt/backing";
/// Where one of them is mounted.
const MOUNTED: &str = "/mnt/mounted";
/// Between two looks at whether work has ended.
const POLL: Duration = Duration::from_millis(5);

/// What to measure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// On which servers.
    pub servers: Vec<Server>,
    /// Which workloads.
    pub workloads: Vec<Workload>,
    /// How often.
    pub rounds: usize,
    /// Seconds after which a server is given up that has not finished.
    pub limit: u64,
}

/// Measures, and prints an event a line.
pub fn main(job: &str) -> Result<ExitCode> {
    if std::env::var_os("LOOPBOX_VM").is_none() {
        bail!("this part of the benchmark runs inside the virtual machine only: cargo xtask bench");
    }
    let job: Job = serde_json::from_str(job).context("the job cannot be read")?;
    let offer = make_files(&job)?;
    let mut given_up = Vec::new();
    for round in 0..job.rounds {
        one_round(&job, round, &offer, &mut given_up)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn make_files(job: &Job) -> Result<Offer> {
    let root = Path::new(BACKING);
    for directory in [BACKING, MOUNTED] {
        fs::create_dir_all(directory)?;
    }
    mount(Some("backing"), root, Some("tmpfs"), MsFlags::empty(), Some("size=3G,mode=755"))
        .context("cannot mount tmpfs")?;
    let wants = |wanted: &[Workload]| job.workloads.iter().any(|workload| wanted.contains(workload));
    if wants(&[Workload::FindCold, Workload::FindWarm, Workload::TarCold, Workload::TarWarm]) {
        tree::make(&root.join(TREE))?;
    }
    if wants(&[Workload::ReadCold, Workload::Random, Workload::Random8]) {
        large_file::write(&root.join(LARGE))?;
    }
    Offer::new(root)
}

/// Each session on each server in turn, every server started for this round.
fn one_round(job: &Job, round: usize, offer: &Offer, given_up: &mut Vec<(Server, Session)>) -> Result<()> {
    let mut servers: BTreeMap<Server, Option<Running>> = BTreeMap::new();
    for server in &job.servers {
        let scratch = offer.root.join(SCRATCH).join(server.to_string());
        lab::remove(&scratch)?;
        fs::create_dir(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    }
    // Nobody is always first.
    let order = job.servers.iter().cycle().skip(round % job.servers.len()).take(job.servers.len());
    let order: Vec<Server> = order.copied().collect();
    for session in sessions(job) {
        for &server in &order {
            if given_up.contains(&(server, session)) {
                continue;
            }
            let running = servers.entry(server).or_default();
            eprintln!("round {} of {}: {session:?} on {server}", round + 1, job.rounds);
            match one_session(session, server, offer, running, Duration::from_secs(job.limit)) {
                Ok(seconds) => report(job, server, &seconds)?,
                Err(error) => {
                    // Whatever state it is in now, the next session gets a new one.
                    *running = None;
                    given_up.push((server, session));
                    give_up(job, server, session, &error)?;
                }
            }
        }
    }
    Ok(())
}

/// The sessions in which something wanted is measured, and what they need.
fn sessions(job: &Job) -> impl Iterator<Item = Session> {
    let wanted = |session: &Session| {
        session.workloads().iter().any(|workload| job.workloads.contains(workload))
            || (*session == Session::Create && job.workloads.contains(&Workload::Rm))
    };
    Session::ALL.into_iter().filter(wanted)
}

/// A session on a mount of its own: the client has seen nothing of it.
fn one_session(
    session: Session,
    server: Server,
    offer: &Offer,
    running: &mut Option<Running>,
    limit: Duration,
) -> Result<BTreeMap<Workload, f64>> {
    if server == Server::Local {
        return work(session, server, &offer.root, limit);
    }
    let running = match running {
        Some(running) => running,
        None => running.insert(Running::start(server, offer, serve::Peers::Kernel)?),
    };
    let at = Path::new(MOUNTED);
    running.address.mount(at)?;
    let worked = work(session, server, at, limit);
    if umount2(at, MntFlags::empty()).is_err() {
        // A server that does not answer, and calls that wait for it.
        let _ = umount2(at, MntFlags::MNT_FORCE);
        umount2(at, MntFlags::MNT_DETACH).context("cannot unmount")?;
    }
    worked
}

/// Work in a process of its own that is killed after a while.
fn work(session: Session, server: Server, place: &Path, limit: Duration) -> Result<BTreeMap<Workload, f64>> {
    let mut process = Command::new(std::env::current_exe()?)
        .arg("__bench-work")
        .arg(session.to_string())
        .arg(place)
        .arg(server.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the work")?;
    if !ended(&mut process, limit)? {
        // It ends when the calls are aborted that it waits for, if not before.
        let _ = process.kill();
        let _ = umount2(place, MntFlags::MNT_FORCE);
        bail!("it did not finish in {} s", limit.as_secs());
    }
    let mut seconds = String::new();
    if let Some(mut stdout) = process.stdout.take() {
        stdout.read_to_string(&mut seconds)?;
    }
    if !process.wait()?.success() {
        bail!("an operation failed");
    }
    serde_json::from_str(&seconds).context("the work left no times")
}

fn ended(process: &mut Child, limit: Duration) -> Result<bool> {
    let start = Instant::now();
    while process.try_wait()?.is_none() {
        if start.elapsed() > limit {
            return Ok(false);
        }
        thread::sleep(POLL);
    }
    Ok(true)
}

fn report(job: &Job, server: Server, seconds: &BTreeMap<Workload, f64>) -> Result<()> {
    for (workload, &value) in seconds.iter().filter(|(workload, _)| job.workloads.contains(workload)) {
        let workload = workload.to_string();
        print(&Event::Sample { workload, server, unit: Unit::Seconds, value })?;
    }
    Ok(())
}

fn give_up(job: &Job, server: Server, session: Session, error: &anyhow::Error) -> Result<()> {
    for workload in session.workloads().iter().filter(|workload| job.workloads.contains(workload)) {
        print(&Event::Cannot { workload: workload.to_string(), server, why: format!("{error:#}") })?;
    }
    Ok(())
}

fn print(event: &Event) -> Result<()> {
    println!("{}", serde_json::to_string(event)?);
    Ok(())
}
