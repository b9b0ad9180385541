//! Links in documents: each leads to a file that is there, on a forge as in the book, and to a heading that this has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use tests::tree::{checkout, files};

/// The pages of the book, which has nothing else.
const BOOK: &str = "docs";
/// Its table of contents, which is no page.
const SUMMARY: &str = "docs/SUMMARY.md";

/// What a document links to, and what can be linked to in it.
#[derive(Debug, Default)]
struct Document {
    /// Targets of links and images, as they are written.
    targets: Vec<String>,
    anchors: BTreeSet<String>,
}

impl Document {
    fn read(text: &str) -> Document {
        let mut document = Document::default();
        let mut heading: Option<String> = None;
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    document.targets.push(dest_url.into_string());
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::End(TagEnd::Heading(_)) => document.add_anchor(&heading.take().unwrap_or_default()),
                _ => {}
            }
        }
        document
    }

    /// Forges and mdBook make the same of a heading: letters, digits, `-` and `_` stay, a space becomes `-`, and the second
    /// of a name gets `-1`.
    fn add_anchor(&mut self, heading: &str) {
        let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | ' ');
        let name: String = heading.trim().to_lowercase().chars().filter(kept).collect();
        let name = name.replace(' ', "-");
        let mut anchor = name.clone();
        for number in 1.. {
            if self.anchors.insert(anchor) {
                return;
            }
            anchor = format!("{name}-{number}");
        }
    }

    /// Targets within the repository: a path, empty for the document itself, and an anchor.
    fn local_targets(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let local =
            self.targets.iter().filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
        local.map(|target| match target.split_once('#') {
            Some((path, anchor)) => (path, Some(anchor)),
            None => (target.as_str(), None),
        })
    }
}

/// All documents, by their paths from the top.
struct Documents(BTreeMap<PathBuf, Document>);

impl Documents {
    fn of_the_tree() -> Documents {
        Documents(files(&["md"]).into_iter().map(|(path, text)| (path, Document::read(&text))).collect())
    }

    /// What is wrong with links, each as a sentence. `exists` says whether there is a file or directory.
    fn faults(&self, exists: impl Fn(&Path) -> bool) -> Vec<String> {
        let mut faults = Vec::new();
        for (path, document) in &self.0 {
            for (target, anchor) in document.local_targets() {
                let fault = |what: &str| format!("{}: the link to {target} {what}", path.display());
                let Some(file) = resolve(path, target) else {
                    faults.push(fault("leads out of the repository"));
                    continue;
                };
                let linked = self.0.get(&file);
                if !exists(&file) {
                    faults.push(fault("leads to nothing"));
                } else if path.starts_with(BOOK) && !file.starts_with(BOOK) {
                    faults.push(fault(&format!("leads out of the book: only {BOOK}/ is in there")));
                } else if let Some(anchor) = anchor
                    && !linked.is_some_and(|linked| linked.anchors.contains(anchor))
                {
                    faults.push(fault(&format!("names the heading #{anchor}, which is not there")));
                }
            }
        }
        faults
    }
}

/// The file that a target in a document names, from the top. None if it lies above.
fn resolve(document: &Path, target: &str) -> Option<PathBuf> {
    if target.is_empty() {
        return Some(document.to_owned());
    }
    let mut file = document.parent().unwrap_or(Path::new("")).to_owned();
    for component in Path::new(target).components() {
        match component {
            Component::Normal(name) => file.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !file.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(file)
}

fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn links_between_documents_lead_somewhere() {
    let top = checkout();
    let documents = Documents::of_the_tree();
    assert!(documents.0.contains_key(Path::new(SUMMARY)), "{SUMMARY} is not found");
    none(&documents.faults(|file| top.join(file).exists()));
}

#[test]
fn every_page_is_in_the_book_once() {
    let documents = Documents::of_the_tree();
    let summary = Path::new(SUMMARY);
    let listed: Vec<PathBuf> =
        documents.0[summary].local_targets().filter_map(|(target, _)| resolve(summary, target)).collect();
    let pages = documents.0.keys().filter(|path| path.starts_with(BOOK) && *path != summary);
    let faults: Vec<String> = pages
        .map(|page| (page, listed.iter().filter(|listed| *listed == page).count()))
        .filter(|(_, count)| *count != 1)
        .map(|(page, count)| format!("{SUMMARY} lists {} {count} times", page.display()))
        .collect();
    none(&faults);
}

#[test]
fn links_that_lead_nowhere_are_found() {
    let documents = [
        ("README.md", "[one](docs/one.md#a-b) [gone](docs/gone.md) [no such](docs/one.md#c) [out](../x)"),
        (
            "docs/one.md",
            "# A `b`\n\n[self](#a-b) [out](../README.md) ![web](https://example.org/gone.png)\n\n`[](code.md)`",
        ),
        (
            "docs/two/three.md",
            "| a |\n|---|\n| [up](../one.md) ![image](gone.svg) [no document](../some.json#a) |",
        ),
    ];
    let documents = documents.map(|(path, text)| (PathBuf::from(path), Document::read(text)));
    let there = ["README.md", "docs/one.md", "docs/some.json"].map(Path::new);
    let faults = Documents(BTreeMap::from(documents)).faults(|file| there.contains(&file));
    assert_eq!(
        faults,
        [
            "README.md: the link to docs/gone.md leads to nothing",
            "README.md: the link to docs/one.md names the heading #c, which is not there",
            "README.md: the link to ../x leads out of the repository",
            "docs/one.md: the link to ../README.md leads out of the book: only docs/ is in there",
            "docs/two/three.md: the link to gone.svg leads to nothing",
            "docs/two/three.md: the link to ../some.json names the heading #a, which is not there",
        ]
    );
}

#[test]
fn headings_have_the_anchors_that_forges_and_mdbook_give_them() {
    let text =
        "# `loopbox run`, with *all*\n\nUnder\n-----\n\n## Two\n## Two\n### 3.1: What's_new – Ärger?\n";
    let anchors = Document::read(text).anchors;
    let wanted = ["31-whats_new--ärger", "loopbox-run-with-all", "two", "two-1", "under"];
    assert_eq!(anchors.into_iter().collect::<Vec<_>>(), wanted);
}
