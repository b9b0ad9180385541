//! fsx: random operations on one file, in two ways; every read has to show what was written.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Outcome, Run, limited};
use crate::command::command;
use crate::tally::Tally;

/// Operations of one process. fsx 0.3.2 keeps every mapping that it read through, which makes each operation dearer than
/// the one before (four times as many take ten times as long), until the kernel allows no more of them, which is 65,530.
const AT_ONCE: u64 = 20_000;
/// fsx is silent as long as nothing is wrong; an operation takes well under a millisecond, and ten when it is synced.
const PER_OPERATION: Duration = Duration::from_millis(10);
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
    let artifacts = Path::new("/tmp/fsx");
    fs::create_dir_all(artifacts)?;
    let mut outcomes = Vec::new();
    for (number, (what, configuration)) in WAYS.into_iter().enumerate() {
        let way = Way { configuration: artifacts.join(format!("way{number}.toml")), number };
        fs::write(&way.configuration, configuration).context("cannot write fsx's configuration")?;
        let start = Instant::now();
        let good = operations(run, &way, what, artifacts)?;
        let word = if good { "ok" } else { "FAILED" };
        outcomes.push(Outcome {
            what: format!("fsx {what}"),
            result: format!("{} {word}, {:.1} s", run.options.ops, start.elapsed().as_secs_f32()),
            tally: Tally::one(good),
        });
    }
    Ok(outcomes)
}

struct Way {
    configuration: PathBuf,
    number: usize,
}

/// Whether all operations went well: process by process, each with a seed of its own, until one finds a difference.
fn operations(run: &Run, way: &Way, what: &str, artifacts: &Path) -> Result<bool> {
    let mut left = run.options.ops;
    for seed in run.seed.. {
        let now = left.min(AT_ONCE);
        let mut program = command(run.tools.program("fsx"), ["-N", now.to_string().as_str()]);
        program
            .args(["-S", seed.to_string().as_str(), "-f"])
            .arg(&way.configuration)
            .arg("-P")
            .arg(artifacts)
            .arg(run.directory.join(format!("file{}", way.number)));
        let limit = AT_LEAST + PER_OPERATION * u32::try_from(now).unwrap_or(u32::MAX);
        let ended = limited::run(&mut program, limit)?;
        if !ended.good() {
            println!("{} fsx, {what}, --ops {now} --seed {seed}:\n{}", run.ground, ended.tail());
            return Ok(false);
        }
        left -= now;
        if left == 0 {
            break;
        }
    }
    Ok(true)
}
