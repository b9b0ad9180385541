//! Pages of a site, as HTML: what they link to has to be there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use walkdir::WalkDir;

/// What a web server answers instead of a page that is missing: its links are from the root, wherever that will be.
const NOT_FOUND: &str = "404.html";

/// What one page says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    ids: BTreeSet<String>,
    /// Values of `href` and `src`, with characters for entities.
    targets: Vec<String>,
}

impl Page {
    /// Reads a page as programs write them: each value of an attribute in double quotes.
    fn read(html: &str) -> Page {
        let mut page = Page::default();
        let mut rest = html;
        while let Some((_, after)) = rest.split_once('<') {
            if let Some(comment) = after.strip_prefix("!--") {
                rest = comment.split_once("-->").map_or("", |(_, rest)| rest);
                continue;
            }
            let (name, attributes, end) = tag(after);
            for (attribute, value) in attributes {
                match attribute {
                    "id" => drop(page.ids.insert(characters(value))),
                    "href" | "src" => page.targets.push(characters(value)),
                    _ => {}
                }
            }
            // The text of these is no HTML.
            let raw = ["script", "style"].contains(&name).then(|| format!("</{name}>"));
            rest = raw.map_or(end, |close| end.split_once(&close).map_or("", |(_, rest)| rest));
        }
        page
    }
}

/// The name of a tag, its attributes that have values, and what follows it. What it is given begins behind `<`.
fn tag(text: &str) -> (&str, Vec<(&str, &str)>, &str) {
    let (name, mut rest) = text.split_at(text.find([' ', '\n', '>']).unwrap_or(text.len()));
    let mut attributes = Vec::new();
    loop {
        let end = rest.find('>').unwrap_or(rest.len());
        match rest.split_once("=\"") {
            Some((before, after)) if before.len() < end => {
                let Some((value, after)) = after.split_once('"') else { return (name, attributes, "") };
                attributes.push((before.rsplit([' ', '\n']).next().unwrap_or(before), value));
                rest = after;
            }
            _ => return (name, attributes, rest.get(end + 1..).unwrap_or("")),
        }
    }
}

/// The characters that the entities in an attribute stand for.
fn characters(value: &str) -> String {
    const ENTITIES: [(&str, &str); 6] =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&#x27;", "'"), ("&amp;", "&")];
    ENTITIES.iter().fold(value.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

/// Links of a site's pages that lead to no file of it, or to no element of a page, each as a sentence.
///
/// # Errors
/// The site cannot be read, or has no page.
pub fn broken_links(site: &Path) -> Result<Vec<String>> {
    let mut pages = BTreeMap::new();
    for entry in WalkDir::new(site).sort_by_file_name() {
        let path = entry.with_context(|| format!("cannot list {}", site.display()))?.into_path();
        if path.extension().is_some_and(|extension| extension == "html") && !path.ends_with(NOT_FOUND) {
            let html =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            pages.insert(path.strip_prefix(site)?.to_owned(), Page::read(&html));
        }
    }
    anyhow::ensure!(!pages.is_empty(), "{} has no page", site.display());
    let mut broken = Vec::new();
    for (path, page) in &pages {
        for target in page.targets.iter().filter(|target| is_local(target)) {
            let (file, id) = target.split_once('#').unwrap_or((target, ""));
            let leads = resolve(path, file).is_some_and(|file| match pages.get(&file) {
                Some(linked) => id.is_empty() || linked.ids.contains(id),
                None => id.is_empty() && site.join(file).is_file(),
            });
            if !leads {
                broken.push(format!("{}: {target} is not there", path.display()));
            }
        }
    }
    Ok(broken)
}

/// Whether a target is part of the site: it names neither a scheme nor a machine.
fn is_local(target: &str) -> bool {
    let scheme = target.split(['/', '#']).next().unwrap_or_default();
    !target.starts_with("//") && !scheme.contains(':')
}

/// The file that a page's target names, from the top of the site. None if it lies above.
fn resolve(page: &Path, target: &str) -> Option<PathBuf> {
    if target.is_empty() {
        return Some(page.to_owned());
    }
    let mut file = page.parent()?.to_owned();
    for component in Path::new(target).components() {
        match component {
            Component::Normal(name) => file.push(name),
            Component::CurDir => {}
            Component::ParentDir if file.pop() => {}
            _ => return None,
        }
    }
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_and_scripts_and_comments_are_not() {
        let html = "<!-- <a href=\"gone\"> --><script>if (1 < 2) { '<a href=\"none\">' }</script>\
            <h1 class=\"a > b\" id=\"top\">x</h1><br><a\n  href=\"one.html?a&amp;b\" title=\"id=x\">y</a><img src=\"a.svg\"/>";
        let page = Page::read(html);
        assert_eq!(page.ids.into_iter().collect::<Vec<_>>(), ["top"]);
        assert_eq!(page.targets, ["one.html?a&b", "a.svg"]);
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let site = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(site.path().join(name), text).unwrap();
        fs::create_dir(site.path().join("deep")).unwrap();
        write(
            "deep/one.html",
            "<h1 id=\"a\"></h1><a href=\"../two.html#b\"></a><a href=\"../../out\"></a><img src=\"x.svg\">",
        );
        write(
            "two.html",
            "<p id=\"b\"><a href=\"#b\"></a><a href=\"#c\"></a><a href=\"deep/one.html#b\"></a><a href=\"s.css\">",
        );
        write("s.css", "");
        write(NOT_FOUND, "<a href=\"wherever\">");
        write(
            "web.html",
            "<a href=\"https://example.org/x\"><a href=\"//example.org\"><a href=\"mailto:me@example.org\">",
        );
        let broken = broken_links(site.path()).unwrap();
        assert_eq!(
            broken,
            [
                "deep/one.html: ../../out is not there",
                "deep/one.html: x.svg is not there",
                "two.html: #c is not there",
                "two.html: deep/one.html#b is not there",
            ]
        );
    }

    #[test]
    fn a_site_without_pages_is_an_error() {
        let site = tempfile::tempdir().unwrap();
        assert!(broken_links(site.path()).unwrap_err().to_string().ends_with("has no page"));
    }
}
