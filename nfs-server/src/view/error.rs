//! The errors of a view: a closed set that each protocol maps to its own numbers.

use std::borrow::Cow;
use std::path::PathBuf;

use nix::errno::Errno;

use super::spec::SpecError;

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name is not in the view.
    #[error("no such file or directory")]
    NotFound,
    /// The node was removed.
    #[error("the file no longer exists")]
    Stale,
    /// The name exists.
    #[error("file exists")]
    Exists,
    /// A directory was needed.
    #[error("not a directory")]
    NotDirectory,
    /// Anything but a directory was needed.
    #[error("is a directory")]
    IsDirectory,
    /// The directory still has entries.
    #[error("directory not empty")]
    NotEmpty,
    /// The node lies in a read-only part of the view.
    #[error("read-only file system")]
    ReadOnly,
    /// Only the owner may do this, or nobody at all.
    #[error("operation not permitted")]
    NotPermitted,
    /// The caller has no permission.
    #[error("permission denied")]
    Access,
    /// Source and target are in different parts of the view.
    #[error("invalid cross-device link")]
    CrossDevice,
    /// A name of more than [`super::NAME_MAX`] bytes.
    #[error("file name too long")]
    NameTooLong,
    /// An invalid argument.
    #[error("invalid argument")]
    Invalid,
    /// The operation is not possible on this type of file.
    #[error("wrong type of file")]
    BadType,
    /// The host does not support this.
    #[error("operation not supported")]
    NotSupported,
    /// The host's disk is full.
    #[error("no space left on device")]
    NoSpace,
    /// The host's quota is exhausted.
    #[error("disk quota exceeded")]
    Quota,
    /// The file would be larger than the host allows.
    #[error("file too large")]
    TooLarge,
    /// The host allows no further links to this file.
    #[error("too many links")]
    TooManyLinks,
    /// The operation would block and [may not](super::Blocking), or the host is short of descriptors or memory.
    #[error("resource temporarily unavailable")]
    WouldBlock,
    /// Any other error of the host.
    #[error("input/output error")]
    Io,
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Error {
        match errno {
            Errno::ENOENT => Error::NotFound,
            Errno::ESTALE => Error::Stale,
            Errno::EEXIST => Error::Exists,
            // A symbolic link where `O_NOFOLLOW` forbids one: the host changed under us.
            Errno::ENOTDIR | Errno::ELOOP => Error::NotDirectory,
            Errno::EISDIR => Error::IsDirectory,
            Errno::ENOTEMPTY => Error::NotEmpty,
            Errno::EROFS => Error::ReadOnly,
            Errno::EPERM => Error::NotPermitted,
            Errno::EACCES => Error::Access,
            Errno::EXDEV => Error::CrossDevice,
            Errno::ENAMETOOLONG => Error::NameTooLong,
            // A name that is no UTF-8, where the host holds no others.
            Errno::EINVAL | Errno::EILSEQ => Error::Invalid,
            Errno::ENXIO | Errno::ENODEV => Error::BadType,
            Errno::EOPNOTSUPP | Errno::ENOSYS => Error::NotSupported,
            // The same number as EOPNOTSUPP on Linux, and another on macOS.
            #[cfg(not(target_os = "linux"))]
            Errno::ENOTSUP => Error::NotSupported,
            Errno::ENOSPC => Error::NoSpace,
            Errno::EDQUOT => Error::Quota,
            Errno::EFBIG => Error::TooLarge,
            Errno::EMLINK => Error::TooManyLinks,
            Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::EAGAIN => Error::WouldBlock,
            _ => Error::Io,
        }
    }
}

/// Why a view could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The specification is wrong in itself.
    #[error("the view is not valid")]
    Spec(#[from] SpecError),
    /// An entry's source does not exist.
    #[error("the source {source_path:?} of the entry at {at:?} does not exist")]
    Missing {
        /// Where it would appear in the view.
        at: PathBuf,
        /// The host path.
        source_path: PathBuf,
    },
    /// An entry's source cannot be used.
    #[error("cannot {step} {source_path:?}, the source of the entry at {at:?}")]
    Source {
        /// What was tried: `examine`, `open`, `set the mode of`, `set the owner of`.
        step: Cow<'static, str>,
        /// Where it would appear in the view.
        at: PathBuf,
        /// The host path.
        source_path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Two entries have the same name on a case-insensitive file system.
    #[error(
        "{first:?} and {second:?} differ in case only, and the file system of the view's writable places is not case-sensitive"
    )]
    Case {
        /// One of the entries.
        first: PathBuf,
        /// Path in the view of the other.
        second: PathBuf,
    },
    /// A scratch is not a directory of the host.
    #[error("the source {source_path:?} of the scratch at {at:?} is not a directory")]
    NotDirectory {
        /// Where it would appear in the view.
        at: PathBuf,
        /// The host path.
        source_path: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_errors_of_the_host_keep_their_meaning() {
        for (errno, error) in [
            (Errno::ENOENT, Error::NotFound),
            (Errno::ESTALE, Error::Stale),
            (Errno::EEXIST, Error::Exists),
            (Errno::ENOTDIR, Error::NotDirectory),
            (Errno::ELOOP, Error::NotDirectory),
            (Errno::EISDIR, Error::IsDirectory),
            (Errno::ENOTEMPTY, Error::NotEmpty),
            (Errno::EROFS, Error::ReadOnly),
            (Errno::EPERM, Error::NotPermitted),
            (Errno::EACCES, Error::Access),
            (Errno::EXDEV, Error::CrossDevice),
            (Errno::ENAMETOOLONG, Error::NameTooLong),
            (Errno::EINVAL, Error::Invalid),
            (Errno::EILSEQ, Error::Invalid),
            (Errno::ENXIO, Error::BadType),
            (Errno::ENODEV, Error::BadType),
            (Errno::EOPNOTSUPP, Error::NotSupported),
            (Errno::ENOSYS, Error::NotSupported),
            (Errno::ENOSPC, Error::NoSpace),
            (Errno::EDQUOT, Error::Quota),
            (Errno::EFBIG, Error::TooLarge),
            (Errno::EMLINK, Error::TooManyLinks),
            (Errno::EMFILE, Error::WouldBlock),
            (Errno::ENFILE, Error::WouldBlock),
            (Errno::ENOMEM, Error::WouldBlock),
            (Errno::EAGAIN, Error::WouldBlock),
            (Errno::ENOTTY, Error::Io),
        ] {
            assert_eq!(Error::from(errno), error, "{errno}");
        }
    }
}
