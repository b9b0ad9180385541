//! Runs cases one after the other, each in a thread of its own and within a time limit.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Case, Ground, Place};
use crate::differences::{CASES, known};
use crate::tally::Tally;

/// A case that takes longer hangs: the largest ones take a minute in the machine.
const LIMIT: Duration = Duration::from_secs(240);

/// Runs the cases in directories below `directory`.
pub fn run(cases: &[Case], ground: Ground, directory: &Path, tally: &mut Tally) -> Result<()> {
    for (number, case) in cases.iter().enumerate() {
        let name = case.short_name();
        print!("{ground} {name} ... ");
        std::io::stdout().flush()?;
        let dir = directory.join(format!("case{number}"));
        fs::create_dir(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let place = Place::new(dir, ground);
        let start = Instant::now();
        let outcome = one(case, place)?;
        let seconds = start.elapsed().as_secs_f32();
        let lacks = known(CASES, name, ground).is_some();
        tally.add(Tally::one(outcome != lacks));
        let word = match (outcome, lacks) {
            (true, false) => "ok",
            (false, true) => "ok: fails, as it is known to here",
            (true, true) => "FAILED: it holds, though it is listed as one that does not",
            (false, false) => "FAILED",
        };
        println!("{word} ({seconds:.2} s)");
    }
    Ok(())
}

/// Whether the case held; an error means that it hangs, and nothing more can be learnt from this machine.
fn one(case: &Case, place: Place) -> Result<bool> {
    let (sender, receiver) = channel();
    let run = case.run;
    let thread = thread::Builder::new().name(case.name.to_owned()).spawn(move || {
        run(&place);
        // Nobody listens any more only when the limit was passed.
        let _ = sender.send(());
    })?;
    match receiver.recv_timeout(LIMIT) {
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => bail!("{} hangs", case.name),
        _ => Ok(thread.join().is_ok()),
    }
}
