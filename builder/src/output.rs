//! A build's outputs: taken from the host side of its scratch, checked, made canonical, hashed, scanned for
//! references, moved into the store and registered.
//!
//! The tree was written by a build that may be hostile. No process of it is left and no other user can reach it, but
//! still every step goes from a directory's descriptor to a name in it and follows no link.

mod canonicalise;
mod checks;
mod cycle;
mod diff;
mod fixed;
mod mac_artifacts;
mod nar;
mod place;
mod registrations;
mod renew;
mod scan;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use defences::Defence;
use nix::errno::Errno;
use nix::sys::stat::Mode;
use sha2::{Digest, Sha256};

use crate::plan::{Plan, PlannedOutput};
use crate::store::{PathInfo, RegisterWhen, Store, StoreError};
use crate::store_path::StorePath;

pub use canonicalise::Canonicaliser;
pub use checks::CheckError;
pub use diff::{Difference, DifferenceKind, Differences, compare as compare_trees};
pub use fixed::FixedError;
pub use nar::write as write_nar;
pub use place::ReplacePolicy;
pub use renew::Renewer;
pub(crate) use renew::copy_all;
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
        /// The I/O error.
        source: io::Error,
    },
    /// The directory for copies of the outputs cannot be made, or what was kept in it meanwhile not be removed.
    #[error("cannot copy the outputs to {path:?}")]
    Copies {
        /// The directory.
        path: PathBuf,
        /// The I/O error.
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
    #[error("the output '{output}' cannot be imported into the store")]
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
        /// The other output.
        second: String,
    },
    /// It was built again, and is not the same.
    #[error("{}", not_deterministic(derivation, outputs))]
    NotDeterministic {
        /// The derivation.
        derivation: PathBuf,
        /// The outputs that differ.
        outputs: Vec<OutputMismatch>,
    },
    /// The outputs that are there could not be asked for.
    #[error("cannot find out what the outputs were")]
    Registered(#[source] StoreError),
    /// It could not be compared with what is there.
    #[error("cannot compare the output '{output}' with what is there")]
    Compare {
        /// The output's name.
        output: String,
        /// The I/O error.
        source: io::Error,
    },
    /// It could not be moved into the store.
    #[error("cannot move the output '{output}' into the store")]
    Move {
        /// The output's name.
        output: String,
        /// The I/O error.
        source: io::Error,
    },
    /// The store would not register them.
    #[error("cannot register the outputs")]
    Register(#[source] StoreError),
}

/// The outputs of a build that ended well: canonical, hashed and checked, but not in the store.
#[derive(Debug)]
pub struct StagedOutputs<'a> {
    store: &'a Store,
    /// Where they are.
    directory: PathBuf,
    scratch: OwnedFd,
    wanted: Vec<&'a PlannedOutput>,
    infos: BTreeMap<String, PathInfo>,
}

impl<'a> StagedOutputs<'a> {
    /// Looks at all outputs but some that are not wanted, or at copies of them in a new directory: where others may have been
    /// given descriptors of what the build wrote. The caller holds the locks of the outputs' paths.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn inspect(
        plan: &'a Plan,
        store: &'a Store,
        unwanted: &BTreeSet<StorePath>,
        copies: Option<&Path>,
    ) -> Result<StagedOutputs<'a>, OutputError> {
        let written = open_directory(&plan.scratch.store)?;
        let wanted: Vec<&PlannedOutput> =
            plan.outputs.iter().filter(|output| !unwanted.contains(&output.path)).collect();
        for output in &wanted {
            check_owner(&written, output, plan, store)?;
        }
        let (directory, scratch) = match copies {
            Some(copies) if Defence::OutputCopies.stands() => {
                (copies.into(), copy_all(&wanted, plan, copies)?)
            }
            _ => (plan.scratch.store.clone(), written),
        };
        // Shared between the outputs, since a file may be hard-linked into several.
        let mut canonicaliser = Canonicaliser::new(plan.jail.user.uid);
        for output in &wanted {
            let in_tree = |source| OutputError::Tree { output: output.name.clone(), source };
            canonicaliser.run(&scratch, output.path.base()).map_err(in_tree)?;
        }
        let mut infos = BTreeMap::new();
        for output in &wanted {
            let info = inspect(&scratch, output, plan)?;
            fixed::check(&scratch, output, &info, &plan.derivation)?;
            infos.insert(output.name.clone(), info);
        }
        cycle::check(&infos, &store.locate(&plan.derivation))?;
        check(&wanted, &infos, store)?;
        Ok(StagedOutputs { store, directory, scratch, wanted, infos })
    }

    /// Moves them into the store and registers them; what has been registered, by output name.
    ///
    /// # Errors
    /// When that is not possible. Nothing has been registered then, and the store is as it was.
    pub fn register(
        self,
        existing: ReplacePolicy,
        when: RegisterWhen,
    ) -> Result<BTreeMap<String, PathInfo>, OutputError> {
        let moved = place::move_into_store(&self.scratch, &self.wanted, self.store, existing)?;
        let registrations = self.registrations();
        let registered = match existing {
            ReplacePolicy::Remove => self.store.register(registrations, when),
            ReplacePolicy::Exchange => self.store.register_again(registrations),
        };
        registered.map_err(OutputError::Register)?;
        moved.keep();
        Ok(self.infos)
    }

    /// Compares them with those of the store. Those that differ are kept beside them when `keep` says so.
    ///
    /// # Errors
    /// When the store or an output cannot be read; [`OutputError::NotDeterministic`] is for the caller to make.
    pub fn differing(&self, keep: bool) -> Result<Vec<OutputMismatch>, OutputError> {
        let paths = self.wanted.iter().map(|output| output.path.clone()).collect();
        let registered = self.store.infos(&paths).map_err(OutputError::Registered)?;
        let mut differing = Vec::new();
        for output in &self.wanted {
            let same = registered.get(&output.path).map(|info| &info.nar_hash)
                == self.infos.get(&output.name).map(|info| &info.nar_hash);
            if !same {
                differing.push(self.compare(output, keep)?);
            }
        }
        Ok(differing)
    }

    /// What they are, by output name.
    #[must_use]
    pub fn infos(&self) -> &BTreeMap<String, PathInfo> {
        &self.infos
    }

    /// The directory that they are in.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn compare(&self, output: &PlannedOutput, keep: bool) -> Result<OutputMismatch, OutputError> {
        let failed = |source| OutputError::Compare { output: output.name.clone(), source };
        let before = self.store.locate(&output.path);
        let now = output.path.within(&self.directory);
        let differences = diff::compare(&before, &now).map_err(failed)?;
        let kept = keep.then(|| PathBuf::from(format!("{}.check", before.display())));
        if let Some(kept) = &kept {
            sandbox::tree::remove(kept).and_then(|_| std::fs::rename(&now, kept)).map_err(failed)?;
        }
        Ok(OutputMismatch { path: before, kept, differences })
    }
}

/// Whether a valid path is still what it was when it was registered.
///
/// # Errors
/// When the store cannot be opened. What cannot be read as a store path is not what it was.
pub fn is_whole(store: &Store, info: &PathInfo) -> Result<bool, OutputError> {
    let directory = open_directory(store.directory())?;
    let mut hasher = Inspector { hash: Sha256::new(), size: 0, references: ReferenceScanner::new([]) };
    let read = write_nar(&directory, info.path.base(), &mut hasher);
    Ok(read.is_ok() && data_encoding::HEXLOWER.encode(&hasher.hash.finalize()) == info.nar_hash)
}

/// An output that is not what it was.
#[derive(Clone, Debug, serde::Serialize)]
pub struct OutputMismatch {
    /// The output.
    pub path: PathBuf,
    /// Where the new one is kept.
    pub kept: Option<PathBuf>,
    /// How they differ.
    pub differences: Differences,
}

fn not_deterministic(derivation: &Path, outputs: &[OutputMismatch]) -> String {
    let sentence = |output: &OutputMismatch| {
        let from = output.kept.as_ref().map(|kept| format!(" from '{}'", kept.display())).unwrap_or_default();
        format!(
            "derivation '{}' may not be deterministic: output '{}' differs{from}{}",
            derivation.display(),
            output.path.display(),
            output.differences
        )
    };
    outputs.iter().map(sentence).collect::<Vec<_>>().join("\n")
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
    if stat.st_uid != plan.jail.user.uid || (kind != Kind::Symlink && mode & WRITABLE_BY_OTHERS != 0) {
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
    let known = checks::PathInfos { store: store.directory(), new, valid };
    for output in outputs {
        if let Some(info) = infos.get(&output.name) {
            known.check(output, info)?;
        }
    }
    Ok(())
}
