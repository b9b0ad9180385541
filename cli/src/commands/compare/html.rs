//! A comparison as one HTML file that needs nothing else: no scripts, no fonts, no pictures from elsewhere.

use std::fmt::Write;
use std::io;

use builder::compare::{Comparison, RoundResult, Verdict, ViewComparison, Walks};

use super::table::{self, COLUMNS, Took};
use super::{Report, chart};

/// Colours and sizes; a dark scheme where the reader's system asks for one would make the plots unreadable, so there is
/// none.
const STYLE: &str = "
body { font: 16px/1.5 system-ui, sans-serif; color: #282c34; background: #fff; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; overflow-wrap: anywhere; margin: 2.5rem 0 .5rem; }
table { border-collapse: collapse; margin: 1rem 0; font-size: .9rem; display: block; max-width: 100%; overflow-x: auto; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #d8dce3; text-align: right; vertical-align: top; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
th { white-space: nowrap; }
td.text { overflow-wrap: break-word; min-width: 8rem; } td.values { min-width: 15rem; }
pre { background: #f4f5f7; padding: .8rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; }
code { font-size: .85rem; }
svg { display: block; max-width: 100%; height: auto; margin: .8rem 0; }
.good { border-left: .4rem solid #009e73; padding-left: .8rem; } .bad { border-left: .4rem solid #d55e00; padding-left: .8rem; }
";

/// The page.
///
/// # Errors
/// When a plot cannot be drawn.
pub fn page(report: &Report) -> io::Result<String> {
    let mut body = String::from("<h1>Backends side by side</h1>\n");
    if report.derivations.len() > 1 {
        body += &overview(&report.derivations);
    }
    for comparison in &report.derivations {
        body += &derivation(comparison)?;
    }
    if let Some(compared) = &report.view {
        body += &view(compared)?;
    }
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>loopbox compare</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n{body}</body>\n</html>\n"
    ))
}

fn overview(derivations: &[Comparison]) -> String {
    let mut rows = String::new();
    for comparison in derivations {
        let name = escape(&comparison.derivation.to_string());
        let _ = writeln!(
            rows,
            "<tr><td class=\"text\"><a href=\"#{name}\">{name}</a></td><td class=\"text {}\">{}</td></tr>",
            class(comparison.verdict == Verdict::Same),
            escape(headline(&comparison.explanation))
        );
    }
    format!("<table><tr><th>Derivation</th><th class=\"text\">Outputs</th></tr>\n{rows}</table>\n")
}

fn derivation(comparison: &Comparison) -> io::Result<String> {
    let name = escape(&comparison.derivation.to_string());
    let mut text = format!("<h2 id=\"{name}\">{name}</h2>\n");
    let good = comparison.verdict == Verdict::Same;
    text += &verdict(good, headline(&comparison.explanation));
    let took = table::took(comparison);
    if !took.is_empty() {
        text += &numbers(&took, "build")?;
    }
    text += &hashes(comparison);
    for round in &comparison.rounds {
        if let RoundResult::Failed(reason) = &round.result {
            let _ = writeln!(
                text,
                "<p>{} failed in round {}:</p><pre>{}</pre>",
                round.backend,
                round.round,
                escape(reason)
            );
        }
    }
    for difference in &comparison.outputs {
        let title = escape(&table::difference_title(difference));
        let how = escape(difference.differences.to_string().trim_start_matches('\n'));
        let _ = writeln!(text, "<p>{title}</p><pre>{how}</pre>");
    }
    if let Some(probe) = &comparison.probe {
        let open = if good { "" } else { " open" };
        let _ =
            writeln!(text, "<details{open}><summary>What a process in the view sees differently</summary>");
        text += &walks(probe);
        text += "</details>\n";
    }
    Ok(text)
}

fn view(compared: &ViewComparison) -> io::Result<String> {
    let unexplained = compared.walks.unexplained().count();
    let sentence = match unexplained {
        0 => "No difference that is not explained.".to_owned(),
        count => format!("{count} kinds of differences that nothing explains."),
    };
    let mut text = format!("<h2>One view</h2>\n{}", verdict(unexplained == 0, &sentence));
    text += &numbers(&table::took_view(compared), "walk")?;
    text += &walks(&compared.walks);
    Ok(text)
}

/// The table of what each backend took, and its plots.
fn numbers(took: &[Took], run: &str) -> io::Result<String> {
    let head: String = COLUMNS.iter().map(|column| format!("<th>{column}</th>")).collect();
    let row = |took: &Took| {
        let cells: String = took.cells().iter().map(|cell| format!("<td>{cell}</td>")).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let rows: String = took.iter().map(row).collect();
    let setup = chart::bars("Set-up", took, |took| took.seconds.setup * 1000.0)?;
    let ran = chart::bars(&format!("The {run} itself"), took, |took| took.seconds.run * 1000.0)?;
    let teardown = chart::bars("Teardown", took, |took| took.seconds.teardown * 1000.0)?;
    Ok(format!("<table><tr>{head}</tr>\n{rows}</table>\n{setup}\n{ran}\n{teardown}\n"))
}

/// Every hash once, with all that came to it.
fn hashes(comparison: &Comparison) -> String {
    let mut found: Vec<(&str, &str, Vec<String>)> = Vec::new();
    let mut note = |name, hash, who| match found.iter_mut().find(|row| (row.0, row.1) == (name, hash)) {
        Some(row) => row.2.push(who),
        None => found.push((name, hash, vec![who])),
    };
    for round in &comparison.rounds {
        if let RoundResult::Built(built) = &round.result {
            let who = || format!("{} {}", round.backend, round.round);
            built.nar_hashes.iter().for_each(|(name, hash)| note(name, hash, who()));
        }
    }
    comparison.registered.iter().for_each(|(name, hash)| note(name, hash, "the store".into()));
    if found.is_empty() {
        return String::new();
    }
    let mut rows = String::new();
    for (name, hash, who) in found {
        let _ = writeln!(
            rows,
            "<tr><td>{}</td><td class=\"text\"><code>{}</code></td><td class=\"text values\">{}</td></tr>",
            escape(name),
            escape(hash),
            escape(&who.join(", "))
        );
    }
    format!(
        "<table><tr><th>Output</th><th class=\"text\">SHA-256 of the Nix archive</th>\
         <th class=\"text\">Built by, in round</th></tr>\n{rows}</table>\n"
    )
}

fn walks(walks: &Walks) -> String {
    let counts: Vec<String> = walks
        .files
        .iter()
        .map(|(backend, files)| {
            let repeated = walks.repeated_inodes.get(backend).copied().unwrap_or_default();
            format!("{files} files in {backend} ({repeated} numbers of several files)")
        })
        .collect();
    let mut rows = String::new();
    for difference in &walks.differences {
        let _ = writeln!(
            rows,
            "<tr><td>{}</td><td>{}</td><td class=\"text values\">{}: {}<br>{}: {}</td><td class=\"text\">{}</td>\
             <td class=\"text\"><code>{}</code></td></tr>",
            difference.what,
            difference.count,
            difference.first,
            escape(&difference.in_first),
            difference.other,
            escape(&difference.in_other),
            difference.reason.unwrap_or("<strong>not explained</strong>"),
            escape(&difference.example.display().to_string()),
        );
    }
    format!(
        "<p>{}.</p>\n<table><tr><th>What</th><th>Files</th><th class=\"text\">As in</th>\
         <th class=\"text\">Why</th><th class=\"text\">For example</th></tr>\n{rows}</table>\n",
        counts.join(", ")
    )
}

fn verdict(good: bool, sentence: &str) -> String {
    format!("<p class=\"{}\">{}</p>\n", class(good), escape(sentence))
}

fn class(good: bool) -> &'static str {
    if good { "good" } else { "bad" }
}

/// What comes before the details.
fn headline(text: &str) -> &str {
    text.split([';', '\n']).next().unwrap_or_default()
}

/// The characters that mean something to HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_become_markup() {
        assert_eq!(escape("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }
}
