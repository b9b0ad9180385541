//! A comparison as one HTML file that needs nothing else: no scripts, no fonts, no pictures from elsewhere.

use std::io;

use builder::compare::{Comparison, ComparisonVerdict, RoundResult};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sandbox::compare::{ViewComparison, WalkComparison};

use super::table::{self, BackendStats, COLUMNS};
use super::{ComparisonReport, chart};

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
pub fn page(report: &ComparisonReport) -> io::Result<String> {
    let derivations: Vec<Markup> = report.derivations.iter().map(derivation).collect::<io::Result<_>>()?;
    let view = report.view.as_ref().map(view).transpose()?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                link rel="icon" href="data:,";
                title { "loopbox compare" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Backends side by side" }
                @if report.derivations.len() > 1 { (overview(&report.derivations)) }
                @for derivation in derivations { (derivation) }
                @if let Some(view) = view { (view) }
            }
        }
    };
    Ok(page.into_string())
}

fn overview(derivations: &[Comparison]) -> Markup {
    html! {
        table {
            tr { th { "Derivation" } th.text { "Outputs" } }
            @for comparison in derivations {
                @let name = comparison.derivation.to_string();
                tr {
                    td.text { a href={ "#" (name) } { (name) } }
                    td.text.(class(comparison.verdict == ComparisonVerdict::Same)) { (headline(&comparison.explanation)) }
                }
            }
        }
    }
}

fn derivation(comparison: &Comparison) -> io::Result<Markup> {
    let name = comparison.derivation.to_string();
    let good = comparison.verdict == ComparisonVerdict::Same;
    let backend_stats = table::backend_stats(comparison);
    let numbers = (!backend_stats.is_empty()).then(|| numbers(&backend_stats, "build")).transpose()?;
    Ok(html! {
        h2 id=(name) { (name) }
        (verdict(good, headline(&comparison.explanation)))
        @if let Some(numbers) = numbers { (numbers) }
        (hashes(comparison))
        @for round in &comparison.rounds {
            @if let RoundResult::Failed(reason) = &round.result {
                p { (round.backend) " failed in round " (round.round) ":" }
                pre { (reason) }
            }
        }
        @for difference in &comparison.outputs {
            p { (table::difference_title(difference)) }
            pre { (difference.differences.to_string().trim_start_matches('\n')) }
        }
        @if let Some(probe) = &comparison.probe {
            details open[!good] {
                summary { "What a process in the view sees differently" }
                (walks(probe))
            }
        }
    })
}

fn view(compared: &ViewComparison) -> io::Result<Markup> {
    let unexplained = compared.walks.unexplained().count();
    let sentence = match unexplained {
        0 => "No difference that is not explained.".to_owned(),
        count => format!("{count} kinds of differences that nothing explains."),
    };
    let numbers = numbers(&table::view_stats(compared), "walk")?;
    Ok(html! {
        h2 { "One view" }
        (verdict(unexplained == 0, &sentence))
        (numbers)
        (walks(&compared.walks))
    })
}

/// The table of what each backend took, and its plots.
fn numbers(backend_stats: &[BackendStats], run: &str) -> io::Result<Markup> {
    let plots = [
        chart::bars("Set-up", backend_stats, |backend_stats| backend_stats.seconds.setup * 1000.0)?,
        chart::bars(&format!("The {run} itself"), backend_stats, |backend_stats| {
            backend_stats.seconds.run * 1000.0
        })?,
        chart::bars("Teardown", backend_stats, |backend_stats| backend_stats.seconds.teardown * 1000.0)?,
    ];
    Ok(html! {
        table {
            tr { @for column in COLUMNS { th { (column) } } }
            @for backend_stats in backend_stats {
                tr { @for cell in backend_stats.cells() { td { (cell) } } }
            }
        }
        @for plot in plots { (PreEscaped(plot)) }
    })
}

/// Every hash once, with all that came to it.
fn hashes(comparison: &Comparison) -> Markup {
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
    html! {
        @if !found.is_empty() {
            table {
                tr {
                    th { "Output" }
                    th.text { "SHA-256 of the Nix archive" }
                    th.text { "Built by, in round" }
                }
                @for (name, hash, who) in found {
                    tr { td { (name) } td.text { code { (hash) } } td.text.values { (who.join(", ")) } }
                }
            }
        }
    }
}

fn walks(walks: &WalkComparison) -> Markup {
    let counts: Vec<String> = walks
        .files
        .iter()
        .map(|(backend, files)| {
            let repeated = walks.repeated_inodes.get(backend).copied().unwrap_or_default();
            format!("{files} files in {backend} ({repeated} numbers of several files)")
        })
        .collect();
    html! {
        p { (counts.join(", ")) "." }
        table {
            tr {
                th { "What" }
                th { "Files" }
                th.text { "As in" }
                th.text { "Why" }
                th.text { "For example" }
            }
            @for difference in &walks.differences {
                tr {
                    td { (difference.what) }
                    td { (difference.count) }
                    td.text.values {
                        (difference.first) ": " (difference.in_first) br;
                        (difference.other) ": " (difference.in_other)
                    }
                    td.text {
                        @match difference.reason {
                            Some(reason) => (reason),
                            None => strong { "not explained" },
                        }
                    }
                    td.text { code { (difference.example.display()) } }
                }
            }
        }
    }
}

fn verdict(good: bool, sentence: &str) -> Markup {
    html! { p.(class(good)) { (sentence) } }
}

fn class(good: bool) -> &'static str {
    if good { "good" } else { "bad" }
}

/// What comes before the details.
fn headline(text: &str) -> &str {
    text.split([';', '\n']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_become_markup() {
        let sentence = verdict(true, "<a href=\"x\">&").into_string();
        assert_eq!(sentence, "<p class=\"good\">&lt;a href=&quot;x&quot;&gt;&amp;</p>");
    }
}
