//! Runs the part in the virtual machine, and takes what it prints.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::inside::Job;
use super::results::{Event, Results};
use crate::lab::Lab;
use crate::vm::{Output, Platform, Vm};

/// In MiB: the files, and what the client keeps of them.
const MEMORY: u32 = 6144;
/// No round takes longer than this with all peers.
const ROUND: Duration = Duration::from_secs(900);

/// Measures in a machine of its own.
pub fn run(lab: &Lab, job: &Job, results: &mut Results) -> Result<()> {
    let words: Vec<OsString> = vec![
        std::env::current_exe().context("cannot find this program's own file")?.into(),
        "__bench-inside".into(),
        serde_json::to_string(job)?.into(),
    ];
    let timeout = ROUND * u32::try_from(job.rounds)?;
    let platform = job.platform;
    let counts_instructions = platform == Platform::Emulator;
    let vm = Vm { platform, counts_instructions, memory: MEMORY, timeout, ..Vm::default() };
    let finished = vm.run(lab, &words, Output::Results)?;
    for line in String::from_utf8_lossy(&finished.stdout).lines() {
        let event: Event = serde_json::from_str(line)
            .with_context(|| format!("the machine printed {line:?}, which is no result"))?;
        results.add(event);
    }
    if finished.status != 0 {
        bail!("the measurement in the machine ended with status {}", finished.status);
    }
    Ok(())
}
