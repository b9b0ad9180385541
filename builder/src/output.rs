//! A build's outputs: taken from the host side of its scratch, checked, made canonical, hashed, scanned for
//! references, moved into the store and registered.
//!
//! The tree was written by a build that may be hostile. No process of it is left and no other user can reach it, but
//! still every step goes from a directory's descriptor to a name in it and follows no link.

mod canonicalise;
mod checks;
mod fixed;
mod nar;
mod place;
mod scan;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::Mode;
use sha2::{Digest, Sha256};

use crate::plan::{Plan, PlannedOutput};
use crate::store::{PathInfo, Store, StoreError};
use crate::store_path::StorePath;

pub use canonicalise::Canonicaliser;
pub use checks::CheckError;
pub use fixed::FixedError;
pub use nar::write as write_nar;
pub use scan::ReferenceScanner;
pub use tree::{Kind, TreeError};

/// Why a build's outputs are not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The directory that outputs are in cannot be opened.
    #[error("cannot open {path:?}, where the outputs should be")]
    Open {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The builder ended well, but an output is not there.
    #[error(
        "builder for '{}' failed to produce output path for output '{output}' at {path:?}", derivation.display()
    )]
    Missing {
        /// The derivation.
        derivation: PathBuf,
        /// The output's name.
        output: String,
        /// Where it should be.
        path: PathBuf,
    },
    /// Somebody else than the build could have written it.
    #[error(
        "suspicious ownership or permission on {path:?} for output '{output}'; rejecting this build output (uid {uid}, mode {mode:o})"
    )]
    Suspicious {
        /// Where it would be.
        path: PathBuf,
        /// The output's name.
        output: String,
        /// Its owner.
        uid: u32,
        /// Its mode.
        mode: u32,
    },
    /// Something in it cannot be in a store, or cannot be read.
    #[error("the output '{output}' cannot be taken")]
    Tree {
        /// The output's name.
        output: String,
        /// What and why.
        source: TreeError,
    },
    /// The contents are not what they have to be.
    #[error(transparent)]
    Fixed(#[from] FixedError),
    /// It is not what the derivation demands.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The store did not say what the outputs need.
    #[error("cannot find out what the outputs need")]
    Closure(#[source] StoreError),
    /// Outputs refer to each other in a circle.
    #[error(
        "cycle detected in build of '{}' in the references of output '{first}' from output '{second}'",
        derivation.display()
    )]
    Cycle {
        /// The derivation.
        derivation: PathBuf,
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// It could not be moved into the store.
    #[error("cannot move the output '{output}' into the store")]
    Move {
        /// The output's name.
        output: String,
        /// Why.
        source: io::Error,
    },
    /// The store would not register them.
    #[error("cannot register the outputs")]
    Register(#[source] StoreError),
}

/// Takes the outputs of a build that ended well: checks them all before the first one is moved. Returns what has been
/// registered, by output name. The caller holds the locks of the outputs' paths.
///
/// # Errors
/// The first thing that is wrong; then nothing has been registered and nothing is left in the store.
pub fn take(
    plan: &Plan,
    store: &Store,
    already_valid: &BTreeSet<StorePath>,
) -> Result<BTreeMap<String, PathInfo>, OutputError> {
    let scratch = open_directory(&plan.scratch.store)?;
    // Shared between the outputs, since a file may be hard-linked into several.
    let mut canonicaliser = Canonicaliser::new(plan.user.uid);
    let wanted: Vec<&PlannedOutput> =
        plan.outputs.iter().filter(|output| !already_valid.contains(&output.path)).collect();
    for output in &wanted {
        check_owner(&scratch, output, plan, store)?;
        let in_tree = |source| OutputError::Tree { output: output.name.clone(), source };
        canonicaliser.run(&scratch, output.path.base()).map_err(in_tree)?;
    }
    let mut infos = BTreeMap::new();
    for output in &wanted {
        let info = inspect(&scratch, output, plan)?;
        fixed::check(&scratch, output, &info, &plan.derivation)?;
        infos.insert(output.name.clone(), info);
    }
    no_cycle(&infos, &store.locate(&plan.derivation))?;
    check(&wanted, &infos, store)?;
    let moved = place::move_in(&scratch, &wanted, store)?;
    let list: Vec<PathInfo> = infos.values().cloned().collect();
    store.register(&list).map_err(OutputError::Register)?;
    moved.keep();
    Ok(infos)
}

fn open_directory(path: &Path) -> Result<OwnedFd, OutputError> {
    nix::fcntl::open(path, tree::DIRECTORY, Mode::empty())
        .map_err(|error| OutputError::Open { path: path.into(), source: error.into() })
}

fn check_owner(
    scratch: &OwnedFd,
    output: &PlannedOutput,
    plan: &Plan,
    store: &Store,
) -> Result<(), OutputError> {
    const WRITABLE_BY_OTHERS: u32 = 0o022;
    let stat = match tree::stat(scratch, output.path.base().as_ref()) {
        Err(Errno::ENOENT) => {
            return Err(OutputError::Missing {
                derivation: store.locate(&plan.derivation),
                output: output.name.clone(),
                path: store.locate(&output.path),
            });
        }
        other => other.map_err(|error| OutputError::Tree {
            output: output.name.clone(),
            source: TreeError::new(output.path.base().as_ref(), "look at", error),
        })?,
    };
    #[allow(clippy::unnecessary_cast, reason = "mode_t has 16 bits on macOS")]
    let (kind, mode) = (Kind::of(&stat), stat.st_mode as u32 & 0o7777);
    if stat.st_uid != plan.user.uid || (kind != Kind::Symlink && mode & WRITABLE_BY_OTHERS != 0) {
        let path = store.locate(&output.path);
        return Err(OutputError::Suspicious { path, output: output.name.clone(), uid: stat.st_uid, mode });
    }
    Ok(())
}

/// Hashes an output and finds its references in one reading of its archive.
fn inspect(scratch: &OwnedFd, output: &PlannedOutput, plan: &Plan) -> Result<PathInfo, OutputError> {
    let mut inspector =
        Inspector { hash: Sha256::new(), size: 0, references: ReferenceScanner::new(&plan.may_refer_to) };
    write_nar(scratch, output.path.base(), &mut inspector)
        .map_err(|source| OutputError::Tree { output: output.name.clone(), source })?;
    Ok(PathInfo {
        path: output.path.clone(),
        nar_hash: data_encoding::HEXLOWER.encode(&inspector.hash.finalize()),
        nar_size: inspector.size,
        deriver: Some(plan.derivation.clone()),
        references: if output.discard_references { BTreeSet::new() } else { inspector.references.found() },
    })
}

struct Inspector {
    hash: Sha256,
    size: u64,
    references: ReferenceScanner,
}

impl io::Write for Inspector {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        self.references.feed(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Checks what the derivation demands of its outputs.
fn check(
    outputs: &[&PlannedOutput],
    infos: &BTreeMap<String, PathInfo>,
    store: &Store,
) -> Result<(), OutputError> {
    let new: BTreeMap<&StorePath, &PathInfo> = infos.values().map(|info| (&info.path, info)).collect();
    let mut valid = BTreeMap::new();
    if outputs.iter().any(|output| output.checks.need_closure()) {
        let references = infos.values().flat_map(|info| &info.references);
        let others = references.filter(|path| !new.contains_key(path)).cloned().collect();
        let closure = store.closure(&others).map_err(OutputError::Closure)?;
        valid = store.infos(&closure).map_err(OutputError::Closure)?;
    }
    let known = checks::Known { store: store.directory(), new, valid };
    for output in outputs {
        if let Some(info) = infos.get(&output.name) {
            known.check(output, info)?;
        }
    }
    Ok(())
}

/// Store paths never refer to each other in a circle; the database would refuse it, with less to say.
fn no_cycle(infos: &BTreeMap<String, PathInfo>, derivation: &Path) -> Result<(), OutputError> {
    let closures: BTreeMap<&str, BTreeSet<&str>> =
        infos.keys().map(|name| (name.as_str(), reachable(name, infos))).collect();
    for (first, others) in &closures {
        if let Some(second) = others.iter().find(|other| *other != first && closures[**other].contains(first))
        {
            let (first, second) = ((*first).into(), (*second).into());
            return Err(OutputError::Cycle { derivation: derivation.into(), first, second });
        }
    }
    Ok(())
}

/// The outputs that an output refers to, by way of others too.
fn reachable<'a>(from: &'a str, infos: &'a BTreeMap<String, PathInfo>) -> BTreeSet<&'a str> {
    let mut left = vec![from];
    let mut reached = BTreeSet::new();
    while let Some(name) = left.pop() {
        for (other, info) in infos {
            if infos[name].references.contains(&info.path) && other != name && reached.insert(other.as_str())
            {
                left.push(other);
            }
        }
    }
    reached
}
