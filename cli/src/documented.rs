//! The command lines in the README, in docs/ and in the scripts of continuous integration: each has to be one that this program takes.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, FromArgMatches};

use crate::commands::CommandLine;

/// What may stand before the program in a line, besides options and variables.
const BEFORE: [&str; 4] = ["exec", "sudo", "env", "run:"];
/// Where a shell's command ends.
const ENDS: [&str; 6] = ["|", ">", ">>", "&&", "||", ";"];
/// What a script is called with: only then it is a command line.
const PASSED_ON: &str = "$@";
/// Code blocks of these kinds have lines for a shell; one without a kind may be anything, and is looked at too.
const SHELL: [&str; 5] = ["", "console", "sh", "bash", "yaml"];
/// What the machines of continuous integration do.
const SCRIPTS: &str = ".github/scripts";
/// There are far more; fewer would mean that they are not found.
const LINES_MIN: usize = 60;

/// The lines of code in a text, those that a backslash continues as one, each with the line that follows. In a script, all are.
fn code(text: &str, is_script: bool) -> Vec<(String, String)> {
    let mut block: Option<bool> = is_script.then_some(true);
    let mut lines: Vec<String> = Vec::new();
    let mut continued = false;
    for line in text.lines() {
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            block = if block.is_some() { None } else { Some(SHELL.contains(&kind)) };
            continue;
        }
        if !block.unwrap_or(line.starts_with("    ")) {
            continue;
        }
        let (part, continues) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
        match lines.last_mut().filter(|_| continued) {
            Some(whole) => whole.push_str(part),
            None => lines.push(part.to_owned()),
        }
        continued = continues;
    }
    let following = lines.iter().skip(1).cloned().chain([String::new()]).collect::<Vec<_>>();
    lines.into_iter().zip(following).collect()
}

/// The words of a line from the program's name on, if it runs loopbox.
fn words(line: &str) -> Option<Vec<String>> {
    let line = line.trim_start();
    let line = ["$ ", "# ", "- "].iter().find_map(|prompt| line.strip_prefix(prompt)).unwrap_or(line);
    let words = shlex::split(line)?;
    let before =
        |word: &String| BEFORE.contains(&word.as_str()) || word.contains('=') || word.starts_with('-');
    let start = words.iter().position(|word| !before(word))?;
    let program = &words[start];
    let is_loopbox = program == "loopbox" || program.ends_with("/loopbox");
    if !is_loopbox || words.iter().any(|word| word == PASSED_ON) {
        return None;
    }
    Some(words[start..].iter().take_while(|word| !ENDS.contains(&word.as_str())).cloned().collect())
}

fn documents() -> Vec<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let within = |directory: &str, extension: &str| {
        let entries = fs::read_dir(top.join(directory)).expect("it can be listed");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.filter(|path| path.extension().is_some_and(|it| it == extension)).collect::<Vec<_>>()
    };
    let mut documents = [within("docs", "md"), within(SCRIPTS, "sh"), vec![top.join("README.md")]].concat();
    documents.sort();
    documents
}

/// What is wrong with a command line.
fn fault(words: &[String]) -> Option<String> {
    let matches = CommandLine::command().try_get_matches_from(words);
    let error = matches.and_then(|matches| CommandLine::from_arg_matches(&matches)).err()?;
    Some(error.to_string().lines().next().unwrap_or_default().to_owned())
}

#[test]
fn every_command_line_in_the_documents_is_one_that_is_taken() {
    let mut faults = Vec::new();
    let mut seen = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a document is text");
        let is_script = document.extension().is_some_and(|extension| extension == "sh");
        for (line, following) in code(&text, is_script) {
            let Some(words) = words(&line) else { continue };
            seen += 1;
            // Some show what is wrong.
            let wrong = following.starts_with("Error: ");
            if let Some(fault) = fault(&words).filter(|_| !wrong) {
                faults.push(format!("{}: {}: {fault}", document.display(), line.trim()));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert!(seen >= LINES_MIN, "only {seen} lines were found");
}

#[test]
fn command_lines_are_found_in_code_and_wrong_ones_are_told() {
    let text = "loopbox prose\n\n```console\n# sudo env \"PATH=$PATH\" loopbox run \\\n    --prset base -- ls | wc  # why\n\
        output\n$ loopbox doctor\n```\n\n    loopbox status --once\n    exec loopbox build-hook \"$@\"\n\n```json\nloopbox json\n```\n";
    let found: Vec<_> = code(text, false).iter().filter_map(|(line, _)| words(line)).collect();
    assert_eq!(
        found.iter().map(|words| words.join(" ")).collect::<Vec<_>>(),
        ["loopbox run --prset base -- ls", "loopbox doctor", "loopbox status --once"]
    );
    let faults: Vec<_> = found.iter().map(|words| fault(words)).collect();
    assert_eq!(faults, [Some("error: unexpected argument '--prset' found".to_owned()), None, None]);
}
