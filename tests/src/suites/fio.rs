//! fio: what it writes, it reads again and compares.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Outcome, Run, limited};
use crate::tally::Tally;

/// It says nothing before its end.
const SILENCE: Duration = Duration::from_secs(300);
/// Verified after the client forgot what it had written; an error ends the job.
const ALWAYS: [&str; 8] = [
    "--thread",
    "--verify=crc32c",
    "--verify_fatal=1",
    "--end_fsync=1",
    "--fallocate=none",
    "--verify_state_save=0",
    "--output-format=json",
    "--name=file",
];
/// Both jobs; the first writes half of what it touches.
const JOBS: [(&str, [&str; 2]); 2] =
    [("random 4 KiB", ["--rw=randrw", "--bs=4k"]), ("sequential write", ["--rw=write", "--bs=1m"])];

/// What it prints, as far as it is looked at.
#[derive(Debug, Deserialize)]
struct Report {
    jobs: Vec<Job>,
}

#[derive(Debug, Deserialize)]
struct Job {
    error: i32,
    total_err: Option<u64>,
    write: Direction,
}

#[derive(Debug, Deserialize)]
struct Direction {
    io_bytes: u64,
    /// Bytes per second.
    bw_bytes: u64,
}

/// Runs both jobs; each counts.
pub fn run(run: &Run) -> Result<Vec<Outcome>> {
    JOBS.iter().map(|(what, words)| one(run, what, words)).collect()
}

fn one(run: &Run, what: &str, words: &[&str]) -> Result<Outcome> {
    let directory = run.directory.join(what.replace(' ', "-"));
    std::fs::create_dir(&directory).context("cannot make a directory for fio")?;
    let mut program = run.tools.debian("fio");
    program
        .args(ALWAYS)
        .args(words)
        .arg(format!("--size={}m", run.options.size))
        .arg(format!("--directory={}", directory.display()));
    let ended = limited::run(&mut program, SILENCE)?;
    let rate = judge(&ended.lines.join("\n"));
    let good = ended.good() && rate.is_some();
    if !good {
        println!("{} fio, {what}:\n{}", run.ground, ended.tail());
    }
    Ok(Outcome {
        what: format!("fio {what}, verified"),
        result: rate.filter(|_| good).map_or("FAILED".to_owned(), |rate| format!("{rate} MB/s")),
        tally: Tally::one(good),
    })
}

/// How fast it wrote, in megabytes per second; `None` unless it wrote and every byte came back.
fn judge(text: &str) -> Option<u64> {
    let report: Report = serde_json::from_str(text).ok()?;
    let [job] = report.jobs.as_slice() else { return None };
    let good = job.error == 0 && job.total_err.unwrap_or(0) == 0 && job.write.io_bytes > 0;
    good.then_some(job.write.bw_bytes / 1_000_000)
}
