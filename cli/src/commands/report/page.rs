//! Reports as one HTML file that needs nothing else: its data, script and style are in it, and it asks for nothing.

use builder::report::Status as BuildStatus;
use data_encoding::BASE64;
use defences::Defence;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::output::name;
use crate::report::document::{AnyReport, Document};

const STYLE: &str = include_str!("page/page.css");

/// The parts of the script, in the order in which they are executed.
const SCRIPT: &str = concat!(
    "\"use strict\";\n{\n",
    include_str!("page/text.js"),
    include_str!("page/access.js"),
    include_str!("page/tree.js"),
    include_str!("page/treemap.js"),
    include_str!("page/findings.js"),
    include_str!("page/page.js"),
    "}\n"
);

/// Isolates a name from the text around it, whatever the direction of its letters (UAX #9).
const ISOLATED: [char; 2] = ['\u{2068}', '\u{2069}'];

/// The page of some reports.
pub fn page(document: &Document) -> String {
    let labels: Vec<String> = document.reports.iter().map(label).collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" href="data:,";
                title { (title(&labels)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p.brand { "access report" }
                    (choice(&labels))
                    p.version { "loopbox " (name(&document.loopbox)) }
                }
                main id="report" { noscript { p { "The script in this page shows the report; this browser does not execute it." } } }
                @for report in &document.reports {
                    script type="application/json" class="data" { (PreEscaped(data(report))) }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// What the page may do: execute and apply what was written into it here, and nothing else.
fn policy() -> String {
    let hash = |text: &str| BASE64.encode(&Sha256::digest(text));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
}

fn title(labels: &[String]) -> String {
    match labels {
        [one] => format!("{one} · access report"),
        many => format!("Access report of {}", many.len()),
    }
}

fn choice(labels: &[String]) -> Markup {
    html! {
        @if labels.len() > 1 {
            label {
                span { "Report" }
                select id="choice" autocomplete="off" {
                    @for (index, label) in labels.iter().enumerate() { option value=(index) { (label) } }
                }
            }
        }
    }
}

/// What a report is of, and how much it found.
fn label(report: &AnyReport) -> String {
    let mut found = vec![format!("{}{}{}", ISOLATED[0], report.short_of(), ISOLATED[1])];
    if let AnyReport::Build(build) = report {
        match build.status {
            BuildStatus::Built => {}
            BuildStatus::Failed => found.push("failed".into()),
            BuildStatus::Forbidden => found.push("forbidden".into()),
        }
    }
    let (undeclared, refused) = (report.undeclared().len(), report.access().refused.paths.len());
    for (count, what) in [(undeclared, "undeclared"), (refused, "refused")] {
        if count > 0 {
            found.push(format!("{count} {what}"));
        }
    }
    found.join(" · ")
}

/// A report as JSON in which no tag or comment of HTML can begin or end.
fn data(report: &AnyReport) -> String {
    let text = json!(report).to_string();
    if Defence::Markup.stands() { text.replace('<', "\\u003c") } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::document::tests::{command, document, report};

    /// The part of a text between two others.
    fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
        text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).map(|(found, _)| found).unwrap()
    }

    #[test]
    fn data_cannot_end_its_element() {
        let words = ["</script><script>alert(1)</script>", "<!-- <script>", "\u{2028}"];
        let one = document(&[command(&words)]).unwrap();
        let text = data(&one.reports[0]);
        let expected = "\"command\":[\"\\u003c/script>\\u003cscript>alert(1)\\u003c/script>\",\
            \"\\u003c!-- \\u003cscript>\",\"\u{2028}\"]";
        assert!(text.contains(expected) && !text.contains('<'), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!(one.reports[0]));
    }

    #[test]
    fn a_page_has_the_elements_that_it_is_made_of_and_no_others() {
        let hostile = command(&["</script></title></option><img src=x onerror=alert(1)>"]);
        let page = page(&document(&[hostile.clone(), hostile]).unwrap());
        assert_eq!(page.matches("<script").count(), 3);
        assert_eq!(page.matches("</script>").count(), 3);
        assert_eq!(page.matches("<option").count(), 2);
        assert_eq!(page.matches("<img").count(), 0);
        let elsewhere = ["http://", "https://", "src=", "url(", "@import"];
        assert!(elsewhere.iter().all(|found| !SCRIPT.contains(found) && !STYLE.contains(found)));
    }

    #[test]
    fn own_texts_do_not_end_their_elements() {
        assert!(["</", "<!--"].iter().all(|found| !SCRIPT.contains(found) && !STYLE.contains(found)));
        assert!(
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
                .iter()
                .all(|found| !SCRIPT.contains(found))
        );
    }

    #[test]
    fn the_policy_allows_the_page_s_own_script_and_style_alone() {
        let page = page(&document(&[]).unwrap());
        let policy = between(&page, "Content-Security-Policy\" content=\"", "\"");
        let hash = |text: &str| format!("sha256-{}", BASE64.encode(&Sha256::digest(text)));
        let script = hash(between(&page, "<script>", "</script>"));
        let style = hash(between(&page, "<style>", "</style>"));
        assert_eq!(
            policy.replace(&script, "SCRIPT").replace(&style, "STYLE"),
            "default-src 'none'; script-src 'SCRIPT'; style-src 'STYLE'; img-src data:; base-uri 'none'; form-action 'none'"
        );
    }

    #[test]
    fn a_label_says_what_a_report_is_of_and_what_it_found() {
        let mut build = report("/nix/store/0000-bash\u{202e}-5.2.drv", &["/usr"], &[]);
        build["status"] = "failed".into();
        build["deep"] = json!({
            "undeclared": [{ "path": "/usr/a", "owner": null }, { "path": "/usr/b", "owner": null }],
            "undeclaredIncomplete": false, "missing": 0, "outcome": "same",
        });
        let mut run = command(&["make", "-j\n"]);
        run["refused"]["paths"] = json!([]);
        let labels: Vec<String> = document(&[build, run]).unwrap().reports.iter().map(label).collect();
        let expected = [
            "\u{2068}bash\\u{202e}-5.2\u{2069} · failed · 2 undeclared · 1 refused",
            "\u{2068}make -j\\n\u{2069}",
        ];
        assert_eq!(labels, expected);
        assert_eq!(title(&labels[1..]), "\u{2068}make -j\\n\u{2069} · access report");
        assert_eq!(title(&labels), "Access report of 2");
    }
}
