//! How two sets of reports differ.

use std::collections::{BTreeMap, BTreeSet};

use super::file::Facts;

/// A line for each difference, below a line for each program whose reports differ.
pub fn lines(first: &BTreeMap<String, Facts>, second: &BTreeMap<String, Facts>) -> Vec<String> {
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
    use super::super::file::tests::{read, report};
    use super::lines;

    #[test]
    fn every_kind_of_difference_has_a_line() {
        let first = [
            report("/s/000-bash", &["/opt/homebrew", "/usr"], &[("/bin/sh", Some("aa")), ("/etc/x", None)]),
            report("/s/222-gone", &[], &[]),
        ];
        let second = [
            report("/s/111-bash", &["/usr", "/usr/local"], &[("/bin/sh", Some("bb"))]),
            report("/s/333-new", &[], &[]),
        ];
        let expected = [
            "bash:",
            "  asked for and not in the view, only in the first: /opt/homebrew",
            "  asked for and not in the view, only in the second: /usr/local",
            "  read of the host, only in the first: /etc/x",
            "  read of the host, and differs: /bin/sh",
            "gone: only in the first",
            "new: only in the second",
        ];
        assert_eq!(lines(&read(&first).unwrap(), &read(&second).unwrap()), expected);
    }

    #[test]
    fn a_report_does_not_differ_from_itself() {
        let one = read(&[report("/s/000-a", &["/usr"], &[("/bin/sh", None)])]).unwrap();
        assert!(lines(&one, &one).is_empty());
    }
}
