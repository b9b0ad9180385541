//! The list of differences that are known, each with its reason: `tests/probe/differences.toml`.

use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Difference;
use crate::lab::Lab;

/// The list, and what of it has shown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    difference: Vec<Entry>,
}

/// Differences with one reason. `*` stands for any text.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Why it has to be so.
    why: String,
    /// loopbox's ways of building in which it shows; all when missing.
    #[serde(default)]
    ways: Vec<String>,
    /// Kinds of builds in which it shows; all when missing.
    #[serde(default)]
    kinds: Vec<String>,
    /// Topics and keys.
    facts: Vec<String>,
    /// The value in Nix's sandbox.
    nix: Option<String>,
    /// The value here.
    here: Option<String>,
    /// Which of the facts have shown.
    #[serde(skip)]
    seen: Vec<bool>,
}

impl Known {
    /// Reads the list.
    pub fn read(lab: &Lab) -> Result<Known> {
        let path = lab.checkout().join("tests/probe/differences.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut known: Known =
            toml::from_str(&text).with_context(|| format!("{} cannot be understood", path.display()))?;
        for entry in &mut known.difference {
            entry.seen = vec![false; entry.facts.len()];
        }
        Ok(known)
    }

    /// Why a difference is there, when that is known.
    pub fn reason(&mut self, difference: &Difference<'_>) -> Option<&str> {
        self.difference.iter_mut().find_map(|entry| entry.explains(difference))
    }

    /// What is listed and did not show.
    pub fn stale(&self) -> Vec<String> {
        let unseen = |entry: &Entry| -> Vec<String> {
            let facts = entry.facts.iter().zip(&entry.seen).filter(|(_, seen)| !**seen);
            facts.map(|(fact, _)| format!("{fact} ({})", entry.why)).collect()
        };
        self.difference.iter().flat_map(unseen).collect()
    }
}

impl Entry {
    fn explains(&mut self, difference: &Difference<'_>) -> Option<&str> {
        let among = |list: &[String], word: &str| list.is_empty() || list.iter().any(|item| item == word);
        let is = |pattern: &Option<String>, value: Option<&str>| {
            pattern.as_ref().is_none_or(|pattern| fits(pattern, value.unwrap_or("not there")))
        };
        if !among(&self.ways, difference.way) || !among(&self.kinds, difference.kind) {
            return None;
        }
        if !is(&self.nix, difference.nix) || !is(&self.here, difference.here) {
            return None;
        }
        let fact = self.facts.iter().position(|fact| fits(fact, difference.fact))?;
        self.seen[fact] = true;
        Some(&self.why)
    }
}

/// Whether a text is as the pattern says, in which `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text
            .strip_prefix(start)
            .is_some_and(|left| (0..=left.len()).any(|at| left.get(at..).is_some_and(|end| fits(rest, end)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(fits("mount /* type", "mount /nix/store type"));
        assert!(fits("*", "") && fits("a*", "a") && fits("*a*", "bab"));
        assert!(!fits("mount * type", "mount / types") && !fits("", "a") && !fits("a", "ab"));
    }

    #[test]
    fn what_is_listed_and_does_not_show_is_told() {
        let text = "[[difference]]\nwhy = 'so'\nfacts = ['file / *', 'id *']\nhere = 'not there'\n";
        let mut known: Known = toml::from_str(text).expect("it is a list");
        known.difference[0].seen = vec![false; 2];
        let here =
            |here| Difference { way: "loopbox", kind: "plain", fact: "file / size", nix: Some("1"), here };
        assert_eq!(known.reason(&here(Some("2"))), None);
        assert_eq!(known.reason(&here(None)), Some("so"));
        assert_eq!(known.stale(), ["id * (so)"]);
    }
}
