//! What others make of loopbox with: the flake, its modules for NixOS and nix-darwin and its package, compared with what they are
//! to say, since building with them takes nixpkgs, which is not here; the workflows of continuous integration; Homebrew's formula; and the
//! crates as the package registry would take them, with the licences of all that the program is compiled from.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::parts;
use crate::command::{command, quiet, text};
use crate::lab::checkers::{ACTIONLINT, ZIZMOR};
use crate::lab::{Lab, packages, say};
use crate::tally::Tally;

/// Evaluates all of it.
const EXPRESSION: &str = "tests/packaging/evaluate.nix";
/// What it has to say, without the version.
const EXPECTED: &str = "tests/packaging/expected.json";
/// What Nix has to find well-formed.
const SOURCES: [&str; 4] =
    ["flake.nix", "packaging/nix/package.nix", "packaging/nix/nixos.nix", "packaging/nix/darwin.nix"];

/// Packs every crate that has a name there.
const PUBLISH: [&str; 10] = [
    "publish",
    "--dry-run",
    "--no-verify",
    "--locked",
    "--allow-dirty",
    "--workspace",
    "--exclude",
    "tests",
    "--exclude",
    "probe",
];

/// The workflows, with the scripts that they run.
const WORKFLOWS: &str = ".github";

/// Homebrew's formula, before it is filled in, and what is asked of it.
const FORMULA: &str = "packaging/homebrew/loopbox.rb";
const STYLE: &str = "tests/packaging/rubocop.yml";

/// Looks at all of it.
pub fn check(lab: &Lab) -> Result<Tally> {
    say("the flake, its modules, the workflows, and the crates");
    Ok([flake(lab)?, workflows(lab)?, formula(lab)?, registry(lab), parts::check(lab)].into_iter().sum())
}

/// The crates can be published, all but for compiling them from what is packed.
fn registry(lab: &Lab) -> Tally {
    passes(command("cargo", PUBLISH).current_dir(lab.checkout()))
}

/// Nothing in them is wrong, and nothing dangerous; neither program asks a network, or runs others.
fn workflows(lab: &Lab) -> Result<Tally> {
    let dangers = ["--offline", "--no-progress", "--strict-collection", WORKFLOWS];
    let others = ["-shellcheck=", "-pyflakes="];
    let looks = [command(ZIZMOR.bring(lab)?, dangers), command(ACTIONLINT.bring(lab)?, others)];
    Ok(looks.into_iter().map(|mut look| passes(look.current_dir(lab.checkout()))).sum())
}

/// One test: whether a program finds nothing.
fn passes(look: &mut Command) -> Tally {
    let looked = quiet(look);
    looked.as_ref().err().into_iter().for_each(|error| say(&format!("{error:#}")));
    Tally::one(looked.is_ok())
}

/// It is well-formed, and written as Homebrew writes its own.
fn formula(lab: &Lab) -> Result<Tally> {
    packages::rubocop()?;
    let mut look = command("rubocop", ["--format", "simple", "--cache", "false", "--config", STYLE, FORMULA]);
    Ok(passes(look.current_dir(lab.checkout())))
}

/// Each source, what they say together, and the package's version are a test each.
fn flake(lab: &Lab) -> Result<Tally> {
    let nix = |words: &[&str]| {
        let mut nix = command("nix-instantiate", ["--store", "dummy://"]);
        text(nix.args(words).current_dir(lab.checkout()))
    };
    let mut tally = Tally::default();
    for source in SOURCES {
        let parsed = nix(&["--parse", source]);
        parsed.as_ref().err().into_iter().for_each(|error| say(&format!("{error:#}")));
        tally.add(Tally::one(parsed.is_ok()));
    }
    let mut said: Value = serde_json::from_str(&nix(&["--eval", "--strict", "--json", EXPRESSION])?)?;
    let version = said["package"].as_object_mut().and_then(|package| package.remove("version"));
    tally.add(Tally::one(version == Some(env!("CARGO_PKG_VERSION").into())));
    let expected = std::fs::read_to_string(lab.checkout().join(EXPECTED))
        .with_context(|| format!("cannot read {EXPECTED}"))?;
    let alike = said == serde_json::from_str::<Value>(&expected)?;
    if !alike {
        say(&format!("not what is in {EXPECTED}:\n{}", serde_json::to_string_pretty(&said)?));
    }
    tally.add(Tally::one(alike));
    Ok(tally)
}
