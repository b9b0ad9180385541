//! The interface between the RPC layer and the procedures of a program.

use crate::credentials::RpcCredentials;
use crate::service::Service;
use crate::view::Blocking;
use crate::xdr::{Decoder, Encoder, Garbage};

/// A procedure in a program's table.
pub(crate) struct ProcedureEntry {
    /// Its name in the RFC.
    pub(crate) name: &'static str,
    /// Whether it may be executed again when its call is retransmitted (RFC 1813, section 4.5). If not, the
    /// retransmission gets the first reply from the reply cache.
    pub(crate) idempotent: bool,
    /// Whether it can start before all of its last argument, opaque data, was received.
    pub(crate) streams_payload: bool,
    /// Whether it may be called without AUTH_SYS credentials.
    pub(crate) anonymous: bool,
    pub(crate) run: Handler,
}

/// Decodes the arguments, executes the procedure, encodes the result.
pub(crate) type Handler =
    fn(&Call<'_>, &mut Decoder<'_>, &mut Encoder<'_>, &mut [u8]) -> Result<Reply, Garbage>;

/// What a call leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// A reply was encoded.
    Encoded,
    /// None: another thread is executing the same call.
    None,
    /// None yet: the call would block. It has had no effect and is to be repeated where it may.
    WouldBlock,
}

/// What a procedure gets besides its arguments.
pub(crate) struct Call<'a> {
    pub(crate) service: &'a Service,
    pub(crate) credentials: RpcCredentials,
    pub(crate) blocking: Blocking,
    /// Its number in its program.
    pub(crate) procedure: u32,
}
