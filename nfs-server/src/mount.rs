//! The MOUNT protocol, versions 3 (RFC 1813, section 5) and 1 (RFC 1094, appendix A; macOS unmounts with it).

use subtle::ConstantTimeEq;

use crate::call::{Call, Ended, Entry, Run};
use crate::limits::MOUNT_PATH_MAX;
use crate::view::Node;
use crate::xdr::{Decoder, Encoder, Garbage};

pub(crate) const PROGRAM: u32 = 100_005;
pub(crate) const VERSION_1: u32 = 1;
pub(crate) const VERSION_3: u32 = 3;

const MNT3_OK: u32 = 0;
const MNT3ERR_NOENT: u32 = 2;

/// `AUTH_SYS`, the only flavor that says who calls.
const AUTH_SYS: u32 = 1;

const PROCEDURES_3: [Entry; 6] = [
    entry("NULL", nothing),
    entry("MNT", mnt),
    entry("DUMP", empty_list),
    entry("UMNT", umnt),
    entry("UMNTALL", nothing),
    entry("EXPORT", empty_list),
];

/// Version 1 hands out handles for NFS version 2, which are of another size: it can unmount and no more.
const PROCEDURES_1: [Entry; 6] = [
    entry("NULL", nothing),
    entry("MNT", refuse_version_1),
    entry("DUMP", empty_list),
    entry("UMNT", umnt),
    entry("UMNTALL", nothing),
    entry("EXPORT", empty_list),
];

/// The procedures of one version.
pub(crate) fn procedures(version: u32) -> &'static [Entry] {
    if version == VERSION_1 { &PROCEDURES_1 } else { &PROCEDURES_3 }
}

/// The export's path is what these calls have to know; macOS makes them without credentials.
const fn entry(name: &'static str, run: Run) -> Entry {
    Entry { name, once: false, early: false, anonymous: true, run }
}

fn nothing(_: &Call<'_>, _: &mut Decoder<'_>, _: &mut Encoder<'_>, _: &mut [u8]) -> Result<Ended, Garbage> {
    Ok(Ended::Done)
}

/// MNT: the handle of the root, for whoever knows the path.
fn mnt(
    call: &Call<'_>,
    arguments: &mut Decoder<'_>,
    reply: &mut Encoder<'_>,
    _: &mut [u8],
) -> Result<Ended, Garbage> {
    let path = arguments.opaque(MOUNT_PATH_MAX)?;
    if !bool::from(path.ct_eq(call.service.export.as_bytes())) {
        tracing::warn!("a mount of another path than the export's was refused");
        reply.u32(MNT3ERR_NOENT);
        return Ok(Ended::Done);
    }
    reply.u32(MNT3_OK);
    reply.opaque(call.service.handle_key.sign(Node::id(&call.service.view.root())).as_bytes());
    reply.u32(1);
    reply.u32(AUTH_SYS);
    Ok(Ended::Done)
}

fn refuse_version_1(
    _: &Call<'_>,
    arguments: &mut Decoder<'_>,
    reply: &mut Encoder<'_>,
    _: &mut [u8],
) -> Result<Ended, Garbage> {
    arguments.opaque(MOUNT_PATH_MAX)?;
    reply.u32(MNT3ERR_NOENT);
    Ok(Ended::Done)
}

/// UMNT: nothing was remembered of the mount, so there is nothing to forget.
fn umnt(
    _: &Call<'_>,
    arguments: &mut Decoder<'_>,
    _: &mut Encoder<'_>,
    _: &mut [u8],
) -> Result<Ended, Garbage> {
    arguments.opaque(MOUNT_PATH_MAX)?;
    Ok(Ended::Done)
}

/// DUMP and EXPORT: an empty list, since the path is a secret.
fn empty_list(
    _: &Call<'_>,
    _: &mut Decoder<'_>,
    reply: &mut Encoder<'_>,
    _: &mut [u8],
) -> Result<Ended, Garbage> {
    reply.bool(false);
    Ok(Ended::Done)
}
