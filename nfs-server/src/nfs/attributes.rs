//! `fattr3`, `sattr3` and `wcc_data` (RFC 1813, sections 2.5 and 2.6).

use crate::view::{Attributes, FileType, SetAttributes, SetTime, Time};
use crate::xdr::{Decode, Decoder, Encode, Encoder, Garbage};

/// The one file system of a view. Each view is served at an address of its own, so all can have the same.
const FSID: u64 = 0x006c_6f6f_7062_6f78;

/// Attributes of a node, where the protocol lets a server leave them out.
#[derive(Clone, Copy, Default)]
pub(crate) struct PostOp(pub(crate) Option<Attributes>);

/// `wcc_attr` (RFC 1813, section 2.6): what tells a client whether its cache was valid before a change.
#[derive(Clone, Copy)]
pub(crate) struct PreOpAttr {
    size: u64,
    modified: Time,
    changed: Time,
}

/// `wcc_data`: a node's attributes before and after a change.
///
/// The view is changed by its client alone, so the attributes before are those last sent; no system call is needed.
#[derive(Clone, Copy, Default)]
pub(crate) struct Wcc {
    pub(crate) before: Option<PreOpAttr>,
    pub(crate) after: Option<Attributes>,
}

impl From<Attributes> for PreOpAttr {
    fn from(attributes: Attributes) -> PreOpAttr {
        PreOpAttr { size: attributes.size, modified: attributes.modified, changed: attributes.changed }
    }
}

/// `ftype3`.
pub(crate) fn file_type(kind: FileType) -> u32 {
    match kind {
        FileType::Regular => 1,
        FileType::Directory => 2,
        FileType::BlockDevice => 3,
        FileType::CharacterDevice => 4,
        FileType::Symlink => 5,
        FileType::Socket => 6,
        FileType::Fifo => 7,
    }
}

impl Encode for Attributes {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.u32(file_type(self.kind));
        to.u32(self.mode);
        to.u32(self.links);
        to.u32(self.uid);
        to.u32(self.gid);
        to.u64(self.size);
        to.u64(self.used);
        to.u32(self.device.0);
        to.u32(self.device.1);
        to.u64(FSID);
        to.u64(self.fileid);
        self.accessed.encode(to);
        self.modified.encode(to);
        self.changed.encode(to);
    }
}

impl Encode for PostOp {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.optional(self.0.as_ref());
    }
}

impl Encode for PreOpAttr {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.u64(self.size);
        self.modified.encode(to);
        self.changed.encode(to);
    }
}

impl Encode for Wcc {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.optional(self.before.as_ref());
        to.optional(self.after.as_ref());
    }
}

/// `nfstime3`, seconds and nanoseconds: a time before 1970 is sent as 1970, one after 2106 as the last in 2106.
#[must_use]
pub fn wire_time(time: Time) -> (u32, u32) {
    let seconds = time.seconds();
    match u32::try_from(seconds) {
        Ok(seconds) => (seconds, time.nanoseconds()),
        Err(_) if seconds < 0 => (0, 0),
        Err(_) => (u32::MAX, 0),
    }
}

impl Encode for Time {
    fn encode(&self, to: &mut Encoder<'_>) {
        let (seconds, nanoseconds) = wire_time(*self);
        to.u32(seconds);
        to.u32(nanoseconds);
    }
}

impl Decode<'_> for Time {
    fn decode(from: &mut Decoder<'_>) -> Result<Time, Garbage> {
        let (seconds, nanoseconds) = (from.u32()?, from.u32()?);
        if nanoseconds < 1_000_000_000 { Ok(Time::new(seconds.into(), nanoseconds)) } else { Err(Garbage) }
    }
}

impl Decode<'_> for SetTime {
    fn decode(from: &mut Decoder<'_>) -> Result<SetTime, Garbage> {
        match from.u32()? {
            0 => Ok(SetTime::Keep),
            1 => Ok(SetTime::Now),
            2 => Time::decode(from).map(SetTime::To),
            _ => Err(Garbage),
        }
    }
}

impl Decode<'_> for SetAttributes {
    fn decode(from: &mut Decoder<'_>) -> Result<SetAttributes, Garbage> {
        Ok(SetAttributes {
            mode: from.optional(Decoder::u32)?.map(|mode| mode & 0o7777),
            uid: from.optional(Decoder::u32)?,
            gid: from.optional(Decoder::u32)?,
            size: from.optional(Decoder::u64)?,
            accessed: SetTime::decode(from)?,
            modified: SetTime::decode(from)?,
        })
    }
}
