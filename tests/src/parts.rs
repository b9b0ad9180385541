//! What the program is made of: the crates that are in it on some system, and what else is linked into it, with their licences and
//! as a bill of materials. What only compiles it, such as macros, is not among them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::command::{command, text};
use crate::demo::inputs;
use crate::lab::Lab;
use crate::lab::cross::Target;

mod bill;
mod licences;

/// The program's own package.
pub const PROGRAM: &str = "loopbox";

/// Our own copy of the Apache licence.
const APACHE: &str = "LICENSE-APACHE";

/// A name and a version: what tells crates apart.
pub type Key = (String, String);

/// What parts are called, as package URLs (purl) begin: a crate, or what the linker brings.
const CRATE: &str = "pkg:cargo";
const LINKED: &str = "pkg:generic";

/// A crate that is in the program, or something else that is linked into it.
#[derive(Clone, Debug)]
pub struct Part {
    /// How its package URL begins.
    scheme: &'static str,
    /// Its licence, as an SPDX expression.
    pub licence: String,
    /// Where its files are.
    pub directory: PathBuf,
    /// SHA-256 of what the registry has, in hexadecimal digits; nothing has the program's own crates.
    pub checksum: Option<String>,
    /// The parts that it uses.
    pub uses: BTreeSet<Key>,
}

/// The parts of a program, its own crates among them.
pub type Parts = BTreeMap<Key, Part>;

/// What `cargo metadata` prints, as far as it is of use here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    dependencies: Vec<String>,
}

/// `Cargo.lock`.
#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// The texts about a program's parts that go with it.
#[derive(Clone, Debug)]
pub struct Documents {
    /// All licences.
    pub licences: String,
    /// The bill of materials, as JSON.
    pub bill: String,
}

/// Those of the program for a system.
pub fn documents(lab: &Lab, target: Target) -> Result<Documents> {
    let apache = lab.checkout().join(APACHE);
    let apache = fs::read_to_string(&apache).with_context(|| format!("cannot read {}", apache.display()))?;
    let mut parts = crates(lab, target.triple)?;
    let linked = linked_besides(lab, target)?;
    if let Some((_, program)) = parts.iter_mut().find(|((name, _), _)| name == PROGRAM) {
        program.uses.extend(linked.keys().cloned());
    }
    parts.extend(linked);
    let bill = serde_json::to_string_pretty(&bill::bill(&parts, target.triple))? + "\n";
    Ok(Documents { licences: licences::licences(&parts, &apache)?, bill })
}

/// What is linked into the program and is no crate: all of it comes with Zig, in Zig's version.
fn linked_besides(lab: &Lab, target: Target) -> Result<Parts> {
    let zig = inputs::zig(lab)?;
    let version = inputs::ZIG.replace("==", "-");
    let part = |name: &str, licence: &str, directory: &str| {
        let licence = licence.to_owned();
        let directory = zig.join(directory);
        let part = Part { scheme: LINKED, licence, directory, checksum: None, uses: BTreeSet::new() };
        ((name.to_owned(), version.clone()), part)
    };
    let mut parts = vec![part("compiler-rt", "MIT", "")];
    if !target.is_mac() {
        parts.push(part("musl", "MIT", "lib/libc/musl"));
        parts.push(part("libunwind", "Apache-2.0 WITH LLVM-exception", "lib/libunwind"));
    }
    Ok(parts.into_iter().collect())
}

/// The crates of the program for a system.
fn crates(lab: &Lab, target: &str) -> Result<Parts> {
    let cargo = |words: &[&str]| text(command("cargo", words).current_dir(lab.checkout()));
    let words = ["metadata", "--locked", "--format-version", "1", "--filter-platform", target];
    let metadata: Metadata = serde_json::from_str(&cargo(&words)?).context("cargo metadata")?;
    let linked = linked(&cargo(&[
        "tree",
        "--locked",
        "--package",
        PROGRAM,
        "--edges",
        "normal,no-proc-macro",
        "--target",
        target,
        "--prefix",
        "none",
        "--no-dedupe",
        "--format",
        "{p}",
    ])?);
    let lock = fs::read_to_string(lab.checkout().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let parts = join(&metadata, &linked, toml::from_str(&lock)?)?;
    ensure!(parts.len() == linked.len(), "cargo tree has crates for {target} that cargo metadata has not");
    Ok(parts)
}

/// The crates in lines such as `libc v0.2.0 (/elsewhere)`.
fn linked(tree: &str) -> BTreeSet<Key> {
    let crates = tree.lines().filter_map(|line| line.split_once(" v"));
    crates.map(|(name, rest)| (name.into(), rest.split(' ').next().unwrap_or(rest).into())).collect()
}

fn join(metadata: &Metadata, linked: &BTreeSet<Key>, lock: Lock) -> Result<Parts> {
    let key = |package: &Package| (package.name.clone(), package.version.clone());
    let keys: BTreeMap<&str, Key> =
        metadata.packages.iter().map(|package| (package.id.as_str(), key(package))).collect();
    let checksums: BTreeMap<Key, String> = lock
        .package
        .into_iter()
        .filter_map(|Locked { name, version, checksum }| Some(((name, version), checksum?)))
        .collect();
    let uses: BTreeMap<&str, BTreeSet<Key>> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| {
            let used = node.dependencies.iter().filter_map(|id| keys.get(id.as_str()));
            (node.id.as_str(), used.filter(|key| linked.contains(key)).cloned().collect())
        })
        .collect();
    let mut parts = Parts::new();
    for package in metadata.packages.iter().filter(|package| linked.contains(&key(package))) {
        let key = key(package);
        let licence =
            package.license.as_deref().with_context(|| format!("{} has no licence", package.name))?;
        let part = Part {
            scheme: CRATE,
            // The older way to say it.
            licence: licence.replace('/', " OR "),
            directory: package.manifest_path.parent().context("a manifest is in a directory")?.into(),
            checksum: checksums.get(&key).cloned(),
            uses: uses.get(package.id.as_str()).cloned().unwrap_or_default(),
        };
        parts.insert(key, part);
    }
    Ok(parts)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn key(name: &str, version: &str) -> Key {
        (name.into(), version.into())
    }

    /// A program that uses one crate in two versions, and a macro that is not in it.
    pub(crate) fn example() -> Parts {
        let package = |name: &str, version: &str, license: &str| {
            format!(
                r#"{{"id": "{name}#{version}", "name": "{name}", "version": "{version}", "license": "{license}", "manifest_path": "/crates/{name}-{version}/Cargo.toml"}}"#
            )
        };
        let packages = [
            package("loopbox", "1.0.0", "MIT OR Apache-2.0"),
            package("used", "0.1.0", "MIT/Apache-2.0"),
            package("used", "0.2.0+more", "MIT"),
            package("macros", "3.0.0", "MIT"),
        ]
        .join(",");
        let nodes = r#"{"id": "loopbox#1.0.0", "dependencies": ["used#0.2.0+more", "macros#3.0.0"]},
            {"id": "used#0.2.0+more", "dependencies": ["used#0.1.0"]}, {"id": "used#0.1.0", "dependencies": []}"#;
        let metadata = format!(r#"{{"packages": [{packages}], "resolve": {{"nodes": [{nodes}]}}}}"#);
        let lock = "[[package]]\nname = \"loopbox\"\nversion = \"1.0.0\"\n\n\
            [[package]]\nname = \"used\"\nversion = \"0.1.0\"\nchecksum = \"00ff\"\n";
        let tree = "loopbox v1.0.0 (/work place/cli)\nused v0.2.0+more\nused v0.1.0\nused v0.1.0\n";
        join(&serde_json::from_str(&metadata).unwrap(), &linked(tree), toml::from_str(lock).unwrap()).unwrap()
    }

    #[test]
    fn a_program_s_parts_are_what_is_linked_into_it() {
        let parts = example();
        assert_eq!(
            parts.keys().cloned().collect::<Vec<_>>(),
            [key("loopbox", "1.0.0"), key("used", "0.1.0"), key("used", "0.2.0+more")]
        );
        let used = &parts[&key("used", "0.1.0")];
        assert_eq!((used.licence.as_str(), used.checksum.as_deref()), ("MIT OR Apache-2.0", Some("00ff")));
        assert_eq!(used.directory, PathBuf::from("/crates/used-0.1.0"));
        assert_eq!(parts[&key("loopbox", "1.0.0")].uses, [key("used", "0.2.0+more")].into());
        assert_eq!(parts[&key("loopbox", "1.0.0")].checksum, None);
    }
}
