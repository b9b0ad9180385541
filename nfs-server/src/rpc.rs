//! ONC RPC (RFC 5531): one request record in, at most one reply out.

#[cfg(test)]
mod fuzz;

use std::io;

use memmap2::MmapMut;

use crate::call::{Behind, Call, Ended, Entry};
use crate::credentials::{AuthStat, Credentials};
use crate::limits::{READDIR_REPLY_MAX, TRANSFER_MAX};
use crate::record::LAST_FRAGMENT;
use crate::reply_cache::{CacheLookup, CallKey};
use crate::service::Service;
use crate::view::Blocking;
use crate::xdr::{Decoder, Encoder, Garbage, Tail, padding};
use crate::{mount, nfs};

const CALL: u32 = 0;
const REPLY: u32 = 1;
const RPC_VERSION: u32 = 2;

/// Bytes of a fragment's header.
const HEADER: usize = 4;

/// What replies are made in. One for each connection, used again and again.
pub(crate) struct ReplyBuffer {
    /// Replies that wait to be sent, each with its record mark.
    pub(crate) out: Vec<u8>,
    /// File data and directory entries on their way into a reply.
    pub(crate) bulk: MmapMut,
    /// What is to be sent behind `out`, with its padding.
    pub(crate) tail: Tail,
}

/// Why a call was not carried out (RFC 5531, section 9).
enum RpcError {
    RpcMismatch,
    Auth(AuthStat),
    ProgramUnavailable,
    ProgramMismatch { low: u32, high: u32 },
    ProcedureUnavailable,
    GarbageArgs,
}

/// The head of a call, before its credentials.
struct CallHeader {
    xid: u32,
    version: u32,
    program: u32,
    program_version: u32,
    procedure: u32,
}

impl ReplyBuffer {
    pub(crate) fn new() -> io::Result<ReplyBuffer> {
        let bulk = MmapMut::map_anon(TRANSFER_MAX.max(READDIR_REPLY_MAX))?;
        Ok(ReplyBuffer { out: Vec::new(), bulk, tail: Tail::Nothing })
    }
}

/// What was done about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// The reply was appended, or there is none.
    Now,
    /// Nothing was done: it would have to wait. To be asked again with patience.
    Later,
}

/// A record with a request, of which the end may not have been received yet.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    /// What is here: all of it, or at least what stands before a WRITE's data.
    pub(crate) record: &'a [u8],
    /// How many bytes are still to come, and from where.
    pub(crate) behind: Option<(usize, &'a dyn Behind)>,
    pub(crate) blocking: Blocking,
}

impl<'a> Request<'a> {
    pub(crate) fn whole(record: &'a [u8], blocking: Blocking) -> Request<'a> {
        Request { record, behind: None, blocking }
    }
}

/// Answers one request: appends the reply to `replies`. What is no call at all gets no answer and is an error.
///
/// One that is not here as a whole is for later, unless its procedure takes the end as it comes.
pub(crate) fn answer(
    service: &Service,
    request: Request<'_>,
    replies: &mut ReplyBuffer,
) -> Result<Answered, Garbage> {
    let mut from = Decoder::partial(request.record, request.behind.map_or(0, |(missing, _)| missing));
    let head = CallHeader::decode(&mut from)?;
    let start = replies.out.len();
    replies.out.extend_from_slice(&[0; HEADER]);
    match dispatch(service, &request, &head, from, replies, start) {
        Ok(Outcome::Reply) => {}
        Ok(Outcome::Nothing) => {
            replies.out.truncate(start);
            return Ok(Answered::Now);
        }
        Ok(Outcome::Later) => {
            replies.out.truncate(start);
            return Ok(Answered::Later);
        }
        Err(refusal) => {
            service.counters.refuse();
            replies.out.truncate(start + HEADER);
            refusal.encode(head.xid, &mut Encoder::new(&mut replies.out));
        }
    }
    let tail = replies.tail.len();
    let length = replies.out.len() - start - HEADER + tail + padding(tail);
    let mark = LAST_FRAGMENT | length as u32;
    replies.out[start..start + HEADER].copy_from_slice(&mark.to_be_bytes());
    Ok(Answered::Now)
}

enum Outcome {
    Reply,
    Nothing,
    Later,
}

fn dispatch(
    service: &Service,
    request: &Request<'_>,
    head: &CallHeader,
    mut from: Decoder<'_>,
    replies: &mut ReplyBuffer,
    start: usize,
) -> Result<Outcome, RpcError> {
    if head.version != RPC_VERSION {
        return Err(RpcError::RpcMismatch);
    }
    let entry = find(head)?;
    let (blocking, early) = (request.blocking, request.behind.is_some());
    if early && !entry.early {
        return Ok(Outcome::Later);
    }
    let credentials = Credentials::decode(&mut from).map_err(RpcError::Auth)?;
    if !entry.anonymous {
        let uid = credentials.uid().ok_or(RpcError::Auth(AuthStat::TooWeak))?;
        if !service.admits(uid) {
            return Err(RpcError::Auth(AuthStat::BadCredentials));
        }
    }
    let key = entry.once.then(|| CallKey::new(head.xid, head.procedure, credentials.caller(), from.rest()));
    let pending = match key.map(|key| service.reply_cache.lookup(key)) {
        None => None,
        Some(CacheLookup::Miss(pending)) => Some(pending),
        Some(CacheLookup::Hit(reply)) => {
            replies.out.truncate(start);
            replies.out.extend_from_slice(&reply);
            return Ok(Outcome::Reply);
        }
        Some(CacheLookup::InProgress) => return Ok(Outcome::Nothing),
    };
    match head.program {
        _ if blocking == Blocking::Allowed => service.counters.count_blocking(),
        mount::PROGRAM => service.counters.count_mount(),
        // If it is for later, it is counted then.
        _ if early => {}
        _ => service.counters.count_nfs(head.procedure),
    }
    let call = Call { service, credentials, blocking, behind: request.behind.map(|(_, end)| end) };
    let mut reply = Encoder::new(&mut replies.out);
    accepted(head.xid, &mut reply);
    reply.u32(0);
    let ran = (entry.run)(&call, &mut from, &mut reply, &mut replies.bulk)
        .map_err(|Garbage| RpcError::GarbageArgs)?;
    // What is carried out only once has its reply, whatever it is.
    if ran == Ended::Busy && blocking == Blocking::Never && !entry.once {
        return Ok(Outcome::Later);
    }
    if early {
        service.counters.count_nfs(head.procedure);
    }
    replies.tail = reply.tail();
    if let Some(pending) = pending {
        let length = (replies.out.len() - start - HEADER) as u32;
        replies.out[start..start + HEADER].copy_from_slice(&(LAST_FRAGMENT | length).to_be_bytes());
        pending.finish(&replies.out[start..]);
    }
    Ok(Outcome::Reply)
}

fn find(head: &CallHeader) -> Result<&'static Entry, RpcError> {
    let (table, low, high): (&[Entry], u32, u32) = match head.program {
        nfs::PROGRAM => (&nfs::PROCEDURES, nfs::VERSION, nfs::VERSION),
        mount::PROGRAM => (mount::procedures(head.program_version), mount::VERSION_1, mount::VERSION_3),
        _ => return Err(RpcError::ProgramUnavailable),
    };
    let known = head.program_version == low || head.program_version == high;
    if !known {
        return Err(RpcError::ProgramMismatch { low, high });
    }
    usize::try_from(head.procedure)
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

/// The head of a reply to a call that was accepted, before its `accept_stat`.
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
