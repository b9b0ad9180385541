//! ONC RPC (RFC 5531): one request record in, at most one reply out.

#[cfg(test)]
mod fuzz;

use std::io;

use memmap2::MmapMut;

use crate::call::{Call, ProcedureEntry, Reply};
use crate::credentials::{AuthStat, RpcCredentials};
use crate::faults::Target;
use crate::limits::{READDIR_REPLY_MAX, TRANSFER_MAX};
use crate::payload::UnreadBytes;
use crate::record::LAST_FRAGMENT;
use crate::reply_cache::{CacheLookup, CallKey};
use crate::service::Service;
use crate::view::Blocking;
use crate::xdr::{Decoder, Encoder, Garbage, Tail, padding};
use crate::{mount, nfs, pages};

const CALL: u32 = 0;
const REPLY: u32 = 1;
const RPC_VERSION: u32 = 2;

/// Bytes of a fragment's header.
const HEADER: usize = 4;

/// The buffers in which a thread encodes replies; reused.
pub(crate) struct ReplyBuffer {
    /// Encoded replies, each with its record mark.
    pub(crate) out: Vec<u8>,
    /// File data and directory entries.
    pub(crate) bulk: MmapMut,
    /// Data to be sent after `out`, with its padding.
    pub(crate) tail: Tail,
}

/// Why a call was not executed (RFC 5531, section 9).
enum RpcError {
    RpcMismatch,
    Auth(AuthStat),
    ProgramUnavailable,
    ProgramMismatch { low: u32, high: u32 },
    ProcedureUnavailable,
    GarbageArgs,
}

/// The part of a call before its credentials.
struct CallHeader {
    xid: u32,
    version: u32,
    program: u32,
    program_version: u32,
    procedure: u32,
}

impl ReplyBuffer {
    pub(crate) fn new() -> io::Result<ReplyBuffer> {
        let bulk = pages::map(TRANSFER_MAX.max(READDIR_REPLY_MAX))?;
        Ok(ReplyBuffer { out: Vec::new(), bulk, tail: Tail::Nothing })
    }
}

/// A record with a call, whose end may not have been received yet.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    /// What was received: all of it, or at least what precedes a WRITE's data.
    pub(crate) record: &'a [u8],
    pub(crate) unread: Option<UnreadBytes<'a>>,
    pub(crate) blocking: Blocking,
}

impl<'a> Request<'a> {
    pub(crate) fn whole(record: &'a [u8], blocking: Blocking) -> Request<'a> {
        Request { record, unread: None, blocking }
    }
}

/// Executes one call and appends its reply to `replies`. A record that is no call is an error and gets no reply.
///
/// [`Reply::WouldBlock`] also for an incomplete record, unless its procedure streams its payload.
pub(crate) fn answer(
    service: &Service,
    request: Request<'_>,
    replies: &mut ReplyBuffer,
) -> Result<Reply, Garbage> {
    let mut from = Decoder::partial(request.record, request.unread);
    let header = CallHeader::decode(&mut from)?;
    let start = replies.out.len();
    replies.out.extend_from_slice(&[0; HEADER]);
    match dispatch(service, &request, &header, from, replies, start) {
        Ok(Reply::Encoded) => {}
        Ok(none) => {
            replies.out.truncate(start);
            return Ok(none);
        }
        Err(error) => {
            service.counters.refuse();
            replies.out.truncate(start + HEADER);
            error.encode(header.xid, &mut Encoder::new(&mut replies.out));
        }
    }
    let tail = replies.tail.len();
    let length = replies.out.len() - start - HEADER + tail + padding(tail);
    let mark = LAST_FRAGMENT | length as u32;
    replies.out[start..start + HEADER].copy_from_slice(&mark.to_be_bytes());
    Ok(Reply::Encoded)
}

fn dispatch(
    service: &Service,
    request: &Request<'_>,
    header: &CallHeader,
    mut from: Decoder<'_>,
    replies: &mut ReplyBuffer,
    start: usize,
) -> Result<Reply, RpcError> {
    if header.version != RPC_VERSION {
        return Err(RpcError::RpcMismatch);
    }
    let procedure = find(header)?;
    let (blocking, incomplete) = (request.blocking, request.unread.is_some());
    if incomplete && !procedure.streams_payload {
        return Ok(Reply::WouldBlock);
    }
    let credentials = RpcCredentials::decode(&mut from).map_err(RpcError::Auth)?;
    if !procedure.anonymous {
        let uid = credentials.uid().ok_or(RpcError::Auth(AuthStat::TooWeak))?;
        if !service.admits(uid) {
            return Err(RpcError::Auth(AuthStat::BadCredentials));
        }
    }
    let key = (!procedure.idempotent)
        .then(|| CallKey::new(header.xid, header.procedure, credentials.caller(), from.rest()));
    let pending = match key.map(|key| service.reply_cache.lookup(key)) {
        None => None,
        Some(CacheLookup::Miss(pending)) => Some(pending),
        Some(CacheLookup::Hit(reply)) => {
            replies.out.truncate(start);
            replies.out.extend_from_slice(&reply);
            return Ok(Reply::Encoded);
        }
        Some(CacheLookup::InProgress) => return Ok(Reply::None),
    };
    match header.program {
        _ if blocking == Blocking::Allowed => service.counters.count_blocking(),
        mount::PROGRAM => service.counters.count_mount(),
        // Counted below, or when it is repeated as a whole.
        _ if incomplete => {}
        _ => service.counters.count_nfs(header.procedure),
    }
    let call = Call { service, credentials, blocking, procedure: header.procedure };
    let mut encoder = Encoder::new(&mut replies.out);
    accepted(header.xid, &mut encoder);
    encoder.u32(0);
    let arguments = from.rest();
    let mut execute = || (procedure.run)(&call, &mut from, &mut encoder, &mut replies.bulk);
    let reply = match &service.slow_calls {
        Some(slow_calls) => {
            // Of RENAME and LINK the first.
            let path = || Target::of(&service.view, &service.handle_key, header.procedure, arguments).paths;
            slow_calls.time(procedure.name, || path().into_iter().next(), execute)
        }
        None => execute(),
    };
    let reply = reply.map_err(|Garbage| RpcError::GarbageArgs)?;
    // The reply to a call that must not be executed twice is final, whatever it is.
    if reply == Reply::WouldBlock && blocking == Blocking::Never && procedure.idempotent {
        return Ok(Reply::WouldBlock);
    }
    if incomplete {
        service.counters.count_nfs(header.procedure);
    }
    replies.tail = encoder.tail();
    if let Some(pending) = pending {
        let length = (replies.out.len() - start - HEADER) as u32;
        replies.out[start..start + HEADER].copy_from_slice(&(LAST_FRAGMENT | length).to_be_bytes());
        pending.finish(&replies.out[start..]);
    }
    Ok(Reply::Encoded)
}

fn find(header: &CallHeader) -> Result<&'static ProcedureEntry, RpcError> {
    let (table, low, high): (&[ProcedureEntry], u32, u32) = match header.program {
        nfs::PROGRAM => (&nfs::PROCEDURES, nfs::VERSION, nfs::VERSION),
        mount::PROGRAM => (mount::procedures(header.program_version), mount::VERSION_1, mount::VERSION_3),
        _ => return Err(RpcError::ProgramUnavailable),
    };
    let known = header.program_version == low || header.program_version == high;
    if !known {
        return Err(RpcError::ProgramMismatch { low, high });
    }
    usize::try_from(header.procedure)
        .ok()
        .and_then(|index| table.get(index))
        .ok_or(RpcError::ProcedureUnavailable)
}

impl CallHeader {
    fn decode(from: &mut Decoder<'_>) -> Result<CallHeader, Garbage> {
        let xid = from.u32()?;
        if from.u32()? != CALL {
            return Err(Garbage);
        }
        Ok(CallHeader {
            xid,
            version: from.u32()?,
            program: from.u32()?,
            program_version: from.u32()?,
            procedure: from.u32()?,
        })
    }
}

/// The header of a `MSG_ACCEPTED` reply, up to its `accept_stat`.
fn accepted(xid: u32, to: &mut Encoder<'_>) {
    to.u32(xid);
    to.u32(REPLY);
    to.u32(0); // MSG_ACCEPTED
    to.u32(0); // verifier: AUTH_NONE
    to.u32(0); // of no bytes
}

impl RpcError {
    fn encode(&self, xid: u32, to: &mut Encoder<'_>) {
        match self {
            RpcError::RpcMismatch => {
                denied(xid, 0, to);
                to.u32(RPC_VERSION);
                to.u32(RPC_VERSION);
            }
            RpcError::Auth(why) => {
                denied(xid, 1, to);
                to.u32(*why as u32);
            }
            RpcError::ProgramUnavailable => {
                accepted(xid, to);
                to.u32(1);
            }
            RpcError::ProgramMismatch { low, high } => {
                accepted(xid, to);
                to.u32(2);
                to.u32(*low);
                to.u32(*high);
            }
            RpcError::ProcedureUnavailable => {
                accepted(xid, to);
                to.u32(3);
            }
            RpcError::GarbageArgs => {
                accepted(xid, to);
                to.u32(4);
            }
        }
    }
}

fn denied(xid: u32, why: u32, to: &mut Encoder<'_>) {
    to.u32(xid);
    to.u32(REPLY);
    to.u32(1); // MSG_DENIED
    to.u32(why);
}
