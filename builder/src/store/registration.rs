//! What is written down of a path that becomes valid: what is known of it, and why it may be trusted.

use std::io;
#[cfg(target_os = "linux")]
use std::path::Path;
use std::path::PathBuf;

#[cfg(target_os = "linux")]
use data_encoding::BASE64;

use super::PathInfo;
use crate::derivation::FixedHash;
use crate::nix32;

/// A path that becomes valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// What is known of it.
    pub info: PathInfo,
    /// Whether it was built on this machine, which needs no signature then.
    pub ultimate: bool,
    /// Signatures, each as `NAME:BASE64`.
    pub signatures: Vec<String>,
    /// How its name follows from its contents, as Nix writes it (`fixed:r:sha256:…`).
    pub content_address: Option<String>,
}

/// A secret key could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It cannot be read.
    #[error("cannot read the secret key {path:?} (setting 'secret-key-files')")]
    Read {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// It is none.
    #[error("{path:?} (setting 'secret-key-files') is not a secret key of the form NAME:BASE64")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

impl Registration {
    /// Of an output that was built here, and is what it has to be.
    #[must_use]
    pub fn of_output(info: PathInfo, fixed: Option<&FixedHash>) -> Registration {
        let content_address = fixed.and_then(content_address);
        Registration { info, ultimate: true, signatures: Vec::new(), content_address }
    }

    /// The signatures as the database has them; nothing when there are none.
    #[must_use]
    pub fn signatures_as_text(&self) -> Option<String> {
        (!self.signatures.is_empty()).then(|| self.signatures.join(" "))
    }

    /// What is signed of a path: its name, contents and references (`ValidPathInfo::fingerprint` in Nix).
    #[cfg(target_os = "linux")]
    fn fingerprint(&self, store: &Path) -> String {
        let PathInfo { path, nar_hash, nar_size, references, .. } = &self.info;
        let digest = data_encoding::HEXLOWER_PERMISSIVE.decode(nar_hash.as_bytes()).unwrap_or_default();
        let references: Vec<String> =
            references.iter().map(|path| path.within(store).display().to_string()).collect();
        format!(
            "1;{};sha256:{};{nar_size};{}",
            path.within(store).display(),
            nix32::encode(&digest),
            references.join(",")
        )
    }

    /// Signs it with a key from a file.
    ///
    /// # Errors
    /// When the file is missing or holds no key.
    #[cfg(target_os = "linux")]
    pub fn sign(&mut self, key: &Path, store: &Path) -> Result<(), KeyError> {
        use ed25519_dalek::{Signer, SigningKey};
        let text =
            std::fs::read_to_string(key).map_err(|source| KeyError::Read { path: key.into(), source })?;
        let malformed = || KeyError::Malformed { path: key.into() };
        let (name, secret) = text.trim().split_once(':').ok_or_else(malformed)?;
        let secret = BASE64.decode(secret.as_bytes()).map_err(|_| malformed())?;
        let secret = secret.try_into().map_err(|_| malformed())?;
        let secret = SigningKey::from_keypair_bytes(&secret).map_err(|_| malformed())?;
        let signature = secret.sign(self.fingerprint(store).as_bytes());
        self.signatures.push(format!("{name}:{}", BASE64.encode(&signature.to_bytes())));
        Ok(())
    }
}

/// `fixed:`, `r:` for a whole tree, the hash function, and the hash in base 32.
fn content_address(fixed: &FixedHash) -> Option<String> {
    let digest = data_encoding::HEXLOWER_PERMISSIVE.decode(fixed.hash.as_bytes()).ok()?;
    let method = if fixed.recursive { "r:" } else { "" };
    Some(format!("fixed:{method}{}:{}", fixed.algorithm, nix32::encode(&digest)))
}
