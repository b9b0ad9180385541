//! dbench: two clients that do what a file server's clients did all day; any call that fails ends it.

use std::time::Duration;

use anyhow::Result;

use super::{Outcome, Run, limited};
use crate::tally::Tally;

/// It says how it fares every second.
const SILENCE: Duration = Duration::from_secs(60);
const CLIENTS: &str = "2";

/// Runs it once.
pub fn run(run: &Run) -> Result<Vec<Outcome>> {
    let mut program = run.tools.debian("dbench");
    program.arg("-c").arg(run.tools.dbench_load()).arg("-D").arg(run.directory).args([
        "-t",
        run.options.seconds.to_string().as_str(),
        CLIENTS,
    ]);
    let ended = limited::run(&mut program, SILENCE)?;
    let rate = ended.lines.iter().find_map(|line| throughput(line));
    let good = ended.good() && rate.is_some();
    if !good {
        println!("{} dbench:\n{}", run.ground, ended.tail());
    }
    Ok(vec![Outcome {
        what: format!("dbench {CLIENTS} clients"),
        result: rate.filter(|_| good).map_or("FAILED".to_owned(), |rate| format!("{rate} MB/s")),
        tally: Tally::one(good),
    }])
}

/// Its closing line: `Throughput 59.9 MB/sec  2 clients  2 procs  max_latency=3.1 ms`.
fn throughput(line: &str) -> Option<&str> {
    line.strip_prefix("Throughput ")?.split_once(" MB/sec").map(|(rate, _)| rate)
}
