//! What several processes do to the same names and files at once.

use std::collections::BTreeSet;
use std::fs;

use crate::cases::place::Other;
use crate::cases::{Place, cases};

cases![
    processes_that_append_lose_nothing,
    of_many_processes_one_makes_each_name,
    a_file_that_is_replaced_is_never_missing,
    a_listing_beside_changes_has_what_stays,
];

/// How many processes take part.
const PROCESSES: usize = 4;

fn processes_that_append_lose_nothing(place: &Place) {
    const LINES: usize = 300;
    let words = ["a", "bb", "ccc", "dddd"].map(|word| word.repeat(17));
    let others: Vec<Other> =
        words.iter().map(|word| place.other(["append", "log", word, &LINES.to_string()])).collect();
    for other in others {
        other.end();
    }
    let text = fs::read_to_string(place.path("log")).expect("read");
    for word in &words {
        assert_eq!(text.lines().filter(|line| line == word).count(), LINES, "{word}");
    }
    assert_eq!(text.lines().count(), LINES * PROCESSES);
}

fn of_many_processes_one_makes_each_name(place: &Place) {
    const NAMES: u32 = 100;
    for way in ["file", "directory", "link", "symlink"] {
        place.directory(way);
        let others: Vec<Other> =
            (0..PROCESSES).map(|_| place.other(["claim", way, way, &NAMES.to_string()])).collect();
        let claimed: Vec<u32> = others
            .into_iter()
            .flat_map(Other::end)
            .map(|line| line.parse().expect("a process prints numbers"))
            .collect();
        let distinct: BTreeSet<u32> = claimed.iter().copied().collect();
        assert_eq!((claimed.len(), distinct.len()), (NAMES as usize, NAMES as usize), "{way}");
        assert_eq!(place.names(way).len(), NAMES as usize);
    }
}

fn a_file_that_is_replaced_is_never_missing(place: &Place) {
    let contents = "whole ".repeat(100);
    let path = place.file("f", &contents);
    let replacing = place.other(["replace", "f", contents.as_str(), "300"]);
    for _ in 0..300 {
        assert_eq!(fs::read_to_string(&path).expect("it is there"), contents);
    }
    replacing.end();
    assert_eq!(fs::read_to_string(&path).expect("it is there"), contents);
}

fn a_listing_beside_changes_has_what_stays(place: &Place) {
    const STAY: usize = 2000;
    place.directory("d");
    for number in 0..STAY {
        place.file(format!("d/stays-{number}"), "");
    }
    let mut churning = place.other(["churn", "d"]);
    assert_eq!(churning.hear(), "churning");
    for _ in 0..20 {
        let names = place.names("d");
        let stays: Vec<&String> = names.iter().filter(|name| name.starts_with("stays-")).collect();
        let distinct: BTreeSet<&String> = stays.iter().copied().collect();
        assert_eq!((stays.len(), distinct.len()), (STAY, STAY));
    }
    churning.end();
    assert_eq!(place.names("d").len(), STAY);
}
