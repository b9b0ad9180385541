//! Texts that others write: views, declarations, descriptions of builds, policies, what Nix says to its build hook, and words of the
//! command line. Each is refused or understood, and what was understood is read again from what is printed of it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::panic::catch_unwind;
use std::path::Path;

use anyhow::Result;
use builder::build_hook::Connection;
use builder::external::Description;
use nfs_server::view::ViewSpec;
use sandbox::command::{BindSpec, Declaration, Link};
use sandbox::conditions::Fault;
use sandbox::daemon::Policy;

use super::Run;
use super::corpus::Texts;
use crate::lab::remove;

/// A kind of text.
struct Kind {
    name: &'static str,
    /// Its directory in the corpus.
    directory: &'static str,
    /// Whether what was understood is the same when it is printed and read again; nothing for what was refused. The path is for
    /// what is read from files.
    reads_back: fn(&Path, &[u8]) -> Option<bool>,
}

const KINDS: [Kind; 8] = [
    Kind { name: "a view", directory: "view", reads_back: view },
    Kind { name: "a declaration", directory: "declaration", reads_back: declaration },
    Kind { name: "a description of a build", directory: "description", reads_back: description },
    Kind { name: "a policy", directory: "policy", reads_back: policy },
    Kind { name: "what Nix says to its build hook", directory: "hook", reads_back: hook },
    Kind { name: "a fault", directory: "fault", reads_back: fault },
    Kind { name: "a path to show", directory: "path", reads_back: bind },
    Kind { name: "a symbolic link to show", directory: "link", reads_back: link },
];

/// Goes on until the time is over, with one kind after the other.
pub fn run(run: &mut Run) -> Result<()> {
    let file = run.lab.path(&format!("fuzz/text-{}", std::process::id()))?;
    let all_seeds =
        KINDS.iter().map(|kind| seeds(run.lab.checkout(), kind, &file)).collect::<Result<Vec<_>>>()?;
    'time: loop {
        for (Kind { name, reads_back, .. }, seeds) in KINDS.iter().zip(&all_seeds) {
            let Some(input) = run.next(seeds) else { break 'time };
            match catch_unwind(|| reads_back(&file, &input)) {
                Ok(None | Some(true)) => {}
                Ok(Some(false)) => drop(run.keep(&input, &format!("{name}: printed, it is another"))?),
                Err(_) => drop(run.keep(&input, &format!("{name}: who reads it panicked"))?),
            }
        }
    }
    remove(&file)
}

/// The corpus of a kind, once it is seen to be understood and refused as it should.
fn seeds(checkout: &Path, kind: &Kind, file: &Path) -> Result<Vec<Vec<u8>>> {
    let texts = Texts::read(checkout, kind.directory)?;
    texts.check(|text| (kind.reads_back)(file, text))?;
    Ok(texts.into_seeds())
}

fn view(_: &Path, input: &[u8]) -> Option<bool> {
    let spec: ViewSpec = serde_json::from_slice(input).ok()?;
    // Whether it can be served or not is said, and does not change it.
    let _ = spec.validate();
    let printed = serde_json::to_vec(&spec).expect("what was read can be printed");
    Some(serde_json::from_slice::<ViewSpec>(&printed).is_ok_and(|again| again == spec))
}

fn declaration(file: &Path, input: &[u8]) -> Option<bool> {
    write(file, input);
    let declared = Declaration::read(file).ok()?;
    declared.write(file).expect("what was read can be written");
    Some(Declaration::read(file).is_ok_and(|again| again == declared))
}

/// Nobody but Nix writes these.
fn description(file: &Path, input: &[u8]) -> Option<bool> {
    write(file, input);
    Description::read(file).ok().map(|_| true)
}

/// Nobody but people write these: the same text says the same.
fn policy(file: &Path, input: &[u8]) -> Option<bool> {
    write(file, input);
    let policy = Policy::read(file).ok()?;
    Some(Policy::read(file).is_ok_and(|again| again == policy))
}

/// All that Nix says, until it says no more.
fn hook(_: &Path, input: &[u8]) -> Option<bool> {
    let mut connection = Connection::new(input, io::sink());
    connection.settings().ok()?;
    while connection.offer().ok()?.is_some() {}
    Some(true)
}

fn fault(_: &Path, input: &[u8]) -> Option<bool> {
    let fault: Fault = std::str::from_utf8(input).ok()?.parse().ok()?;
    let printed = fault.to_string();
    Some(printed.parse::<Fault>().is_ok_and(|again| again.to_string() == printed))
}

fn bind(_: &Path, input: &[u8]) -> Option<bool> {
    let bind = BindSpec::from(word(input)?);
    Some(BindSpec::from(bind.word()) == bind)
}

fn link(_: &Path, input: &[u8]) -> Option<bool> {
    let link = Link::try_from(word(input)?).ok()?;
    Some(Link::try_from(link.word()).is_ok_and(|again| again == link))
}

/// A word of a command line, which may have any byte but the one that ends it.
fn word(input: &[u8]) -> Option<OsString> {
    (!input.contains(&0)).then(|| OsString::from_vec(input.into()))
}

fn write(file: &Path, input: &[u8]) {
    fs::write(file, input).expect("the lab can be written");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Lab;

    #[test]
    fn the_corpus_is_understood_and_refused() {
        let lab = Lab::open().expect("the lab can be made");
        let file = tempfile::NamedTempFile::new().expect("a file can be made");
        for kind in &KINDS {
            seeds(lab.checkout(), kind, file.path()).unwrap_or_else(|error| panic!("{error:#}"));
        }
    }
}
