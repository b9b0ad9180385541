//! How the source tree is kept: what a reviewer would otherwise have to look for.

use std::fs;

use tests::differences::{CASES, PJDFSTEST};
use tests::tree::{checkout, files};

/// The longest Rust file.
const LINES: usize = 400;
/// The only files that may hold unsafe code are those of this name.
const UNSAFE: &str = "sys.rs";
/// Words of unfinished work; in pieces, so that this file has none.
const UNFINISHED: [[&str; 2]; 5] =
    [["TO", "DO"], ["FIX", "ME"], ["XX", "X:"], ["for n", "ow"], ["unimplem", "ented!"]];

fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn rust_files_are_short() {
    let faults: Vec<String> = files(&["rs"])
        .iter()
        .filter(|(_, text)| text.lines().count() > LINES)
        .map(|(path, text)| format!("{}: {} lines, at most {LINES}", path.display(), text.lines().count()))
        .collect();
    none(&faults);
}

#[test]
fn rust_files_say_what_they_are_for() {
    let faults: Vec<String> = files(&["rs"])
        .iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(path, _)| format!("{}: the first line says nothing", path.display()))
        .collect();
    none(&faults);
}

#[test]
fn unsafe_code_is_in_one_module_of_a_crate() {
    let faults: Vec<String> = files(&["rs"])
        .iter()
        .filter(|(path, _)| path.file_name().is_some_and(|name| name != UNSAFE && name != "tidy.rs"))
        .filter(|(_, text)| text.contains("allow(unsafe_code)"))
        .map(|(path, _)| format!("{}: unsafe code belongs in {UNSAFE}", path.display()))
        .collect();
    none(&faults);
}

#[test]
fn no_module_is_called_mod() {
    let faults: Vec<String> = files(&["rs"])
        .iter()
        .filter(|(path, _)| path.file_name().is_some_and(|name| name == "mod.rs"))
        .filter(|(path, _)| !path.components().any(|part| part.as_os_str() == "tests"))
        .map(|(path, _)| format!("{}: foo.rs beside foo/, no mod.rs", path.display()))
        .collect();
    none(&faults);
}

#[test]
fn nothing_is_left_unfinished() {
    let mut faults = Vec::new();
    for (path, text) in files(&["rs", "md", "nix", "toml"]) {
        for (number, line) in text.lines().enumerate() {
            for word in UNFINISHED.map(|parts| parts.concat()) {
                if line.contains(&word) {
                    faults.push(format!("{}:{}: {word}", path.display(), number + 1));
                }
            }
        }
    }
    none(&faults);
}

/// Procedures of NFS version 3 (RFC 1813, section 3.3).
const PROCEDURES: usize = 22;
/// A procedure has a test of what it does, and more than one of what it refuses or of its edges.
const TESTS_OF_A_PROCEDURE: usize = 3;

#[test]
fn every_procedure_has_a_file_of_wire_tests() {
    let server = checkout().join("nfs-server");
    let table = fs::read_to_string(server.join("src/nfs.rs")).expect("the table of procedures can be read");
    let procedures = names_in_table(&table);
    assert_eq!(procedures.len(), PROCEDURES, "{procedures:?}");
    let wire = server.join("tests/wire");
    let modules = fs::read_to_string(wire.join("main.rs")).expect("the list of wire tests can be read");
    let mut faults = Vec::new();
    for name in procedures.iter().map(|name| name.to_lowercase()) {
        if !modules.lines().any(|line| line == format!("mod {name};")) {
            faults.push(format!("nfs-server/tests/wire/main.rs: no `mod {name};`"));
        }
        let text = fs::read_to_string(wire.join(format!("{name}.rs"))).unwrap_or_default();
        let tests = text.lines().filter(|line| line.trim() == "#[test]").count();
        if tests < TESTS_OF_A_PROCEDURE {
            faults.push(format!(
                "nfs-server/tests/wire/{name}.rs: {tests} tests, at least {TESTS_OF_A_PROCEDURE}"
            ));
        }
    }
    none(&faults);
}

/// The strings in capital letters between `PROCEDURES: …= [` and `];`.
fn names_in_table(text: &str) -> Vec<&str> {
    let table = text.split_once("PROCEDURES: ").and_then(|(_, rest)| rest.split_once("= ["));
    let table = table.and_then(|(_, rest)| rest.split_once("\n];")).map_or("", |(table, _)| table);
    let quoted = table.split('"').skip(1).step_by(2);
    quoted.filter(|name| name.chars().all(|letter| letter.is_ascii_uppercase())).collect()
}

#[test]
fn every_known_difference_is_documented() {
    let page = fs::read_to_string(checkout().join("docs/fidelity.md")).expect("the page can be read");
    let faults: Vec<String> = [PJDFSTEST, CASES]
        .concat()
        .iter()
        .filter(|entry| !page.contains(&format!("`{}`", entry.test.trim_start_matches("carry::"))))
        .map(|entry| format!("docs/fidelity.md does not tell of {}", entry.test))
        .collect();
    none(&faults);
}

/// What nobody has tried is not told as if somebody had.
#[test]
fn whatever_is_said_of_macos_says_from_where_it_is_known() {
    const MARKS: [&str; 3] = ["*source*", "*tested here*", "*not yet run on a Mac*"];
    let page = fs::read_to_string(checkout().join("docs/macos.md")).expect("the page can be read");
    let faults: Vec<String> = statements(&page)
        .into_iter()
        .filter(|statement| MARKS.iter().all(|mark| !statement.contains(mark)))
        .map(|statement| format!("docs/macos.md: no mark: {statement}"))
        .collect();
    none(&faults);
}

/// The paragraphs, list items and table rows of a text, each on one line; no headings, code or heads of tables.
fn statements(text: &str) -> Vec<String> {
    let prose: String = text.split("```").step_by(2).collect();
    let mut found: Vec<String> = Vec::new();
    let mut open = false;
    for (line, next) in prose.lines().zip(prose.lines().skip(1).chain([""])) {
        let rule = |line: &str| line.starts_with("|---");
        if line.trim().is_empty() || line.starts_with('#') || rule(line) || rule(next) {
            open = false;
            continue;
        }
        let numbered = line.split_once(". ").is_some_and(|(number, _)| number.parse::<u32>().is_ok());
        let begins = line.starts_with("- ") || line.starts_with('|') || numbered;
        match found.last_mut().filter(|_| open && !begins) {
            Some(statement) => *statement += &format!(" {}", line.trim()),
            None => found.push(line.trim().to_owned()),
        }
        open = true;
    }
    found
}

#[test]
fn statements_are_told_from_headings_code_and_heads_of_tables() {
    let text = "# Head\n\none\ntwo\n\n- item\n  more\n- other\n1. first\n\n| a | b |\n|---|---|\n| c | d |\n\n```\ncode\n```\nend\n";
    assert_eq!(statements(text), ["one two", "- item more", "- other", "1. first", "| c | d |", "end"]);
}
