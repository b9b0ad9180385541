//! The part in the virtual machine: every server on the same files, mounted by the kernel's client, round after round.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde::{Deserialize, Serialize};

use super::replay::{self, proxy::Proxy};
use super::results::{Event, Unit};
use super::servers::{Address, Offer, Running, serve};
use super::subjects::{Server, Workload};
use super::wire::processor_time;
use super::work::{self, LARGE, Measured, SCRATCH, Session, TREE, compile, large_file, tree};
use crate::lab::{self, Lab};
use crate::vm::Platform;

/// What all servers serve.
const BACKING: &str = "/mnt/backing";
/// Where one of them is mounted.
const MOUNTED: &str = "/mnt/mounted";
/// Where the clock counts instructions, one is a nanosecond.
const MILLIONS_IN_SECOND: f64 = 1000.0;
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
    /// What the machine's kernel runs on. Where that is the emulator, instructions are counted.
    pub platform: Platform,
    /// Where to write what the client asks for instead of measuring.
    pub record: Option<PathBuf>,
    /// Milliseconds for which one kind of call is counted, where there is no kernel in between.
    pub length: u64,
    /// Seconds after which a server is given up that has not finished.
    pub limit: u64,
    /// Whether what each session takes of the server's processor time is measured, too.
    pub processor: bool,
}

/// Measures, and prints an event a line.
pub fn main(job: &str) -> Result<ExitCode> {
    if std::env::var_os("LOOPBOX_VM").is_none() {
        bail!("this part of the benchmark runs inside the virtual machine only: cargo xtask bench");
    }
    let job: Job = serde_json::from_str(job).context("the job cannot be read")?;
    eprintln!("in the machine a system call takes {:?}", work::system_call());
    // So that no page of it comes from the host while something is measured.
    fs::read(std::env::current_exe()?).context("cannot read this program")?;
    let offer = make_files(&job)?;
    if let Some(directory) = &job.record {
        record(&job, &offer, directory)?;
        return Ok(ExitCode::SUCCESS);
    }
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
    mount(Some("backing"), root, Some("tmpfs"), MsFlags::empty(), Some("size=4G,mode=755"))
        .context("cannot mount tmpfs")?;
    let recorded =
        |workload: &Workload| replay::SESSIONS.iter().any(|session| session.workloads().contains(workload));
    let all: Vec<Workload> = Workload::value_variants().iter().copied().filter(recorded).collect();
    let workloads = if job.record.is_some() { &all } else { &job.workloads };
    let wants = |wanted: &[Workload]| workloads.iter().any(|workload| wanted.contains(workload));
    if wants(&[Workload::FindCold, Workload::FindWarm, Workload::TarCold, Workload::TarWarm]) {
        tree::make(&root.join(TREE))?;
    }
    if wants(&[Workload::ReadCold, Workload::Random, Workload::Random8]) {
        large_file::write(&root.join(LARGE))?;
    }
    if wants(&[Workload::CompileCold, Workload::Compile, Workload::CompileLarge]) {
        compile::make(&root.join(compile::ROOT), &Lab::open()?.directory("inputs")?)?;
    }
    Offer::new(root)
}

/// Each session on each server in turn, every server started for this round.
fn one_round(job: &Job, round: usize, offer: &Offer, given_up: &mut Vec<(Server, Session)>) -> Result<()> {
    let mut servers: BTreeMap<Server, Option<Running>> = BTreeMap::new();
    for server in &job.servers {
        make_place(offer, *server)?;
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
            let before = running.as_ref().map(spent).transpose()?.unwrap_or_default();
            match one_session(session, server, offer, running, Duration::from_secs(job.limit)) {
                Ok(measured) => {
                    report(job, server, &measured)?;
                    if let Some(running) = running.as_ref().filter(|_| job.processor) {
                        report_processor(job, session, server, spent(running)?.saturating_sub(before))?;
                    }
                }
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

/// Every session on loopbox, with a proxy in between that records.
fn record(job: &Job, offer: &Offer, directory: &Path) -> Result<()> {
    make_place(offer, replay::PLACE)?;
    let running = Running::start(replay::PLACE, offer, serve::Peers::Anyone)?;
    let proxy = Proxy::start(&running.address)?;
    for session in replay::SESSIONS {
        mounted(session, replay::PLACE, offer, &proxy.address, Duration::from_secs(job.limit))?;
        let trace = proxy.take();
        eprintln!("{session}: {} calls", trace.calls.len());
        trace.save(&replay::file(directory, session))?;
    }
    Ok(())
}

/// Where a server's client writes.
fn make_place(offer: &Offer, server: Server) -> Result<()> {
    let build = offer.root.join(compile::ROOT).join(compile::BUILD);
    for writable in [offer.root.join(SCRATCH), build].iter().filter(|directory| directory.exists()) {
        let place = writable.join(server.to_string());
        lab::remove(&place)?;
        fs::create_dir(&place).with_context(|| format!("cannot create {}", place.display()))?;
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
) -> Result<BTreeMap<Workload, Measured>> {
    if server == Server::Local {
        return do_work(session, server, &offer.root, limit);
    }
    let running = match running {
        Some(running) => running,
        None => running.insert(Running::start(server, offer, serve::Peers::Kernel)?),
    };
    mounted(session, server, offer, &running.address, limit)
}

/// A session through the kernel's client.
fn mounted(
    session: Session,
    server: Server,
    offer: &Offer,
    address: &Address,
    limit: Duration,
) -> Result<BTreeMap<Workload, Measured>> {
    let at = Path::new(MOUNTED);
    address.mount(at)?;
    let covered = if server == Server::LoopboxLocal { cover_scratches(offer, at)? } else { Vec::new() };
    let worked = do_work(session, server, at, limit);
    for scratch in &covered {
        umount2(scratch, MntFlags::MNT_DETACH).context("cannot uncover a scratch")?;
    }
    if umount2(at, MntFlags::empty()).is_err() {
        // A server that does not answer, and calls that wait for it.
        let _ = umount2(at, MntFlags::MNT_FORCE);
        umount2(at, MntFlags::MNT_DETACH).context("cannot unmount")?;
    }
    worked
}

/// Mounts the machine's own directories over the scratches of a mounted view.
fn cover_scratches(offer: &Offer, mounted: &Path) -> Result<Vec<PathBuf>> {
    let scratches = [SCRATCH.into(), Path::new(compile::ROOT).join(compile::BUILD)];
    let offered: Vec<&PathBuf> =
        scratches.iter().filter(|scratch| offer.root.join(scratch).exists()).collect();
    for scratch in &offered {
        mount(
            Some(&offer.root.join(scratch)),
            &mounted.join(scratch),
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        )
        .with_context(|| format!("cannot cover {}", scratch.display()))?;
    }
    Ok(offered.into_iter().map(|scratch| mounted.join(scratch)).collect())
}

/// Work in a process of its own that is killed after a while.
fn do_work(
    session: Session,
    server: Server,
    place: &Path,
    limit: Duration,
) -> Result<BTreeMap<Workload, Measured>> {
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
    let mut measured = String::new();
    if let Some(mut stdout) = process.stdout.take() {
        stdout.read_to_string(&mut measured)?;
    }
    if !process.wait()?.success() {
        bail!("an operation failed");
    }
    serde_json::from_str(&measured).context("the work left no times")
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

fn report(job: &Job, server: Server, measured: &BTreeMap<Workload, Measured>) -> Result<()> {
    for (workload, measured) in measured.iter().filter(|(workload, _)| job.workloads.contains(workload)) {
        let workload = workload.to_string();
        if let Some(calls) = measured.calls {
            for (sort, count) in [("asking", calls.asking), ("changing", calls.changing)] {
                let (workload, value) = (format!("{workload}-{sort}"), count as f64);
                print(&Event::Sample { workload, server, unit: Unit::Calls, value })?;
            }
        }
        let (unit, value) = duration(job, measured.seconds);
        print(&Event::Sample { workload, server, unit, value })?;
    }
    Ok(())
}

/// What the seconds of the machine's clock stand for.
fn duration(job: &Job, seconds: f64) -> (Unit, f64) {
    match job.platform {
        Platform::Uml => (Unit::Seconds, seconds),
        Platform::Emulator => (Unit::Instructions, seconds * MILLIONS_IN_SECOND),
    }
}

/// The processor time that a server has taken so far; none of one in the kernel.
fn spent(running: &Running) -> Result<Duration> {
    running.process().map_or(Ok(Duration::ZERO), processor_time)
}

fn report_processor(job: &Job, session: Session, server: Server, spent: Duration) -> Result<()> {
    let (unit, value) = duration(job, spent.as_secs_f64());
    print(&Event::Sample { workload: format!("{session}-cpu"), server, unit, value })
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
