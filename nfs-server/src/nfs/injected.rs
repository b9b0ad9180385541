//! Calls that fail, wait or do less on purpose; their results are those of RFC 1813, section 3.3.

use super::{PROCEDURES, Procedure, carry_out};
use crate::call::{Call, Reply};
use crate::faults::{FaultInjector, Injection, Target};
use crate::handle::FileHandle;
use crate::limits::TRANSFER_MAX;
use crate::view::Blocking;
use crate::xdr::{Decode, Decoder, Encode, Encoder, Garbage};

/// READ and WRITE.
const CARRYING: [u32; 2] = [6, 7];

/// Carries a call out, unless it is to fail.
///
/// A call that may be carried out again has its turn where it may block: it would be counted twice otherwise, and would hold up
/// others while it waits.
pub(super) fn run<P: Procedure>(
    faults: &FaultInjector,
    call: &Call<'_>,
    arguments: &mut Decoder<'_>,
    reply: &mut Encoder<'_>,
    bulk: &mut [u8],
) -> Result<Reply, Garbage> {
    let service = call.service;
    let target = Target::of(&service.view, &service.handle_key, call.procedure, arguments.rest());
    if !faults.concerns(&target) {
        return carry_out::<P>(call, arguments, reply, bulk);
    }
    let idempotent = PROCEDURES.get(call.procedure as usize).is_some_and(|procedure| procedure.idempotent);
    if call.blocking == Blocking::Never && idempotent {
        return Ok(Reply::WouldBlock);
    }
    let Injection { delay, status, short, clock } = faults.inject(&target);
    if clock != 0 {
        service.view.jump_clock(clock);
    }
    std::thread::sleep(delay);
    if let Some(status) = status {
        reply.u32(status);
        P::Failed::default().encode(reply);
        return Ok(Reply::Encoded);
    }
    match short.filter(|_| CARRYING.contains(&call.procedure)) {
        None => carry_out::<P>(call, arguments, reply, bulk),
        Some(most) => {
            let shorter = shorten(arguments, most)?;
            carry_out::<P>(call, &mut Decoder::new(&shorter), reply, bulk)
        }
    }
}

/// The same arguments of READ or WRITE, for `most` bytes.
fn shorten(from: &mut Decoder<'_>, most: u32) -> Result<Vec<u8>, Garbage> {
    let mut shorter = Vec::new();
    let mut to = Encoder::new(&mut shorter);
    FileHandle::decode(from)?.encode(&mut to);
    to.u64(from.u64()?);
    to.u32(from.u32()?.min(most));
    if !from.rest().is_empty() {
        to.u32(from.u32()?);
        let data = from.opaque(TRANSFER_MAX)?;
        to.opaque(&data[..data.len().min(most as usize)]);
    }
    Ok(shorter)
}
