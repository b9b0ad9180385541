//! The environment of a build, in the order in which Nix lets one part override another, and the files that go
//! with it.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::placeholders::Rewrites;
use super::{PlanError, Request, Word, graphs, structured};
use crate::derivation::Attributes;
use crate::nix32;

/// The variables and files of a build.
pub(super) struct Environment {
    pub variables: BTreeMap<Word, Word>,
    pub files: BTreeMap<String, Word>,
}

pub(super) fn environment(
    request: &Request<'_>,
    attributes: &Attributes<'_>,
    rewrites: &Rewrites,
) -> Result<Environment, PlanError> {
    let top = request.settings.sandbox_build_dir.as_path();
    let mut made = Environment { variables: BTreeMap::new(), files: BTreeMap::new() };
    made.set("PATH", "/path-not-set");
    made.set("HOME", "/homeless-shelter");
    made.set("NIX_STORE", request.store);
    made.set("NIX_BUILD_CORES", cores(request).to_string());
    match attributes.structured() {
        Some(_) => add_structured(&mut made, request, attributes, rewrites)?,
        None => add_plain(&mut made, request, attributes, rewrites)?,
    }
    for name in ["NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "TMP", "TEMP", "PWD"] {
        made.set(name, top);
    }
    if request.derivation.is_fixed() {
        // Told to fetchers of old, so that they need not check what Nix checks anyway.
        made.set("NIX_OUTPUT_CHECKED", "1");
        for name in attributes.words("impureEnvVars")? {
            let value = request.host.environment.get(&name).cloned().unwrap_or_default();
            made.variables.insert(Word::from(name), Word::from(value.into_encoded_bytes()));
        }
    }
    made.set("NIX_LOG_FD", "2");
    made.set("TERM", "xterm-256color");
    Ok(made)
}

impl Environment {
    fn set(&mut self, name: &str, value: impl Into<Word>) {
        self.variables.insert(Word::from(name), value.into());
    }
}

fn cores(request: &Request<'_>) -> u32 {
    match request.cores.unwrap_or(request.settings.cores) {
        0 => request.host.processors,
        cores => cores,
    }
}

fn add_plain(
    made: &mut Environment,
    request: &Request<'_>,
    attributes: &Attributes<'_>,
    rewrites: &Rewrites,
) -> Result<(), PlanError> {
    let as_file = attributes.words("passAsFile")?;
    for (name, value) in &request.derivation.environment {
        let value = Word::from(rewrites.apply(value));
        if !as_file.iter().any(|file| file.as_bytes() == name.as_ref()) {
            made.variables.insert(Word::from(name.to_vec()), value);
            continue;
        }
        let file = format!(".attr-{}", nix32::encode(&Sha256::digest(name)));
        let place = request.settings.sandbox_build_dir.join(&file);
        made.variables.insert(Word::from([name, &b"Path"[..]].concat()), Word::from(place.as_path()));
        made.files.insert(file, value);
    }
    for (name, paths) in graphs::asked(request, attributes)? {
        made.files.insert(name, Word::from(graphs::registration(request, &paths)));
    }
    Ok(())
}

fn add_structured(
    made: &mut Environment,
    request: &Request<'_>,
    attributes: &Attributes<'_>,
    rewrites: &Rewrites,
) -> Result<(), PlanError> {
    let json = structured::json(request, attributes)?;
    let top = &request.settings.sandbox_build_dir;
    for (variable, file, text) in [
        ("NIX_ATTRS_SH_FILE", ".attrs.sh", structured::shell(&json)),
        ("NIX_ATTRS_JSON_FILE", ".attrs.json", structured::print(&json)),
    ] {
        made.set(variable, top.join(file).as_path());
        made.files.insert(file.into(), Word::from(rewrites.apply(text.as_bytes())));
    }
    Ok(())
}
