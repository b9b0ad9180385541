//! The page that explains errors: it has every text that the sources can print, and no other.

use std::collections::BTreeMap;
use std::fs;
use std::mem;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Meta, MetaNameValue};

const PAGE: &str = "docs/troubleshooting.md";
/// The crates whose errors people meet.
const CRATES: [&str; 5] = ["nfs-server", "mounter", "sandbox", "builder", "cli"];
/// Between what an error comes from and what to do about it.
const ARROW: &str = " → ";

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the checkout exists")
}

fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Collects the texts of thiserror's `#[error("…")]` in a crate, without what is for its tests alone.
#[derive(Default)]
struct ErrorTexts {
    file: PathBuf,
    /// Where the files of the module's children are.
    directory: PathBuf,
    /// Each text as the page has it, with the first file that it is in.
    found: BTreeMap<String, PathBuf>,
}

impl ErrorTexts {
    fn read(&mut self, file: PathBuf, directory: PathBuf) {
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let outer = (mem::replace(&mut self.file, file), mem::replace(&mut self.directory, directory));
        self.visit_file(&parsed);
        (self.file, self.directory) = outer;
    }
}

impl<'ast> Visit<'ast> for ErrorTexts {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if is_for_tests(&module.attrs) {
            return;
        }
        let name = module.ident.to_string();
        let below = self.directory.join(&name);
        if module.content.is_some() {
            let outer = mem::replace(&mut self.directory, below);
            visit::visit_item_mod(self, module);
            self.directory = outer;
        } else if let Some(elsewhere) = module.attrs.iter().find_map(explicit_path) {
            let file = self.file.with_file_name(elsewhere);
            let directory = file.parent().expect("a file has a parent").into();
            self.read(file, directory);
        } else {
            self.read(self.directory.join(format!("{name}.rs")), below);
        }
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_enum(self, item);
        }
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_struct(self, item);
        }
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        if !is_for_tests(&variant.attrs) {
            visit::visit_variant(self, variant);
        }
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        let Meta::List(list) = &attribute.meta else { return };
        if !list.path.is_ident("error") {
            return;
        }
        // `transparent` is no text.
        let first = list.tokens.clone().into_iter().next().map(|token| token.to_string());
        let Some(Ok(text)) = first.map(|first| syn::parse_str::<LitStr>(&first)) else { return };
        let text = as_shown(&text.value());
        if has_words(&text) {
            self.found.entry(text).or_insert_with(|| self.file.clone());
        }
    }
}

/// Whether `#[cfg(test)]` or the like stands before an item.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            list.tokens.to_string().split(|letter: char| !letter.is_alphanumeric()).any(|word| word == "test")
        }
        _ => false,
    })
}

/// The path in `#[path = "…"]`.
fn explicit_path(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(MetaNameValue {
            path,
            value: Expr::Lit(ExprLit { lit: Lit::Str(file), .. }),
            ..
        }) if path.is_ident("path") => Some(file.value()),
        _ => None,
    }
}

/// A text as the page has it: on one line; placeholders without their format, and with `…` in place of no name or a number.
fn as_shown(text: &str) -> String {
    let mut shown = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '{' | '}' if letters.next_if_eq(&letter).is_some() => shown.push(letter),
            '{' => {
                let inside: String = letters.by_ref().take_while(|letter| *letter != '}').collect();
                let name = inside.split(':').next().unwrap_or_default();
                let has_name = name.chars().any(|letter| !letter.is_ascii_digit());
                shown += &format!("{{{}}}", if has_name { name } else { "…" });
            }
            letter => shown.push(letter),
        }
    }
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether anything but placeholders is in a text: of others nobody could search for anything.
fn has_words(text: &str) -> bool {
    let outside = |part: &str| part.rsplit('}').next().is_some_and(|text| text.contains(char::is_alphabetic));
    text.split('{').any(outside)
}

/// The texts of all crates, each with the file that it is in.
fn texts_in_sources() -> BTreeMap<String, PathBuf> {
    let mut texts = ErrorTexts::default();
    for name in CRATES {
        let sources = checkout().join(name).join("src");
        let root =
            ["lib.rs", "main.rs"].map(|root| sources.join(root)).into_iter().find(|root| root.exists());
        texts.read(root.expect("a crate has a root"), sources);
    }
    texts.found
}

/// An error on the page.
#[derive(Debug, PartialEq)]
struct Explained {
    group: String,
    text: String,
    explanation: String,
}

/// The errors of a page: list items below headings of the second level, which begin with a text in backquotes and a line break.
fn explained(page: &str) -> Vec<Explained> {
    let mut group = None;
    let mut found: Vec<Explained> = Vec::new();
    let mut open = false;
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            group = Some(heading);
        }
        let text = line.strip_prefix("- `").and_then(|rest| rest.strip_suffix("`\\"));
        if let (Some(group), Some(text)) = (group, text) {
            found.push(Explained { group: group.into(), text: text.into(), explanation: String::new() });
            open = true;
            continue;
        }
        open &= line.starts_with("  ");
        if let Some(last) = found.last_mut().filter(|_| open) {
            last.explanation += line.trim();
            last.explanation.push(' ');
        }
    }
    found
}

fn page() -> Vec<Explained> {
    explained(&fs::read_to_string(checkout().join(PAGE)).expect("the page can be read"))
}

#[test]
fn every_error_is_explained() {
    let (texts, page) = (texts_in_sources(), page());
    let lacks = |text: &&String| page.iter().all(|error| error.text != **text);
    let missing = texts.keys().filter(lacks).map(|text| {
        let file = texts[text].strip_prefix(checkout()).expect("below the checkout");
        format!("{PAGE} lacks `{text}` ({})", file.display())
    });
    let superfluous = page
        .iter()
        .filter(|error| !texts.contains_key(&error.text))
        .map(|error| format!("{PAGE}, {}: no error has the text `{}`", error.group, error.text));
    none(&missing.chain(superfluous).collect::<Vec<_>>());
}

#[test]
fn errors_have_a_cause_and_a_way_out() {
    let complete = |error: &&Explained| {
        let parts = error.explanation.split_once(ARROW);
        parts.is_some_and(|(cause, way_out)| !cause.trim().is_empty() && !way_out.trim().is_empty())
    };
    let faults: Vec<String> = page()
        .iter()
        .filter(|error| !complete(error))
        .map(|error| format!("{PAGE}: no cause, `{}` and way out of `{}`", ARROW.trim(), error.text))
        .collect();
    none(&faults);
}

#[test]
fn errors_are_in_alphabetical_order_and_explained_once() {
    let page = page();
    let mut faults = Vec::new();
    for (number, error) in page.iter().enumerate() {
        let next = page.get(number + 1).filter(|next| next.group == error.group && next.text < error.text);
        faults.extend(next.map(|next| format!("{PAGE}: `{}` belongs before `{}`", next.text, error.text)));
        if page[..number].iter().any(|earlier| earlier.text == error.text) {
            faults.push(format!("{PAGE}: `{}` is there twice", error.text));
        }
    }
    none(&faults);
}

#[test]
fn texts_are_read_from_attributes() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let write = |name: &str, text: &str| {
        let file = directory.path().join(name);
        fs::create_dir_all(file.parent().expect("a file has a parent")).expect("a directory");
        fs::write(file, text).expect("a file");
    };
    write(
        "lib.rs",
        r#"
        mod one;
        #[cfg(test)] mod no_such_file;
        #[cfg(target_os = "macos")] #[path = "mac/two.rs"] mod two;
        #[derive(thiserror::Error)]
        enum Error {
            #[error("cannot read {path:?}")] Read { path: PathBuf },
            #[error(transparent)] Other(#[from] io::Error),
            #[error("{0:?}: {}\n  {{mode {mode:o}}}", other)] Mode(u8),
            #[error("{problem}: {0}")] NoWords,
            #[cfg(test)] #[error("a test")] Test,
        }
        mod within { #[error("it is")] struct Within; }
        mod tests { #[cfg(all(test, unix))] #[error("nothing")] struct Nothing; }
        "#,
    );
    write("one.rs", "mod below; fn f() { #[error(\"in a \\\"function\\\"\")] struct E; }");
    write("one/below.rs", "#[error(\"below\")] struct E;");
    write("mac/two.rs", "#[error(\"a Mac {what}\")] struct E;");
    let mut texts = ErrorTexts::default();
    texts.read(directory.path().join("lib.rs"), directory.path().into());
    let found: Vec<&String> = texts.found.keys().collect();
    let expected = [
        "a Mac {what}",
        "below",
        "cannot read {path}",
        "in a \"function\"",
        "it is",
        "{…}: {…} {mode {mode}}",
    ];
    assert_eq!(found, expected);
}

#[test]
fn errors_are_read_from_the_page() {
    let text = "# Title\n\n- `no group`\\\n  x → y\n\n## One\n\nWords.\n\n- `a`\\\n  why\n  → do `this`\n- `b`\\\n  c → d\n\nEnd.\n";
    let error = |text: &str, explanation: &str| Explained {
        group: "One".into(),
        text: text.into(),
        explanation: explanation.into(),
    };
    assert_eq!(explained(text), [error("a", "why → do `this` "), error("b", "c → d ")]);
}
