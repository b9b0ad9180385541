//! Checks outputs whose contents are known before the build.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use sha2::digest::DynDigest;

use super::tree::{self, Kind};
use super::{OutputError, TreeError, write_nar};
use crate::derivation::FixedHash;
use crate::plan::PlannedOutput;
use crate::store::PathInfo;
use crate::store_path::StorePath;

/// What is wrong with the contents.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FixedError {
    /// The contents are others.
    #[error(
        "hash mismatch in fixed-output derivation '{derivation}':\n  specified: {specified}\n     got:    {got}"
    )]
    Mismatch {
        /// The derivation.
        derivation: StorePath,
        /// The hash that the contents should have.
        specified: String,
        /// The one that they have.
        got: String,
    },
    /// A hash of a file's bytes alone does not cover directories and modes.
    #[error(
        "output path '{path}' should be a non-executable regular file since recursive hashing is not enabled"
    )]
    NotFlat {
        /// The output.
        path: StorePath,
    },
    /// The hash function is not known.
    #[error("the hash function '{algorithm}' is not known")]
    Algorithm {
        /// Its name.
        algorithm: String,
    },
    /// Fixed contents must not depend on where other things are.
    #[error(
        "fixed output derivation '{derivation}' is not allowed to refer to other store paths: {}", references.join(", ")
    )]
    References {
        /// The derivation.
        derivation: StorePath,
        /// What it refers to.
        references: Vec<String>,
    },
}

/// Checks an output, which has to be canonical already.
pub(super) fn check(
    scratch: &OwnedFd,
    output: &PlannedOutput,
    info: &PathInfo,
    derivation: &StorePath,
) -> Result<(), OutputError> {
    let Some(fixed) = &output.fixed else { return Ok(()) };
    if !info.references.is_empty() {
        let references = info.references.iter().map(ToString::to_string).collect();
        return Err(FixedError::References { derivation: derivation.clone(), references }.into());
    }
    let got = hash(scratch, output, fixed)?;
    let specified = HEXLOWER_PERMISSIVE.decode(fixed.hash.as_bytes()).unwrap_or_default();
    if got != specified {
        let shown = |digest: &[u8]| format!("{}-{}", fixed.algorithm, BASE64.encode(digest));
        return Err(FixedError::Mismatch {
            derivation: derivation.clone(),
            specified: if specified.is_empty() { fixed.hash.clone() } else { shown(&specified) },
            got: shown(&got),
        }
        .into());
    }
    Ok(())
}

fn hash(scratch: &OwnedFd, output: &PlannedOutput, fixed: &FixedHash) -> Result<Vec<u8>, OutputError> {
    let in_tree = |source| OutputError::Tree { output: output.name.clone(), source };
    let mut hasher = Hasher(hasher(&fixed.algorithm)?);
    let name = output.path.base();
    if fixed.recursive {
        write_nar(scratch, name, &mut hasher).map_err(in_tree)?;
    } else {
        let failed = |verb, error: io::Error| in_tree(TreeError::new(name.as_ref(), verb, error));
        let stat = tree::stat(scratch, name.as_ref()).map_err(|error| failed("look at", error.into()))?;
        if Kind::of(&stat) != Kind::File || stat.st_mode & 0o111 != 0 {
            return Err(FixedError::NotFlat { path: output.path.clone() }.into());
        }
        let mut file = File::from(tree::open(scratch, name.as_ref(), &stat, name.as_ref()).map_err(in_tree)?);
        io::copy(&mut file, &mut hasher).map_err(|error| failed("read", error))?;
    }
    Ok(hasher.0.finalize().into_vec())
}

fn hasher(algorithm: &str) -> Result<Box<dyn DynDigest>, FixedError> {
    match algorithm {
        "md5" => Ok(Box::new(md5::Md5::default())),
        "sha1" => Ok(Box::new(sha1::Sha1::default())),
        "sha256" => Ok(Box::new(sha2::Sha256::default())),
        "sha512" => Ok(Box::new(sha2::Sha512::default())),
        _ => Err(FixedError::Algorithm { algorithm: algorithm.into() }),
    }
}

struct Hasher(Box<dyn DynDigest>);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
