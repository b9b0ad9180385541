//! How crates and modules depend on each other: in one direction only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};
use walkdir::WalkDir;

/// The crates of the product, each with those that it may use: the arrows of docs/architecture.md.
const ARROWS: [(&str, &[&str]); 6] = [
    ("defences", &[]),
    ("nfs-server", &["defences"]),
    ("mounter", &["defences"]),
    ("sandbox", &["defences", "nfs-server", "mounter"]),
    ("builder", &["defences", "sandbox"]),
    ("cli", &["defences", "sandbox", "builder"]),
];
/// The crates whose modules must not depend on each other in a circle.
const ACYCLIC: [&str; 6] = ["defences", "nfs-server", "mounter", "sandbox", "builder", "cli"];
/// Re-exports that are followed to find where an item is defined.
const REEXPORTS_MAX: usize = 8;

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the checkout exists")
}

fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// The path of a module from the crate's root, which is empty.
type ModulePath = Vec<String>;

/// A module of a crate.
#[derive(Default)]
struct Module {
    /// More than one where systems differ.
    files: Vec<PathBuf>,
    /// Names that `use` brings into it, each with its path from the crate's root.
    imports: BTreeMap<String, ModulePath>,
    /// Paths in its code, from the crate's root.
    uses: BTreeSet<ModulePath>,
}

/// The modules of a crate, or of one of its test programs.
struct Modules {
    /// Whether those for tests are among them.
    tests: bool,
    modules: BTreeMap<ModulePath, Module>,
}

impl Modules {
    fn of(root: &Path, tests: bool) -> Modules {
        let mut modules = Modules { tests, modules: BTreeMap::new() };
        modules.load(root, root.parent().expect("a file has a parent"), &[]);
        modules
    }

    /// Adds the module in a file and those below it, whose files are in `directory`.
    fn load(&mut self, file: &Path, directory: &Path, path: &[String]) {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.add(&parsed.items, file, directory, path);
    }

    fn add(&mut self, items: &[Item], file: &Path, directory: &Path, path: &[String]) {
        let mut children = BTreeSet::new();
        for item in items {
            let Item::Mod(module) = item else { continue };
            if is_for_tests(&module.attrs) && !self.tests {
                continue;
            }
            let name = module.ident.to_string();
            let below = [path, std::slice::from_ref(&name)].concat();
            if let Some((_, items)) = &module.content {
                self.add(items, file, &directory.join(&name), &below);
            } else if let Some(elsewhere) = explicit_path(&module.attrs) {
                let beside = file.parent().expect("a file has a parent").join(elsewhere);
                self.load(&beside, beside.parent().expect("a file has a parent"), &below);
            } else {
                let beside = directory.join(format!("{name}.rs"));
                let inside = directory.join(&name).join("mod.rs");
                self.load(if beside.exists() { &beside } else { &inside }, &directory.join(&name), &below);
            }
            children.insert(name);
        }
        let mut reader =
            Reader { path, children, tests: self.tests, imports: BTreeMap::new(), uses: BTreeSet::new() };
        items.iter().filter(|item| !matches!(item, Item::Mod(_))).for_each(|item| reader.visit_item(item));
        let Reader { imports, uses, .. } = reader;
        let module = self.modules.entry(path.to_vec()).or_default();
        module.files.push(file.into());
        module.imports.extend(imports);
        module.uses.extend(uses);
    }

    /// The module that defines what a path leads to.
    fn definer(&self, path: &[String]) -> Option<ModulePath> {
        let mut path = path.to_vec();
        for _ in 0..REEXPORTS_MAX {
            let known = (0..=path.len()).rev().find(|length| self.modules.contains_key(&path[..*length]))?;
            let rest = path.split_off(known);
            match rest.first().and_then(|name| self.modules[&path].imports.get(name)) {
                Some(import) if *import != path => path = [import, &rest[1..]].concat(),
                _ => return Some(path),
            }
        }
        None
    }

    /// What each module uses of its siblings, with the file that does.
    fn dependencies(&self) -> BTreeMap<(ModulePath, ModulePath), &Path> {
        let mut found = BTreeMap::new();
        for (user, module) in &self.modules {
            for used in module.uses.iter().filter_map(|path| self.definer(path)) {
                let common = user.iter().zip(&used).take_while(|(one, other)| one == other).count();
                if common < user.len().min(used.len()) {
                    let edge = (user[..=common].to_vec(), used[..=common].to_vec());
                    found.entry(edge).or_insert(&*module.files[0]);
                }
            }
        }
        found
    }

    /// The dependencies that are part of a circle, each as a sentence.
    fn circles(&self) -> Vec<String> {
        let dependencies = self.dependencies();
        let mut edges: BTreeMap<&ModulePath, Vec<&ModulePath>> = BTreeMap::new();
        dependencies.keys().for_each(|(user, used)| edges.entry(user).or_default().push(used));
        let leads_to = |from: &ModulePath, to: &ModulePath| {
            let (mut seen, mut left) = (BTreeSet::from([from]), vec![from]);
            while let Some(at) = left.pop() {
                if at == to {
                    return true;
                }
                left.extend(edges.get(at).into_iter().flatten().copied().filter(|next| seen.insert(next)));
            }
            false
        };
        let sentence = |((user, used), file): (&(ModulePath, ModulePath), &&Path)| {
            format!(
                "{} uses {}, which leads back to it ({})",
                user.join("::"),
                used.join("::"),
                file.display()
            )
        };
        dependencies.iter().filter(|((user, used), _)| leads_to(used, user)).map(sentence).collect()
    }
}

/// Collects the paths in one module's code.
struct Reader<'a> {
    path: &'a [String],
    children: BTreeSet<String>,
    tests: bool,
    imports: BTreeMap<String, ModulePath>,
    uses: BTreeSet<ModulePath>,
}

impl Reader<'_> {
    /// A path from the crate's root; nothing for those of other crates.
    fn absolute(&self, path: &[String]) -> Option<ModulePath> {
        let (first, mut rest) = path.split_first()?;
        let mut base = match first.as_str() {
            "crate" => Vec::new(),
            "self" => self.path.to_vec(),
            "super" => self.path[..self.path.len().checked_sub(1)?].to_vec(),
            child if self.children.contains(child) => [self.path, std::slice::from_ref(first)].concat(),
            _ => return None,
        };
        while rest.first().is_some_and(|segment| segment == "super") {
            base.pop()?;
            rest = &rest[1..];
        }
        base.extend_from_slice(rest);
        Some(base)
    }

    fn tree(&mut self, tree: &UseTree, prefix: &[String]) {
        let with = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.tree(&path.tree, &with(&path.ident)),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(tree, prefix)),
            UseTree::Glob(_) => self.import(None, prefix),
            UseTree::Name(name) if name.ident == "self" => self.import(prefix.last().cloned(), prefix),
            UseTree::Name(name) => self.import(Some(name.ident.to_string()), &with(&name.ident)),
            UseTree::Rename(rename) => self.import(Some(rename.rename.to_string()), &with(&rename.ident)),
        }
    }

    fn import(&mut self, name: Option<String>, path: &[String]) {
        let Some(path) = self.absolute(path) else { return };
        if let Some(name) = name {
            self.imports.insert(name, path.clone());
        }
        self.uses.insert(path);
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if self.tests || !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1
            && let Some(path) = self.absolute(&names)
        {
            self.uses.insert(path);
        }
        visit::visit_path(self, path);
    }
}

/// Whether `#[cfg(test)]` or the like stands before an item.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    let names_test = |attribute: &Attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        let tokens = list.tokens.to_string();
        list.path.is_ident("cfg")
            && tokens.split(|letter: char| !letter.is_alphanumeric()).any(|word| word == "test")
    };
    attributes.iter().any(names_test)
}

/// The path in `#[path = "…"]`.
fn explicit_path(attributes: &[Attribute]) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.path().is_ident("path"))?;
    let syn::Meta::NameValue(syn::MetaNameValue { value, .. }) = &attribute.meta else { return None };
    match value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. }) => Some(path.value()),
        _ => None,
    }
}

/// The directories of the workspace's crates.
fn crates() -> Vec<PathBuf> {
    let manifest: toml::Table = manifest(&checkout());
    let members = manifest["workspace"]["members"].as_array().expect("a list of members");
    members.iter().map(|member| checkout().join(member.as_str().expect("a path"))).collect()
}

fn manifest(directory: &Path) -> toml::Table {
    let text = fs::read_to_string(directory.join("Cargo.toml")).expect("a crate has a manifest");
    text.parse().expect("a manifest is TOML")
}

#[test]
fn modules_do_not_depend_on_each_other_in_a_circle() {
    let faults: Vec<String> = ACYCLIC
        .iter()
        .map(|name| ["src/lib.rs", "src/main.rs"].map(|root| checkout().join(name).join(root)))
        .flat_map(|roots| roots.into_iter().find(|root| root.exists()))
        .flat_map(|root| Modules::of(&root, false).circles())
        .collect();
    none(&faults);
}

#[test]
fn crates_use_each_other_as_drawn() {
    let ours = |name: &str| name == "tests" || ARROWS.iter().any(|(known, _)| *known == name);
    let mut faults = Vec::new();
    for (name, allowed) in ARROWS {
        let manifest = manifest(&checkout().join(name));
        let used = manifest.get("dependencies").and_then(toml::Value::as_table).into_iter().flatten();
        let wrong = used.filter(|(used, _)| ours(used) && !allowed.contains(&used.as_str()));
        faults.extend(wrong.map(|(used, _)| format!("{name} depends on {used}")));
    }
    none(&faults);
}

#[test]
fn every_file_is_part_of_a_program() {
    let mut faults = Vec::new();
    for directory in crates() {
        let rust_files = |below: &str, most: usize| -> Vec<PathBuf> {
            let entries = WalkDir::new(directory.join(below)).max_depth(most).into_iter().flatten();
            let files = entries.map(walkdir::DirEntry::into_path);
            files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
        };
        let roots = ["src/lib.rs", "src/main.rs", "build.rs"].map(|root| directory.join(root));
        let programs = ["src/bin", "examples", "tests", "benches"].map(|below| rust_files(below, 1)).concat();
        let mains = rust_files("tests", 2).into_iter().filter(|path| path.ends_with("main.rs"));
        let roots = roots.into_iter().filter(|root| root.exists()).chain(programs).chain(mains);
        let parts: BTreeSet<PathBuf> = roots
            .flat_map(|root| Modules::of(&root, true).modules.into_values().flat_map(|module| module.files))
            .map(|file| file.canonicalize().expect("it was read"))
            .collect();
        let all = ["src", "examples", "tests", "benches"].map(|below| rust_files(below, usize::MAX)).concat();
        let forgotten = all.into_iter().filter(|file| !parts.contains(file) && is_own(&directory, file));
        faults.extend(forgotten.map(|file| format!("{}: no `mod` leads to it", file.display())));
    }
    none(&faults);
}

/// Whether a file belongs to this crate and not to one in a directory of it.
fn is_own(directory: &Path, file: &Path) -> bool {
    file.ancestors().skip(1).find(|above| above.join("Cargo.toml").exists()) == Some(directory)
}

#[test]
fn a_circle_by_way_of_a_reexport_is_found() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).expect("a file");
    write("lib.rs", "mod one; mod two; mod three; pub use two::Two;");
    write("one.rs", "use crate::Two; #[cfg(test)] mod tests { use crate::three::Three; }");
    write("two.rs", "pub struct Two; fn f() -> super::three::Three { super::three::Three }");
    write("three.rs", "pub struct Three;");
    let circles = || Modules::of(&directory.path().join("lib.rs"), false).circles();
    assert_eq!(circles(), [""; 0]);
    write("three.rs", "use std::fmt; use crate::one; pub struct Three;");
    let found = circles();
    let starts = ["one uses two,", "three uses one,", "two uses three,"];
    assert!(
        found.len() == 3 && found.iter().zip(starts).all(|(found, start)| found.starts_with(start)),
        "{found:?}"
    );
}
