//! What a procedure is to the RPC layer, and what it is given besides its arguments.

use std::os::fd::BorrowedFd;

use crate::credentials::Credentials;
use crate::service::Service;
use crate::view::{Blocking, Error};
use crate::xdr::{Decoder, Encoder, Garbage};

/// A procedure of a program, ready to be called.
pub(crate) struct Entry {
    /// Its name in the RFC.
    pub(crate) name: &'static str,
    /// Whether a repeated call must get the first one's reply instead of being carried out again.
    pub(crate) once: bool,
    /// Whether it can be carried out before the end of its arguments was received.
    pub(crate) early: bool,
    /// Whether it may be called without saying who calls.
    pub(crate) anonymous: bool,
    pub(crate) run: Run,
}

/// Decodes arguments, calls, encodes the result.
pub(crate) type Run = fn(&Call<'_>, &mut Decoder<'_>, &mut Encoder<'_>, &mut [u8]) -> Result<Ended, Garbage>;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The result is what it is.
    Done,
    /// It may be another with more patience.
    Busy,
}

/// What every procedure knows besides its arguments.
pub(crate) struct Call<'a> {
    pub(crate) service: &'a Service,
    pub(crate) credentials: Credentials,
    pub(crate) blocking: Blocking,
    /// What of the arguments was not received yet, if they are not all here.
    pub(crate) behind: Option<&'a dyn Behind>,
}

/// The end of a request that was not received yet.
pub(crate) trait Behind {
    /// Puts the next `count` bytes of it into a file from `offset` on, and says how many got there.
    ///
    /// # Errors
    /// What the host says if nothing got there; [`Error::Io`] when the peer does not send it.
    fn put(&self, file: BorrowedFd<'_>, offset: u64, count: usize) -> Result<usize, Error>;
}
