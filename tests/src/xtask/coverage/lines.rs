//! The lines of source files, with how often each was executed, from LLVM's report in the form of lcov.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// What begins the tests in a source file; they are its end.
const TESTS: &str = "#[cfg(test)]\nmod tests {";

/// How often each line of a file was executed; lines without code are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines(BTreeMap<usize, u64>);

impl Lines {
    /// The files of a report. Those that are only compiled for tests have no lines.
    pub fn parse(report: &str) -> Result<BTreeMap<PathBuf, Lines>> {
        let mut all: BTreeMap<PathBuf, Lines> = BTreeMap::new();
        let mut file = None;
        for line in report.lines() {
            if let Some(path) = line.strip_prefix("SF:") {
                file = Some(all.entry(path.into()).or_default());
            } else if let (Some(counted), Some(lines)) = (line.strip_prefix("DA:"), &mut file) {
                let (number, count) =
                    counted.split_once(',').with_context(|| format!("no line: {counted}"))?;
                *lines.0.entry(number.parse()?).or_default() += count.parse::<u64>()?;
            }
        }
        Ok(all)
    }

    /// Those of the code alone: tests execute themselves.
    pub fn without_tests(mut self, source: &str) -> Lines {
        if let Some(at) = source.find(TESTS) {
            let first = source[..at].lines().count() + 1;
            drop(self.0.split_off(&first));
        }
        self
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How many of them were executed.
    pub fn executed(&self) -> usize {
        self.0.values().filter(|count| **count > 0).count()
    }

    /// The share of them that was executed.
    pub fn share(&self) -> f64 {
        self.executed() as f64 / self.count() as f64
    }

    /// The numbers of those that were not, such as `3, 7-9`. Lines without code between two of them are not noticed.
    pub fn missing(&self) -> String {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        let mut goes_on = false;
        for (line, count) in &self.0 {
            if *count > 0 {
                goes_on = false;
                continue;
            }
            match ranges.last_mut() {
                Some((_, last)) if goes_on => *last = *line,
                _ => ranges.push((*line, *line)),
            }
            goes_on = true;
        }
        let text = |(first, last): &(usize, usize)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        ranges.iter().map(text).collect::<Vec<_>>().join(", ")
    }
}

/// Whether this module, which the source file declares, is compiled for tests alone.
pub fn is_for_tests(source: &str, module: &str) -> bool {
    let Some((before, _)) = source.split_once(&format!("mod {module};")) else { return false };
    before.lines().rev().take_while(|line| line.starts_with("#[")).any(|line| line == "#[cfg(test)]")
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str =
        "SF:/a.rs\nDA:1,2\nDA:2,0\nDA:4,0\nDA:5,1\nDA:9,0\nLF:5\nend_of_record\nSF:/b.rs\nDA:1,1\n";

    #[test]
    fn lines_that_were_not_executed_are_told_in_ranges() {
        let all = Lines::parse(REPORT).unwrap();
        let one = &all[&PathBuf::from("/a.rs")];
        assert_eq!((one.count(), one.executed(), one.missing()), (5, 2, "2-4, 9".into()));
        assert_eq!(all[&PathBuf::from("/b.rs")].missing(), "");
    }

    #[test]
    fn tests_at_the_end_of_a_file_are_left_out() {
        let one = Lines::parse(REPORT).unwrap().remove(&PathBuf::from("/a.rs")).unwrap();
        let source = "one\ntwo\n\n#[cfg(test)]\nmod tests {\nsix\n";
        assert_eq!(one.without_tests(source).missing(), "2");
    }

    #[test]
    fn a_module_is_for_tests_by_its_attributes() {
        let source = "mod a;\n#[cfg(test)]\n#[cfg(unix)]\nmod tests;\n\nmod b;\n";
        assert!(is_for_tests(source, "tests"));
        assert!(!is_for_tests(source, "a") && !is_for_tests(source, "b") && !is_for_tests(source, "c"));
    }
}
