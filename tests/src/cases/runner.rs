//! Runs cases one after the other, each in a thread of its own and within a time limit.

use std::fs;
use std::io::Write;
use std::panic;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Case, Ground, Place};
use crate::differences::{CASES, Difference, known};
use crate::tally::Tally;

/// Runs the cases in directories below `directory`. One that takes longer than `limit` hangs.
pub fn run(
    cases: &[Case],
    ground: Ground,
    directory: &Path,
    limit: Duration,
    tally: &mut Tally,
) -> Result<()> {
    for (number, case) in cases.iter().enumerate() {
        let name = case.short_name();
        print!("{ground} {name} ... ");
        std::io::stdout().flush()?;
        let dir = directory.join(format!("case{number}"));
        fs::create_dir(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let place = Place::new(dir, ground);
        let difference = known(CASES, name, ground);
        let start = Instant::now();
        let held = match difference {
            Some(_) => silently(|| one(case, place, limit))?,
            None => one(case, place, limit)?,
        };
        let seconds = start.elapsed().as_secs_f32();
        tally.add(Tally::one(held != difference.is_some()));
        let word = match (held, difference) {
            (true, None) => "ok".into(),
            (false, Some(Difference { reason, .. })) => format!("ok: known to fail here: {reason}"),
            (true, Some(_)) => "FAILED: it holds, though it is listed as one that does not".into(),
            (false, None) => "FAILED".to_owned(),
        };
        println!("{word} ({seconds:.2} s)");
    }
    Ok(())
}

/// Does something that is expected to panic: nobody is to take what it says for a failure.
fn silently<T>(action: impl FnOnce() -> T) -> T {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let done = action();
    panic::set_hook(usual);
    done
}

/// Whether the case held; an error means that it hangs, and nothing more can be learnt from this machine.
fn one(case: &Case, place: Place, limit: Duration) -> Result<bool> {
    let (sender, receiver) = channel();
    let run = case.run;
    let thread = thread::Builder::new().name(case.name.to_owned()).spawn(move || {
        run(&place);
        // Nobody listens any more only when the limit was passed.
        let _ = sender.send(());
    })?;
    match receiver.recv_timeout(limit) {
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => bail!("{} hangs", case.name),
        _ => Ok(thread.join().is_ok()),
    }
}
