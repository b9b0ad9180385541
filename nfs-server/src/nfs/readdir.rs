//! READDIR (RFC 1813, section 3.3.16): names in a directory.

use super::attributes::PostOp;
use super::status::Status;
use super::{Failure, Procedure};
use crate::call::Call;
use crate::handle::FileHandle;
use crate::limits::READDIR_REPLY_MAX;
use crate::view::{DirEntry, Error, Node};
use crate::xdr::{Decode, Decoder, Encode, Encoder, Garbage, padding};

/// Bytes of a reply besides its entries: attributes, verifier, end of the list, end of the directory.
const AROUND: usize = 88 + 8 + 4 + 4;

pub(super) struct ReadDir;

pub(super) struct Arguments<'a> {
    directory: FileHandle<'a>,
    cookie: u64,
    count: u32,
}

/// Entries in XDR, as they lie in the bulk buffer.
pub(super) struct Done<'b> {
    pub(super) attributes: PostOp,
    pub(super) entries: &'b [u8],
    pub(super) end: bool,
}

/// Room for entries, filled from the front.
pub(super) struct Entries<'b> {
    room: &'b mut [u8],
    used: usize,
}

/// Lists a directory for the caller.
pub(super) fn list(
    call: &Call<'_>,
    directory: &Node,
    cookie: u64,
    take: &mut dyn FnMut(&DirEntry<'_>) -> bool,
) -> Result<bool, Error> {
    call.service.view.readdir(directory, cookie, call.caller(), call.blocking, take)
}

impl Procedure for ReadDir {
    type Arguments<'a> = Arguments<'a>;
    type Done<'b> = Done<'b>;
    type Failed = PostOp;

    fn call<'b>(
        call: &Call<'_>,
        arguments: Arguments<'_>,
        bulk: &'b mut [u8],
    ) -> Result<Done<'b>, Failure<PostOp>> {
        let directory = call.node(arguments.directory)?;
        let mut entries = Entries::new(bulk, arguments.count);
        let mut full = false;
        let end = list(call, &directory, arguments.cookie, &mut |listed| {
            let name = listed.name;
            let length = 4 + 8 + 4 + name.len() + padding(name.len()) + 8;
            let fits = entries.push(length, |entry| {
                entry.u64(listed.attributes.fileid);
                entry.opaque(name);
                entry.u64(listed.cookie);
            });
            full = !fits;
            fits
        })?;
        entries.finish(call, &directory, end, full)
    }
}

impl<'b> Entries<'b> {
    /// Room for what the client can take, in bytes of the whole reply.
    pub(super) fn new(bulk: &'b mut [u8], limit: u32) -> Entries<'b> {
        let limit =
            usize::try_from(limit).unwrap_or(READDIR_REPLY_MAX).min(READDIR_REPLY_MAX).min(bulk.len());
        Entries { room: &mut bulk[..limit.saturating_sub(AROUND)], used: 0 }
    }

    /// Adds an entry of `length` bytes, if it fits.
    pub(super) fn push(&mut self, length: usize, encode: impl FnOnce(&mut Entry<'_>)) -> bool {
        let Some(room) = self.room.get_mut(self.used..self.used + length) else { return false };
        let mut entry = Entry { room, at: 0 };
        entry.u32(1);
        encode(&mut entry);
        debug_assert_eq!(entry.at, length);
        self.used += length;
        true
    }

    /// The reply, unless not even the first entry fitted.
    pub(super) fn finish(
        self,
        call: &Call<'_>,
        directory: &Node,
        end: bool,
        full: bool,
    ) -> Result<Done<'b>, Failure<PostOp>> {
        if full && self.used == 0 {
            return Err(Status::TooSmall.into());
        }
        Ok(Done { attributes: call.post_op(directory), entries: &self.room[..self.used], end })
    }
}

/// One entry's part of the room.
pub(super) struct Entry<'r> {
    room: &'r mut [u8],
    at: usize,
}

impl Entry<'_> {
    pub(super) fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.raw(&value.to_be_bytes());
    }

    pub(super) fn opaque(&mut self, data: &[u8]) {
        self.u32(data.len() as u32);
        self.raw(data);
        self.raw(&[0; 3][..padding(data.len())]);
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        if let Some(room) = self.room.get_mut(self.at..self.at + bytes.len()) {
            room.copy_from_slice(bytes);
        }
        self.at += bytes.len();
    }
}

impl<'a> Decode<'a> for Arguments<'a> {
    fn decode(from: &mut Decoder<'a>) -> Result<Arguments<'a>, Garbage> {
        let (directory, cookie) = (FileHandle::decode(from)?, from.u64()?);
        // Cookies are good for as long as the directory is there, so there is nothing to verify.
        let _verifier = from.u64()?;
        Ok(Arguments { directory, cookie, count: from.u32()? })
    }
}

impl Encode for Done<'_> {
    fn encode(&self, to: &mut Encoder<'_>) {
        self.attributes.encode(to);
        to.u64(0);
        to.raw(self.entries);
        to.bool(false);
        to.bool(self.end);
    }
}
