//! pjdfstest: what POSIX says of every call, test by test. What fails has to be listed, and what is listed has to fail.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Outcome, Run, limited};
use crate::cases::Ground;
use crate::command::command;
use crate::differences::{Difference, PJDFSTEST, known};
use crate::tally::Tally;

/// One test takes some milliseconds; a silence of this length means that one hangs.
const SILENCE: Duration = Duration::from_secs(40);
/// How a test's line ends.
const WORDS: [(&str, Verdict); 3] =
    [(" ok", Verdict::Passed), (" FAILED", Verdict::Failed), (" skipped", Verdict::Skipped)];
/// The times of the client are as fine as its clock's tick.
const CONFIGURATION: &str = "[features]
utime_now = {}
utimensat = {}
rename_ctime = {}
posix_fallocate = {}
[settings]
naptime = 0.02
[dummy_auth]
entries = [ [\"nobody\", \"nogroup\"], [\"games\", \"games\"] ]
";

/// What a test came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    Skipped,
}

/// Runs every test; each counts.
pub fn run(run: &Run) -> Result<Vec<Outcome>> {
    let configuration = Path::new("/tmp/pjdfstest.toml");
    fs::write(configuration, CONFIGURATION).context("cannot write pjdfstest's configuration")?;
    // Files here are on another file system than the tests'.
    let elsewhere = Path::new("/tmp/pjdfstest-elsewhere");
    fs::create_dir_all(elsewhere)?;
    let mut program = command(run.tools.program("pjdfstest"), ["-c"]);
    program.arg(configuration).arg("-p").arg(run.directory).arg("-s").arg(elsewhere);
    let ended = limited::run(&mut program, SILENCE)?;
    let found = read(&ended.lines);
    if ended.status.is_none() {
        println!("{} pjdfstest hangs after {:?}", run.ground, ended.lines.last());
        return Ok(vec![outcome("hangs".to_owned(), Tally::one(false))]);
    }
    if found.is_empty() {
        bail!("pjdfstest did nothing:\n{}", ended.tail());
    }
    let (tally, faults) = judge(&found, run.ground, PJDFSTEST);
    if !faults.is_empty() {
        println!("{}", ended.lines.join("\n"));
    }
    for (name, _) in found.iter().filter(|(_, verdict)| **verdict == Verdict::Failed) {
        if let Some(difference) = known(PJDFSTEST, name, run.ground) {
            println!("{} pjdfstest {name} ... ok: known to fail here: {}", run.ground, difference.reason);
        }
    }
    for fault in faults {
        println!("{} pjdfstest {fault}", run.ground);
    }
    let count = |wanted| found.values().filter(|&&verdict| verdict == wanted).count();
    let result = format!(
        "{} of {}, {} left out",
        count(Verdict::Passed),
        found.len() - count(Verdict::Skipped),
        count(Verdict::Skipped)
    );
    Ok(vec![outcome(result, tally)])
}

fn outcome(result: String, tally: Tally) -> Outcome {
    Outcome { what: "pjdfstest, tests passed".to_owned(), result, tally }
}

/// The lines that tell a test's end; the others say more about one of them.
fn read(lines: &[String]) -> BTreeMap<&str, Verdict> {
    let tells = |line: &'_ String| !line.starts_with(char::is_whitespace);
    let lines = lines.iter().filter(|line| tells(line));
    lines
        .filter_map(|line| {
            let (name, verdict) =
                WORDS.iter().find_map(|(word, verdict)| Some((line.strip_suffix(word)?, *verdict)))?;
            Some((name.trim_end(), verdict))
        })
        .collect()
}

/// Each test that was run counts: it passes, or fails as it is listed. A listed one that is missing counts too.
fn judge(
    found: &BTreeMap<&str, Verdict>,
    ground: Ground,
    differences: &'static [Difference],
) -> (Tally, Vec<String>) {
    let mut tally = Tally::default();
    let mut faults = Vec::new();
    for (name, verdict) in found {
        let listed = known(differences, name, ground).is_some();
        let fault = match (verdict, listed) {
            (Verdict::Skipped, false) => continue,
            (Verdict::Passed, false) | (Verdict::Failed, true) => None,
            (Verdict::Failed, false) => Some("FAILED"),
            (Verdict::Passed, true) => Some("FAILED: it passes, though it is listed as one that does not"),
            (Verdict::Skipped, true) => Some("FAILED: it is listed, and was left out"),
        };
        tally.add(Tally::one(fault.is_none()));
        faults.extend(fault.map(|fault| format!("{name} {fault}")));
    }
    let missing = differences.iter().filter(|entry| !found.keys().any(|name| entry.is_about(name)));
    for entry in missing {
        tally.add(Tally::one(false));
        faults.push(format!("{} FAILED: it is listed, and there is no such test", entry.test));
    }
    (tally, faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &[Difference] = &[
        Difference { test: "chmod::b", on: &[Ground::Loopbox], reason: "" },
        Difference { test: "open::c", on: &[Ground::Loopbox], reason: "" },
    ];

    fn judged(lines: &[&str], ground: Ground) -> (Tally, Vec<String>) {
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        judge(&read(&lines), ground, LISTED)
    }

    #[test]
    fn what_fails_is_listed_and_what_is_listed_fails() {
        let lines = ["chmod::a     ok", "chmod::b   FAILED", "\tpanicked: is this ok", "open::c   FAILED"];
        assert_eq!(judged(&lines, Ground::Loopbox), (Tally { passed: 3, failed: 0 }, vec![]));
        let (tally, faults) = judged(&lines, Ground::Knfsd);
        assert_eq!(
            (tally, faults),
            (Tally { passed: 1, failed: 2 }, vec!["chmod::b FAILED".to_owned(), "open::c FAILED".to_owned()])
        );
    }

    #[test]
    fn a_stale_entry_is_a_fault() {
        let (tally, faults) = judged(&["chmod::b   ok", "chmod::d  skipped"], Ground::Loopbox);
        assert_eq!(tally, Tally { passed: 0, failed: 2 });
        assert_eq!(
            faults,
            [
                "chmod::b FAILED: it passes, though it is listed as one that does not",
                "open::c FAILED: it is listed, and there is no such test"
            ]
        );
    }
}
