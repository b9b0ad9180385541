//! fsx: random operations on one file, in two ways; every read has to show what was written.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Outcome, Run, limited};
use crate::command::command;
use crate::tally::Tally;

/// fsx is silent as long as nothing is wrong; an operation takes well under a millisecond, and ten when it is synced.
const PER_OPERATION: Duration = Duration::from_millis(10);
/// Mappings that a program has beside.
const MAPPINGS: u64 = 10_000;
/// What a machine may need beside.
const AT_LEAST: Duration = Duration::from_secs(60);

/// What a compiler or a linker does, and everything that a mount of NFSv3 has.
const WAYS: [(&str, &str); 2] = [
    (
        "reads, writes, truncations, mmap",
        "flen = 262144
         [weights]
         close_open = 0.3
         invalidate = 0.3",
    ),
    (
        "and fsync, sendfile, copy_file_range",
        "flen = 3000000
         [opsize]
         max = 200000
         [weights]
         close_open = 0.2
         invalidate = 0.5
         fsync = 0.2
         fdatasync = 0.2
         sendfile = 1.0
         posix_fadvise = 0.2
         copy_file_range = 1.0",
    ),
];

/// Runs it in both ways; each counts.
pub fn run(run: &Run) -> Result<Vec<Outcome>> {
    // fsx 0.3.2 keeps every mapping that it read through, and the kernel allows 65,530 of them.
    fs::write("/proc/sys/vm/max_map_count", (MAPPINGS + run.options.ops).to_string())
        .context("cannot allow more mappings")?;
    let artifacts = Path::new("/tmp/fsx");
    fs::create_dir_all(artifacts)?;
    let mut outcomes = Vec::new();
    for (number, (what, configuration)) in WAYS.into_iter().enumerate() {
        let file = artifacts.join(format!("way{number}.toml"));
        fs::write(&file, configuration).context("cannot write fsx's configuration")?;
        let mut program = command(run.tools.program("fsx"), ["-N", run.options.ops.to_string().as_str()]);
        program
            .args(["-S", run.seed.to_string().as_str(), "-f"])
            .arg(file)
            .arg("-P")
            .arg(artifacts)
            .arg(run.directory.join(format!("file{number}")));
        let start = Instant::now();
        let limit = AT_LEAST + PER_OPERATION * u32::try_from(run.options.ops).unwrap_or(u32::MAX);
        let ended = limited::run(&mut program, limit)?;
        if !ended.good() {
            println!("{} fsx, {what}, --seed {}:\n{}", run.ground, run.seed, ended.tail());
        }
        let word = if ended.good() { "ok" } else { "FAILED" };
        outcomes.push(Outcome {
            what: format!("fsx {what}"),
            result: format!("{} {word}, {:.1} s", run.options.ops, start.elapsed().as_secs_f32()),
            tally: Tally::one(ended.good()),
        });
    }
    Ok(outcomes)
}
