//! How many tests passed and failed.

use std::fmt;
use std::iter::Sum;

/// Counts that can be added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that did as they say.
    pub passed: u32,
    /// Those that did not.
    pub failed: u32,
}

impl Tally {
    /// One test.
    pub fn one(passed: bool) -> Tally {
        if passed { Tally { passed: 1, failed: 0 } } else { Tally { passed: 0, failed: 1 } }
    }

    /// Whether there was something to test and it held.
    pub fn good(self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    /// Counts one more.
    pub fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Reads the line that `Display` writes.
    pub fn parse(line: &str) -> Option<Tally> {
        let (passed, failed) = line.trim().split_once(", ")?;
        Some(Tally {
            passed: passed.strip_suffix(" passed")?.parse().ok()?,
            failed: failed.strip_suffix(" failed")?.parse().ok()?,
        })
    }

    /// Reads a closing line of cargo's test harness.
    pub fn parse_harness(line: &str) -> Option<Tally> {
        let rest = line.trim().strip_prefix("test result: ")?;
        let number = |what: &str| {
            let (before, _) = rest.split_once(what)?;
            before.rsplit([' ', ';']).find(|word| !word.is_empty())?.parse().ok()
        };
        Some(Tally { passed: number(" passed")?, failed: number(" failed")? })
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Tally>>(tallies: I) -> Tally {
        tallies.fold(Tally::default(), |mut sum, tally| {
            sum.add(tally);
            sum
        })
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_reads_what_it_writes() {
        let tally = Tally { passed: 12, failed: 3 };
        assert_eq!(Tally::parse(&tally.to_string()), Some(tally));
        assert_eq!(Tally::parse("12 passed"), None);
    }

    #[test]
    fn the_harness_closing_line_is_read() {
        let line = "test result: FAILED. 41 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s";
        assert_eq!(Tally::parse_harness(line), Some(Tally { passed: 41, failed: 2 }));
        assert_eq!(Tally::parse_harness("running 3 tests"), None);
    }
}
