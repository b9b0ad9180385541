//! `nfsstat3` (RFC 1813, section 2.6) and how what a view says maps to it.

use crate::view::Error;

/// `NFS3_OK`.
pub(crate) const OK: u32 = 0;

/// What a procedure that failed says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Status {
    NotOwner = 1,
    NoEntry = 2,
    Io = 5,
    Access = 13,
    Exists = 17,
    CrossDevice = 18,
    NotDirectory = 20,
    IsDirectory = 21,
    Invalid = 22,
    FileTooBig = 27,
    NoSpace = 28,
    ReadOnly = 30,
    TooManyLinks = 31,
    NameTooLong = 63,
    NotEmpty = 66,
    Quota = 69,
    Stale = 70,
    BadHandle = 10001,
    NotSynchronized = 10002,
    NotSupported = 10004,
    TooSmall = 10005,
    BadType = 10007,
    Jukebox = 10008,
}

/// A status with what the protocol sends along.
pub(crate) struct Failure<B> {
    pub(crate) status: Status,
    pub(crate) body: B,
}

/// The number that stands for what a view says.
#[must_use]
pub fn number(error: Error) -> u32 {
    Status::from(error) as u32
}

impl From<Error> for Status {
    fn from(error: Error) -> Status {
        match error {
            Error::NotFound => Status::NoEntry,
            Error::Stale => Status::Stale,
            Error::Exists => Status::Exists,
            Error::NotDirectory => Status::NotDirectory,
            Error::IsDirectory => Status::IsDirectory,
            Error::NotEmpty => Status::NotEmpty,
            Error::ReadOnly => Status::ReadOnly,
            Error::NotPermitted => Status::NotOwner,
            Error::Access => Status::Access,
            Error::CrossDevice => Status::CrossDevice,
            Error::NameTooLong => Status::NameTooLong,
            Error::Invalid => Status::Invalid,
            Error::BadType => Status::BadType,
            Error::NotSupported => Status::NotSupported,
            Error::NoSpace => Status::NoSpace,
            Error::Quota => Status::Quota,
            Error::TooLarge => Status::FileTooBig,
            Error::TooManyLinks => Status::TooManyLinks,
            Error::WouldBlock => Status::Jukebox,
            Error::Io => Status::Io,
        }
    }
}

impl<B: Default> From<Status> for Failure<B> {
    fn from(status: Status) -> Failure<B> {
        Failure { status, body: B::default() }
    }
}

impl<B: Default> From<Error> for Failure<B> {
    fn from(error: Error) -> Failure<B> {
        Status::from(error).into()
    }
}
