//! How two sets of reports differ.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::output::name;
use crate::report::document::{AnyReport, Document};

/// What one program did, by what is compared: names, and what is said of each.
type Facts = Vec<(&'static str, BTreeMap<String, String>)>;

/// A line for each difference, below a line for each program whose reports differ.
pub fn lines(first: &Document, second: &Document) -> Vec<String> {
    let (first, second) = (by_name(first), by_name(second));
    let all: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    let mut lines = Vec::new();
    for of in all {
        match (first.get(of), second.get(of)) {
            (Some(first), Some(second)) => {
                let differ = of_one(first, second);
                if !differ.is_empty() {
                    lines.push(format!("{of}:"));
                    lines.extend(differ);
                }
            }
            (Some(_), None) => lines.push(format!("{of}: only in the first")),
            (None, _) => lines.push(format!("{of}: only in the second")),
        }
    }
    lines
}

/// By a derivation's name without its hash if there is one of that name only.
fn by_name(document: &Document) -> BTreeMap<String, Facts> {
    let count = |name: &str| document.reports.iter().filter(|report| report.short_of() == name).count();
    let name = |report: &AnyReport| {
        let short = report.short_of();
        if count(&short) > 1 { report.of() } else { short }
    };
    document.reports.iter().map(|report| (name(report), facts(report))).collect()
}

fn facts(report: &AnyReport) -> Facts {
    let names =
        |paths: &mut dyn Iterator<Item = &Path>| paths.map(|path| (name(path), String::new())).collect();
    let access = report.access();
    let host_files = access.host_files.iter();
    let hashes = host_files.map(|file| (name(&file.path), file.sha256.clone().unwrap_or_default()));
    vec![
        ("asked for and not in the view", names(&mut report.undeclared().iter().map(|found| &*found.path))),
        ("refused", names(&mut access.refused.paths.iter().map(PathBuf::as_path))),
        ("read of the host", hashes.collect()),
        ("not used", names(&mut access.unused().map(|entry| &*entry.usage.at))),
    ]
}

fn of_one(first: &Facts, second: &Facts) -> Vec<String> {
    let mut lines = Vec::new();
    for ((label, first), (_, second)) in first.iter().zip(second) {
        let only = |known: &BTreeMap<String, String>, other: &BTreeMap<String, String>, which: &str| {
            let names = known.keys().filter(|name| !other.contains_key(*name));
            names.map(|name| format!("  {label}, only in the {which}: {name}")).collect::<Vec<_>>()
        };
        lines.extend(only(first, second, "first"));
        lines.extend(only(second, first, "second"));
        let differ =
            first.iter().filter(|(name, value)| second.get(*name).is_some_and(|other| other != *value));
        lines.extend(differ.map(|(name, _)| format!("  {label}, and differs: {name}")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::document::tests::{document, report};

    #[test]
    fn every_kind_of_difference_has_a_line() {
        let first = document(&[
            report("/s/000-bash", &["/opt/homebrew", "/usr"], &[("/bin/sh", Some("aa")), ("/etc/x", None)]),
            report("/s/222-gone", &[], &[]),
        ]);
        let second = document(&[
            report("/s/111-bash", &["/usr", "/usr/local"], &[("/bin/sh", Some("bb"))]),
            report("/s/333-new", &[], &[]),
        ]);
        let expected = [
            "bash:",
            "  asked for and not in the view, only in the first: /opt/homebrew",
            "  asked for and not in the view, only in the second: /usr/local",
            "  read of the host, only in the first: /etc/x",
            "  read of the host, and differs: /bin/sh",
            "gone: only in the first",
            "new: only in the second",
        ];
        assert_eq!(lines(&first.unwrap(), &second.unwrap()), expected);
    }

    #[test]
    fn a_report_does_not_differ_from_itself() {
        let one = document(&[report("/s/000-a", &["/usr"], &[("/bin/sh", None)])]).unwrap();
        assert!(lines(&one, &one).is_empty());
    }

    #[test]
    fn reports_are_named_by_what_they_are_of() {
        let names = |derivations: &[&str]| -> Vec<String> {
            let reports: Vec<Value> =
                derivations.iter().map(|derivation| report(derivation, &[], &[])).collect();
            by_name(&document(&reports).unwrap()).into_keys().collect()
        };
        assert_eq!(names(&["/nix/store/000-a.drv", "/nix/store/111-b.drv"]), ["a", "b"]);
        let twice = ["/nix/store/000-a.drv", "/nix/store/111-a.drv"];
        assert_eq!(names(&twice), twice, "by their whole paths, if there are several");
    }

    #[test]
    fn what_the_program_was_given_for_itself_is_not_unused() {
        let document = document(&[report("/s/0-a", &[], &[])]).unwrap();
        let facts = facts(&document.reports[0]);
        let of = |label: &str| facts.iter().find(|(known, _)| *known == label).unwrap().1.clone();
        assert_eq!(of("not used").into_keys().collect::<Vec<_>>(), ["/unused"]);
        assert_eq!(of("refused").into_keys().collect::<Vec<_>>(), ["/\\xff"]);
    }
}
