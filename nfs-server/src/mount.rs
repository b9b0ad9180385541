//! The MOUNT protocol, versions 3 (RFC 1813, section 5) and 1 (RFC 1094, appendix A; macOS unmounts with it).

use defences::Defence;
use subtle::ConstantTimeEq;

use crate::call::{Call, Handler, ProcedureEntry, Reply};
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

const PROCEDURES_3: [ProcedureEntry; 6] = [
    entry("NULL", null),
    entry("MNT", mnt),
    entry("DUMP", empty_list),
    entry("UMNT", umnt),
    entry("UMNTALL", null),
    entry("EXPORT", empty_list),
];

/// Version 1 hands out handles for NFS version 2, which are of another size: it can unmount and no more.
const PROCEDURES_1: [ProcedureEntry; 6] = [
    entry("NULL", null),
    entry("MNT", refuse_version_1),
    entry("DUMP", empty_list),
    entry("UMNT", umnt),
    entry("UMNTALL", null),
    entry("EXPORT", empty_list),
];

/// The procedures of one version.
pub(crate) fn procedures(version: u32) -> &'static [ProcedureEntry] {
    if version == VERSION_1 { &PROCEDURES_1 } else { &PROCEDURES_3 }
}

/// These calls are authorised by the export path; macOS makes them without credentials.
const fn entry(name: &'static str, run: Handler) -> ProcedureEntry {
    ProcedureEntry { name, idempotent: true, streams_payload: false, anonymous: true, run }
}

fn null(_: &Call<'_>, _: &mut Decoder<'_>, _: &mut Encoder<'_>, _: &mut [u8]) -> Result<Reply, Garbage> {
    Ok(Reply::Encoded)
}

/// MNT: the handle of the root, for whoever knows the path.
fn mnt(
    call: &Call<'_>,
    arguments: &mut Decoder<'_>,
    reply: &mut Encoder<'_>,
    _: &mut [u8],
) -> Result<Reply, Garbage> {
    let path = arguments.opaque(MOUNT_PATH_MAX)?;
    if !bool::from(path.ct_eq(call.service.export.as_bytes())) && Defence::ExportPath.stands() {
        tracing::warn!("refused to mount a path that is not the export");
        reply.u32(MNT3ERR_NOENT);
        return Ok(Reply::Encoded);
    }
    reply.u32(MNT3_OK);
    reply.opaque(call.service.handle_key.sign(Node::id(&call.service.view.root())).as_bytes());
    reply.u32(1);
    reply.u32(AUTH_SYS);
    Ok(Reply::Encoded)
}

fn refuse_version_1(
    _: &Call<'_>,
    arguments: &mut Decoder<'_>,
    reply: &mut Encoder<'_>,
    _: &mut [u8],
) -> Result<Reply, Garbage> {
    arguments.opaque(MOUNT_PATH_MAX)?;
    reply.u32(MNT3ERR_NOENT);
    Ok(Reply::Encoded)
}

/// UMNT: no mount list is kept.
fn umnt(
    _: &Call<'_>,
    arguments: &mut Decoder<'_>,
    _: &mut Encoder<'_>,
    _: &mut [u8],
) -> Result<Reply, Garbage> {
    arguments.opaque(MOUNT_PATH_MAX)?;
    Ok(Reply::Encoded)
}

/// DUMP and EXPORT: an empty list, since the export path is a secret.
fn empty_list(
    _: &Call<'_>,
    _: &mut Decoder<'_>,
    reply: &mut Encoder<'_>,
    _: &mut [u8],
) -> Result<Reply, Garbage> {
    reply.bool(false);
    Ok(Reply::Encoded)
}
