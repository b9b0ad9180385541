//! Reports as one HTML file that needs nothing else: its data, script and style are in it, and it asks for nothing.

use data_encoding::BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::output::name;

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

/// The page of a document that `--report=FILE` has written.
pub fn page(document: &Value) -> String {
    let reports = document["reports"].as_array().map_or(&[][..], Vec::as_slice);
    let labels: Vec<String> = reports.iter().map(label).collect();
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
                    p.version { "loopbox " (name(document["loopbox"].as_str().unwrap_or("?"))) }
                }
                main id="report" { noscript { p { "The script in this page shows the report; this browser does not execute it." } } }
                @for report in reports {
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
fn label(report: &Value) -> String {
    let length = |list: &Value| list.as_array().map_or(0, Vec::len);
    let deep = &report["deep"]["undeclared"];
    let undeclared = length(if deep.is_array() { deep } else { &report["undeclared"] });
    let mut found = vec![format!("{}{}{}", ISOLATED[0], subject(report), ISOLATED[1])];
    if report["status"] == "failed" {
        found.push("failed".into());
    }
    for (count, what) in [(undeclared, "undeclared"), (length(&report["refused"]["paths"]), "refused")] {
        if count > 0 {
            found.push(format!("{count} {what}"));
        }
    }
    found.join(" · ")
}

/// The derivation's name without its hash, or the command.
fn subject(report: &Value) -> String {
    if let Some(derivation) = report["derivation"].as_str() {
        let file = derivation.rsplit('/').next().unwrap_or(derivation);
        return name(file.split_once('-').map_or(file, |(_, name)| name));
    }
    let words = report["command"].as_array().map_or(&[][..], Vec::as_slice);
    let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
    if words.is_empty() { "?".into() } else { name(words.join(" ")) }
}

/// A value as JSON in which no tag or comment of HTML can begin or end.
fn data(report: &Value) -> String {
    report.to_string().replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The part of a text between two others.
    fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
        text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).map(|(found, _)| found).unwrap()
    }

    #[test]
    fn data_cannot_end_its_element() {
        let report =
            json!({ "command": ["</script><script>alert(1)</script>", "<!-- <script>", "\u{2028}"] });
        let text = data(&report);
        assert_eq!(
            text,
            "{\"command\":[\"\\u003c/script>\\u003cscript>alert(1)\\u003c/script>\",\"\\u003c!-- \\u003cscript>\",\"\u{2028}\"]}"
        );
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), report);
    }

    #[test]
    fn a_page_has_the_elements_that_it_is_made_of_and_no_others() {
        let hostile = json!({ "command": ["</script></title></option><img src=x onerror=alert(1)>"] });
        let page = page(&json!({ "version": 1, "loopbox": "</p><img>", "reports": [hostile, hostile] }));
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
        let page = page(&json!({ "version": 1, "reports": [] }));
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
        let build = json!({
            "derivation": "/nix/store/0000-bash\u{202e}-5.2.drv",
            "status": "failed",
            "undeclared": [{ "path": "/usr" }],
            "deep": { "undeclared": [{ "path": "/usr/a" }, { "path": "/usr/b" }], "outcome": "same" },
            "refused": { "paths": [[47, 255]] },
        });
        assert_eq!(
            label(&build),
            "\u{2068}bash\\u{202e}-5.2.drv\u{2069} · failed · 2 undeclared · 1 refused"
        );
        let run = json!({ "command": ["make", "-j\n"], "undeclared": [], "deep": null });
        assert_eq!(label(&run), "\u{2068}make -j\\n\u{2069}");
        assert_eq!(title(&[label(&run)]), "\u{2068}make -j\\n\u{2069} · access report");
        assert_eq!(title(&[label(&run), label(&build)]), "Access report of 2");
    }
}
