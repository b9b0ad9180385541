//! The calls alone: a client without a kernel sends them over loopback, as many at once as a kernel would, and the
//! server's processor time is read from the system.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::inside::Job;
use super::private;
use super::results::{Event, Results, Unit};
use super::servers::{Offer, Running, serve};
use super::subjects::{Server, Workload};
use crate::lab::{Lab, say};
use crate::vm::processor::{self, Processor};

pub mod abilities;
pub mod calls;
pub mod client;
pub mod memory;

use client::{Client, Connection};

/// How many calls are in flight at once, but where one is.
const WINDOW: usize = 32;
/// The same for calls whose replies are large.
const WINDOW_LARGE: usize = 8;
/// Calls whose cost is not counted: the server sees the files for the first time.
const WARM_UP: Duration = Duration::from_millis(100);
/// What the server's end is called in the results.
const CPU: &str = "cpu";

/// Measures every workload on every server, round after round.
pub fn run(lab: &Lab, job: &Job, results: &mut Results) -> Result<()> {
    let offer = private::files(lab)?;
    let _processor = one_processor()?;
    for round in 0..job.rounds {
        for &server in job.servers.iter().filter(|server| **server != Server::Knfsd) {
            say(&format!("round {} of {}: {server}", round + 1, job.rounds));
            one_server(job, server, &offer, results)?;
        }
    }
    Ok(())
}

fn one_server(job: &Job, server: Server, offer: &Offer, results: &mut Results) -> Result<()> {
    if server == Server::Local {
        if job.workloads.contains(&Workload::WireRead1m) {
            let running = Running::start(server, offer, serve::Peers::Anyone)?;
            limit(job, &running, results)?;
        }
        return Ok(());
    }
    let running = match Running::start(server, offer, serve::Peers::Anyone) {
        Ok(running) => running,
        Err(error) => {
            for workload in &job.workloads {
                let why = format!("{error:#}");
                results.add(Event::Cannot { workload: workload.to_string(), server, why });
            }
            return Ok(());
        }
    };
    if let Err(error) = abilities::look(server, &running, results) {
        results.add(Event::Cannot { workload: "abilities".into(), server, why: format!("{error:#}") });
    }
    for &workload in &job.workloads {
        if let Err(error) = one_workload(job, workload, server, &running, results) {
            let why = format!("{error:#}");
            results.add(Event::Cannot { workload: workload.to_string(), server, why });
        }
    }
    Ok(())
}

/// Keeps client and servers on one processor while it is held. With two, every call wakes a processor that sleeps, which
/// takes a virtual machine ten times as long as all that a server does for a call, and is counted as the server's own time.
pub fn one_processor() -> Result<Processor> {
    processor::take()
}

/// One workload with many calls in flight and with one.
fn one_workload(
    job: &Job,
    workload: Workload,
    server: Server,
    running: &Running,
    results: &mut Results,
) -> Result<()> {
    let mut client = Client::connect(&running.address)?;
    let records = calls::records(workload, &mut client)?;
    let process = running.process().context("the server has no process")?;
    let many = if workload == Workload::WireRead1m { WINDOW_LARGE } else { WINDOW };
    for window in [many, 1] {
        client.connection.pipeline(&records, window, for_a(WARM_UP))?;
        let before = processor_time(process)?;
        let done = client.connection.pipeline(&records, window, for_a(Duration::from_millis(job.length)))?;
        let spent = processor_time(process)?.saturating_sub(before);
        let name = if window == 1 { format!("{workload}-1") } else { workload.to_string() };
        report(results, server, &name, done.calls, done.time, spent);
    }
    Ok(())
}

/// What is the most that a server could reach with reads of 1 MiB: a loop that sends a file.
fn limit(job: &Job, running: &Running, results: &mut Results) -> Result<()> {
    let mut connection = Connection::open(running.address.nfs)?;
    let process = running.process().context("the server has no process")?;
    connection.receive_for(WARM_UP)?;
    let before = processor_time(process)?;
    let (bytes, time) = connection.receive_for(Duration::from_millis(job.length))?;
    let spent = processor_time(process)?.saturating_sub(before);
    let name = Workload::WireRead1m.to_string();
    report(results, Server::Local, &name, bytes / u64::from(calls::LARGE_READ), time, spent);
    Ok(())
}

/// Goes on for a time from now.
fn for_a(length: Duration) -> impl Fn(usize) -> bool {
    let start = Instant::now();
    move |_| start.elapsed() < length
}

fn report(results: &mut Results, server: Server, name: &str, calls: u64, time: Duration, spent: Duration) {
    let calls = calls as f64;
    let (rate, each) = (calls / time.as_secs_f64(), spent.as_secs_f64() * 1e6 / calls);
    for (workload, unit, value) in
        [(name.to_owned(), Unit::Rate, rate), (format!("{name}-{CPU}"), Unit::PerCall, each)]
    {
        results.add(Event::Sample { workload, server, unit, value });
    }
}

/// What a process has taken so far, all of its threads together.
pub fn processor_time(process: u32) -> Result<Duration> {
    let process = nix::unistd::Pid::from_raw(i32::try_from(process)?);
    let clock = nix::time::clock_getcpuclockid(process).context("the server's clock cannot be found")?;
    let time = clock.now().context("the server's clock cannot be read")?;
    Ok(time.into())
}
