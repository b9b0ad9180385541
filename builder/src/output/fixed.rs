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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;
    use crate::plan::OutputChecks;

    fn path(name: &str) -> StorePath {
        StorePath::new(&format!("{}-{name}", "a".repeat(32))).unwrap()
    }

    /// A directory with an output `out` in it, a file that says "hello".
    fn world() -> TempDir {
        let world = tempfile::tempdir().unwrap();
        fs::write(world.path().join(path("out").base()), "hello").unwrap();
        world
    }

    /// What is wrong with it, if it is to have this hash and has these references.
    fn problem(world: &TempDir, recursive: bool, hash: (&str, &str), references: &[&str]) -> Option<String> {
        let scratch: OwnedFd = File::open(world.path()).unwrap().into();
        let (algorithm, hash) = hash;
        let output = PlannedOutput {
            name: "out".into(),
            path: path("out"),
            fixed: Some(FixedHash { recursive, algorithm: algorithm.into(), hash: hash.into() }),
            checks: OutputChecks::default(),
            discard_references: false,
        };
        let references: BTreeSet<StorePath> = references.iter().map(|name| path(name)).collect();
        let info =
            PathInfo { path: path("out"), nar_hash: String::new(), nar_size: 0, deriver: None, references };
        check(&scratch, &output, &info, &path("x.drv")).err().map(|error| error.to_string())
    }

    #[test]
    fn every_hash_function_of_nix_is_known_and_no_other() {
        let world = world();
        let flat = |algorithm, hash| problem(&world, false, (algorithm, hash), &[]);
        for (algorithm, hash) in [
            ("md5", "5d41402abc4b2a76b9719d911017c592"),
            ("sha1", "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"),
            ("sha256", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"),
            (
                "sha512",
                "9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca7\
                 2323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043",
            ),
        ] {
            assert_eq!(flat(algorithm, hash), None, "{algorithm}");
        }
        assert_eq!(flat("sha3", "00").unwrap(), "the hash function 'sha3' is not known");
    }

    #[test]
    fn a_mismatch_is_told_in_nix_s_words_and_a_hash_that_is_none_as_it_stands() {
        let world = world();
        insta::assert_snapshot!(problem(&world, false, ("md5", "00000000000000000000000000000000"), &[]).unwrap(), @"
        hash mismatch in fixed-output derivation 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-x.drv':
          specified: md5-AAAAAAAAAAAAAAAAAAAAAA==
             got:    md5-XUFAKrxLKna5cZ2REBfFkg==
        ");
        let odd = problem(&world, false, ("md5", "no hash"), &[]).unwrap();
        assert_eq!(odd.lines().nth(1), Some("  specified: no hash"));
    }

    #[test]
    fn a_recursive_hash_is_of_the_archive_and_so_of_directories_and_modes_too() {
        const OF_THE_ARCHIVE: &str = "0a430879c266f8b57f4092a0f935cf3facd48bbccde5760d4748ca405171e969";
        let world = world();
        let recursive = || problem(&world, true, ("sha256", OF_THE_ARCHIVE), &[]);
        assert_eq!(recursive(), None);
        let file = world.path().join(path("out").base());
        fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
        assert!(recursive().unwrap().starts_with("hash mismatch"));
    }

    #[test]
    fn a_flat_hash_is_of_a_file_that_nobody_executes() {
        let world = world();
        let flat = || problem(&world, false, ("md5", "5d41402abc4b2a76b9719d911017c592"), &[]);
        let file = world.path().join(path("out").base());
        let refused = "output path 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-out' should be a non-executable regular file \
                       since recursive hashing is not enabled";
        fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(flat().unwrap(), refused);
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert_eq!(flat().unwrap(), refused);
        fs::remove_dir(&file).unwrap();
        assert_eq!(flat().unwrap(), "the output 'out' cannot be imported into the store");
    }

    #[test]
    fn references_are_refused_whatever_the_contents_are() {
        let world = world();
        let known = ("md5", "5d41402abc4b2a76b9719d911017c592");
        assert_eq!(
            problem(&world, false, known, &["b", "c"]).unwrap(),
            "fixed output derivation 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-x.drv' is not allowed to refer to other store \
             paths: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-b, aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-c"
        );
    }
}
