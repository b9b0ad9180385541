//! Packages of a Debian suite, through an apt configuration of the lab's own: nothing of the machine's changes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Lab, say};
use crate::command::{command, quiet, text};

/// The key that signs Debian's archive, from the package debian-archive-keyring.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Settings of apt's that say how archives are reached, of all that begin with `Acquire::`.
const REACH: [&str; 7] =
    ["http", "https", "ForceIPv4", "ForceIPv6", "Retries", "Check-Valid-Until", "Check-Date"];

/// One suite with lists and a cache of its own.
pub struct Suite {
    name: String,
    configuration: PathBuf,
}

impl Suite {
    /// Sets the suite up and brings its lists, once.
    pub fn open(lab: &Lab, name: &str) -> Result<Suite> {
        let made = lab.once(&format!("apt/{name}"), &format!("bringing the package lists of {name}"), |at| {
            let sources = format!(
                "deb [signed-by={KEYRING}] {uri} {name} main\ndeb-src [signed-by={KEYRING}] {uri} {name} main\n",
                uri = archive(name)?
            );
            update(at, &sources).or_else(|error| {
                // Of dozens of fresh caches one was found corrupted; and a mirror may be out of step for a moment.
                say(&format!("bringing the package lists of {name} once more: {error:#}"));
                super::remove(at)?;
                update(at, &sources)
            })?;
            let last = at.with_extension("");
            configure(at, &last, &sources)
        })?;
        Ok(Suite { name: name.to_owned(), configuration: made.join("apt.conf") })
    }

    /// Brings these binary packages and, when `with_dependencies`, all that they need, and unpacks them into `into`.
    /// What was taken is listed in `packages.toml` there.
    pub fn unpack<S: AsRef<str>>(&self, packages: &[S], with_dependencies: bool, into: &Path) -> Result<()> {
        let mut wanted: Vec<&str> = packages.iter().map(AsRef::as_ref).collect();
        say(&format!("bringing {} from Debian {}", brief(&wanted), self.name));
        let debs = into.join("debs");
        fs::create_dir_all(&debs)?;
        let closure;
        if with_dependencies {
            closure = self.closure(&wanted)?;
            wanted = closure.iter().map(String::as_str).collect();
        }
        quiet(self.apt("apt-get", ["download", "-q"]).args(&wanted).current_dir(&debs))?;
        let mut taken = Vec::new();
        for deb in fs::read_dir(&debs)? {
            let deb = deb?;
            quiet(command("dpkg-deb", ["-x"]).arg(deb.path()).arg(into))?;
            taken.extend(entry(&deb.file_name().to_string_lossy()));
        }
        taken.sort();
        fs::write(into.join("packages.toml"), taken.concat()).context("cannot write the list of packages")?;
        fs::remove_dir_all(&debs)?;
        Ok(())
    }

    /// The versions of packages that the suite has; nothing for those that it does not have.
    pub fn versions(&self, names: &[&str]) -> Result<BTreeMap<String, Vec<String>>> {
        let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if names.is_empty() {
            return Ok(versions);
        }
        let table = text(self.apt("apt-cache", ["madison"]).args(names))?;
        for line in table.lines() {
            let mut columns = line.split('|').map(str::trim);
            if let (Some(name), Some(version)) = (columns.next(), columns.next()) {
                versions.entry(name.to_owned()).or_default().push(version.to_owned());
            }
        }
        Ok(versions)
    }

    /// The packages that one depends on, as one that is only another name for the newest of its kind does.
    pub fn depends(&self, package: &str) -> Result<Vec<String>> {
        let tree = text(self.apt("apt-cache", ["depends", "--important"]).arg(package))?;
        let names = tree.lines().filter_map(|line| line.trim_start().strip_prefix("Depends: "));
        Ok(names.map(str::to_owned).collect())
    }

    /// Brings the source packages' files into `into`, without unpacking.
    pub fn sources(&self, packages: &[&str], into: &Path) -> Result<()> {
        say(&format!("bringing the sources of {} from Debian {}", packages.join(", "), self.name));
        fs::create_dir_all(into)?;
        quiet(self.apt("apt-get", ["source", "--download-only", "-q"]).args(packages).current_dir(into))
    }

    /// The packages and everything they depend on, as apt would install them on an empty system.
    fn closure(&self, packages: &[&str]) -> Result<Vec<String>> {
        let plan =
            text(self.apt("apt-get", ["install", "-s", "-q", "--no-install-recommends"]).args(packages))?;
        let names: Vec<String> = plan
            .lines()
            .filter_map(|line| line.strip_prefix("Inst "))
            .filter_map(|rest| rest.split(' ').next())
            .map(str::to_owned)
            .collect();
        if names.is_empty() {
            bail!("apt plans to install nothing for {packages:?}:\n{plan}");
        }
        Ok(names)
    }

    fn apt<const N: usize>(&self, program: &str, arguments: [&str; N]) -> Command {
        let mut apt = command(program, arguments);
        apt.env("APT_CONFIG", &self.configuration).env("DEBIAN_FRONTEND", "noninteractive");
        apt
    }
}

/// A list that a person can read.
fn brief(packages: &[&str]) -> String {
    const SHOWN: usize = 6;
    match packages.len().checked_sub(SHOWN) {
        Some(more @ 1..) => format!("{} and {more} packages more", packages[..SHOWN].join(", ")),
        _ => packages.join(", "),
    }
}

/// A line of a list of packages, from the name of a package's file: `NAME_VERSION_ARCHITECTURE.deb`, where a colon is
/// written `%3a`.
fn entry(file: &str) -> Option<String> {
    let mut parts = file.split('_');
    let (name, version) = (parts.next()?, parts.next()?.replace("%3a", ":"));
    Some(format!("\"{name}\" = \"{version}\"\n"))
}

/// Sets a suite up in `at` and brings its lists.
fn update(at: &Path, sources: &str) -> Result<()> {
    configure(at, at, sources)?;
    // Without this, lists that could not be reached are only warned of.
    let words = ["update", "--error-on=any"];
    quiet(Command::new("apt-get").args(words).env("APT_CONFIG", at.join("apt.conf")))
}

/// Writes apt.conf and sources.list into `at`, with paths as they are once it is called `named`.
fn configure(at: &Path, named: &Path, sources: &str) -> Result<()> {
    for directory in ["lists/partial", "cache/archives/partial", "state"] {
        fs::create_dir_all(at.join(directory))?;
    }
    fs::write(at.join("sources.list"), sources)?;
    let named = named.display();
    // No caches: apt may replace them at any time, and what is there has to stay.
    let configuration = format!(
        "Dir::Etc::sourcelist \"{named}/sources.list\";\nDir::Etc::sourceparts \"-\";\n\
         Dir::State \"{named}/state\";\nDir::State::lists \"{named}/lists\";\nDir::State::status \"/dev/null\";\n\
         Dir::Cache \"{named}/cache\";\nDir::Cache::pkgcache \"\";\nDir::Cache::srcpkgcache \"\";\n\
         Acquire::Languages \"none\";\nAcquire::Check-Valid-Until \"false\";\n\
         Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\nAPT::Sandbox::User \"root\";\n"
    );
    fs::write(at.join("apt.conf"), configuration).context("cannot write apt.conf")
}

/// The lines that name, for apt elsewhere, where this machine takes a release and its updates from.
pub fn sources(release: &str) -> Result<String> {
    let updates = format!("{release}-");
    let lines: String = targets()?
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(_, suite)| *suite == release || suite.starts_with(&updates))
        .map(|(uri, suite)| source(uri, suite))
        .collect();
    if lines.is_empty() { Ok(source(&archive(release)?, release)) } else { Ok(lines) }
}

fn source(uri: &str, suite: &str) -> String {
    format!("deb [signed-by={KEYRING}] {uri} {suite} main\n")
}

/// This machine's settings of how apt reaches archives, each a line of a configuration file.
pub fn acquire() -> Result<Vec<String>> {
    let settings = text(&mut command("apt-config", ["dump", "--format", "%f \"%v\";%n", "Acquire"]))?;
    let matters = |line: &&str| {
        let mut parts = line.split([':', ' ']).filter(|part| !part.is_empty()).skip(1);
        parts.next().is_some_and(|part| REACH.contains(&part)) && !line.ends_with(" \"\";")
    };
    Ok(settings.lines().filter(matters).map(str::to_owned).collect())
}

/// What this machine's apt takes packages from: a line with an archive and a suite each.
fn targets() -> Result<String> {
    let format = "$(REPO_URI) $(CODENAME)";
    text(&mut command(
        "apt-get",
        ["indextargets", "--format", format, "Created-By: Packages", "Component: main"],
    ))
}

/// The archive of a suite: what this machine takes it from, or else what it takes its own release from.
fn archive(suite: &str) -> Result<String> {
    let targets = targets()?;
    let codename = codename()?;
    let of = |wanted: &str| {
        let mut sources = targets.lines().filter_map(|line| line.split_once(' '));
        sources.find(|(_, name)| *name == wanted).map(|(uri, _)| uri.to_owned())
    };
    of(suite).or_else(|| of(&codename)).with_context(|| {
        format!("apt on this machine has no source for Debian {codename}; run apt-get update?")
    })
}

/// This machine's Debian release, such as `bookworm`.
pub fn codename() -> Result<String> {
    let release = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .map(|name| name.trim_matches('"').to_owned())
        .context("/etc/os-release names no release: this needs a Debian machine")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packages_file_tells_its_name_and_version() {
        assert_eq!(
            entry("libbz2-1.0_1%3a1.0.8-6+b2_amd64.deb").unwrap(),
            "\"libbz2-1.0\" = \"1:1.0.8-6+b2\"\n"
        );
        assert_eq!(entry("lock"), None);
    }

    #[test]
    fn a_long_list_is_cut() {
        assert_eq!(brief(&["a", "b"]), "a, b");
        assert_eq!(brief(&["a", "b", "c", "d", "e", "f", "g", "h"]), "a, b, c, d, e, f and 2 packages more");
    }
}
