//! What the kernel's client asks a server for during each session, recorded in the virtual machine and asked again over
//! loopback on the host: the same work for every server, without what the virtual machine adds to a system call.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::inside::Job;
use super::machine;
use super::private;
use super::results::{Event, Results, Unit};
use super::servers::{Offer, Running, serve};
use super::subjects::Server;
use super::wire::{one_processor, processor_time};
use super::work::{SCRATCH, Session};
use crate::lab::{self, Lab, say};

pub mod play;
pub mod proxy;
pub mod recorder;
pub mod trace;

use play::Player;
use trace::Trace;

/// The directory of the scratch that the recorded sessions worked in.
pub const PLACE: Server = Server::Loopbox;

/// The sessions that are recorded; a compiler spends its time on itself.
pub const SESSIONS: [Session; 8] = [
    Session::Find,
    Session::Tar,
    Session::Create,
    Session::Rm,
    Session::Write,
    Session::Read,
    Session::Random,
    Session::Random8,
];

/// Seconds that a session may take while it is recorded, which takes much longer.
const LIMIT: u64 = 300;

/// Records, then plays to every server, round after round.
pub fn run(lab: &Lab, job: &Job, results: &mut Results) -> Result<()> {
    let directory = lab.kept("traces")?;
    say("recording what the kernel's client asks for");
    machine::run(lab, &Job { record: Some(directory.clone()), limit: LIMIT, ..job.clone() }, results)?;
    let offer = private::files(lab)?;
    let _processor = one_processor()?;
    for round in 0..job.rounds {
        for &server in job.servers.iter().filter(|server| !matches!(server, Server::Local | Server::Knfsd)) {
            say(&format!("round {} of {}: {server}", round + 1, job.rounds));
            one_server(server, &offer, &directory, results)?;
        }
    }
    Ok(())
}

/// Where a session's calls are kept.
pub fn file(directory: &Path, session: Session) -> PathBuf {
    directory.join(format!("{session}.json"))
}

/// All sessions in their order on one server.
fn one_server(server: Server, offer: &Offer, directory: &Path, results: &mut Results) -> Result<()> {
    let scratch = offer.root.join(SCRATCH).join(PLACE.to_string());
    lab::remove(&scratch)?;
    fs::create_dir(&scratch).context("cannot create the place to write to")?;
    let mut running = None;
    for session in SESSIONS {
        let trace = Trace::load(&file(directory, session))?;
        let name = format!("replay-{session}");
        match one_session(server, offer, &mut running, &trace) {
            Ok((time, spent)) => {
                for (workload, value) in [(name.clone(), time), (format!("{name}-cpu"), spent)] {
                    let value = value.as_secs_f64();
                    results.add(Event::Sample { workload, server, unit: Unit::Seconds, value });
                }
            }
            Err(error) => {
                running = None;
                results.add(Event::Cannot { workload: name, server, why: format!("{error:#}") });
            }
        }
    }
    Ok(())
}

fn one_session(
    server: Server,
    offer: &Offer,
    running: &mut Option<Running>,
    trace: &Trace,
) -> Result<(Duration, Duration)> {
    let running = match running {
        Some(running) => running,
        None => running.insert(Running::start(server, offer, serve::Peers::Anyone)?),
    };
    let mut player = Player::connect(&running.address)?;
    let process = running.process().context("the server has no process")?;
    let before = processor_time(process)?;
    let time = player.play(trace)?;
    Ok((time, processor_time(process)?.saturating_sub(before)))
}
