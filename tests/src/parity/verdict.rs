//! Compares the two reports row by row, and each with what the table expects.

use super::report::{Came, Report};
use super::{Exceptions, Row};
use crate::tally::Tally;

/// How much of what was said a difference repeats.
const SAID: usize = 1500;

/// Prints how every row came out, and counts them.
pub fn judge(exceptions: &Exceptions, nix: &Report, loopbox: &Report) -> Tally {
    let mut tally = Tally::default();
    for (who, report) in [("Nix", nix), ("loopbox", loopbox)] {
        if report.plain.status != Some(0) {
            println!("{who} did not build all plain rows:\n{}", tail(&report.plain.said));
        }
    }
    for (name, row) in &nix.table {
        let (nix, loopbox) = (nix.rows.get(name), loopbox.rows.get(name));
        let faults = match (nix, loopbox) {
            (Some(nix), Some(loopbox)) => faults(row, nix, loopbox),
            _ => vec!["it was not reported".to_owned()],
        };
        let excepted = exceptions.contains_key(name);
        tally.add(Tally::one(faults.is_empty() != excepted));
        let word = match (faults.is_empty(), excepted) {
            (true, false) => format!("ok: {}", row.about),
            (false, true) => format!("ok: differs, as it is known to: {}", faults[0]),
            (true, true) => "FAILED: it is the same, though it is listed as an exception".to_owned(),
            (false, false) => format!("FAILED: {}\n  {}", row.about, faults.join("\n  ")),
        };
        println!("parity {name} ... {word}");
    }
    for name in exceptions.keys().filter(|name| !nix.table.contains_key(*name)) {
        tally.add(Tally::one(false));
        println!("parity {name} ... FAILED: it is listed as an exception, and there is no such row");
    }
    tally
}

/// What is not as it should be; nothing when all is well.
fn faults(row: &Row, nix: &Came, loopbox: &Came) -> Vec<String> {
    let mut faults = Vec::new();
    for (who, came) in [("Nix", nix), ("loopbox", loopbox)] {
        for (number, (step, ended)) in (1..).zip(row.steps.iter().zip(&came.steps)) {
            if ended.status != Some(step.exits) {
                let (status, said) = (ended.status, tail(&ended.said));
                faults.push(format!(
                    "step {number}: {who} exits with {status:?} instead of {}:\n{said}",
                    step.exits
                ));
            }
            for text in step.says.iter().filter(|text| !plain(&ended.said).contains(text.as_str())) {
                faults.push(format!("step {number}: {who} does not say {text:?}:\n{}", tail(&ended.said)));
            }
        }
        let built = row.steps.last().is_some_and(|step| step.exits == 0);
        if built && came.outputs.len() != row.outputs.len() {
            faults.push(format!("{who} has made {} outputs of {}", came.outputs.len(), row.outputs.len()));
        }
    }
    if nix.outputs != loopbox.outputs {
        faults.push(format!(
            "the outputs differ:\n    Nix:     {:?}\n    loopbox: {:?}",
            nix.outputs, loopbox.outputs
        ));
    }
    if nix.look != loopbox.look {
        faults
            .push(format!("the look differs:\n    Nix:     {:?}\n    loopbox: {:?}", nix.look, loopbox.look));
    }
    faults
}

/// A text without colours.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut parts = text.split('\u{1b}');
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    plain
}

fn tail(said: &str) -> String {
    let said = plain(said);
    let skipped = said.chars().count().saturating_sub(SAID);
    let text: String = said.chars().skip(skipped).collect();
    text.lines().map(|line| format!("    | {line}\n")).collect::<String>().trim_end().to_owned()
}
