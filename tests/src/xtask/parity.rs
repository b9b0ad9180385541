//! `cargo xtask parity`: the table of derivations, built by Nix's own sandbox and by loopbox, has to come out alike.

use std::ffi::OsString;
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::demo::Workload;
use crate::demo::ways;
use crate::lab::new_nix::NewNix;
use crate::lab::{Lab, store};
use crate::parity::exceptions;
use crate::parity::report::Report;
use crate::parity::side::Builder;
use crate::parity::verdict::judge;
use crate::tally::Tally;
use crate::vm::Output;

/// Which rows.
#[derive(Debug, Args)]
pub struct Options {
    /// Only rows whose name contains this.
    #[arg(long)]
    filter: Option<String>,
}

/// Compares, prints every row and counts.
pub fn run(options: &Options) -> Result<ExitCode> {
    let lab = Lab::open()?;
    super::setup::machine(&lab)?;
    let tally = compare(&lab, options.filter.as_deref())?;
    println!("{tally}");
    Ok(if tally.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds the table on both sides, in two equal machines with the same Nix.
pub fn compare(lab: &Lab, filter: Option<&str>) -> Result<Tally> {
    let workload = Workload::prepare(lab)?;
    lab.loopbox()?;
    let (nix, loopbox) = thread::scope(|scope| {
        let nix = scope.spawn(|| side(lab, &workload, Builder::Nix, filter));
        let loopbox = side(lab, &workload, Builder::Loopbox, filter);
        (nix.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the thread panicked"))), loopbox)
    });
    let (nix, loopbox) = (nix?, loopbox?);
    let mut exceptions = exceptions()?;
    exceptions.retain(|name, _| filter.is_none() || nix.table.contains_key(name));
    Ok(judge(&exceptions, &nix, &loopbox))
}

/// One side in its machine.
fn side(lab: &Lab, workload: &Workload, by: Builder, filter: Option<&str>) -> Result<Report> {
    let nix = NewNix::bring(lab)?;
    let graph = workload.graph.parent().context("the graph is in a directory")?;
    let loopbox = lab.loopbox()?;
    let mut words = nix.enter(lab, loopbox.parent())?;
    words.extend([OsString::from("env"), "-u".into(), "NIX_REMOTE".into()]);
    words.push(format!("NIX_CONF_DIR={}", store::configuration(lab)?.display()).into());
    words.extend([lab.own_program()?.into(), "__parity".into()]);
    words.push(by.to_possible_value().context("a side has a name")?.get_name().into());
    words.extend([graph.into(), loopbox.into()]);
    words.extend(filter.into_iter().flat_map(|filter| ["--filter".into(), filter.into()]));
    let finished = ways::machine(workload).run(lab, &words, Output::Capture)?;
    let said = String::from_utf8_lossy(&finished.stderr);
    if finished.status != 0 {
        bail!("{by:?} ended with status {}\n{said}", finished.status);
    }
    serde_json::from_slice(&finished.stdout).with_context(|| format!("{by:?} left no report\n{said}"))
}
