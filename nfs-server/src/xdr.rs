//! XDR (RFC 4506): bounded decoding that borrows from the request, encoding straight into the reply.

use crate::limits::INLINE_DATA_MAX;
use crate::payload::{Payload, UnreadBytes};
use crate::view::FileSegment;

/// A decoding error: GARBAGE_ARGS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Garbage;

/// A type that can be read from a request.
pub(crate) trait Decode<'a>: Sized {
    fn decode(from: &mut Decoder<'a>) -> Result<Self, Garbage>;
}

/// A type that can be written to a reply.
pub(crate) trait Encode {
    fn encode(&self, to: &mut Encoder<'_>);
}

/// Decodes a request.
pub(crate) struct Decoder<'a> {
    left: &'a [u8],
    /// The end of the request, if it was not received yet.
    unread: Option<UnreadBytes<'a>>,
}

/// Encodes a reply.
pub(crate) struct Encoder<'o> {
    out: &'o mut Vec<u8>,
    tail: Tail,
}

/// Opaque data at the end of a reply that is not copied into the reply buffer.
#[derive(Clone, Default)]
pub(crate) enum Tail {
    #[default]
    Nothing,
    /// That many bytes from the start of the bulk buffer.
    Bulk(usize),
    /// Part of a file.
    File(FileSegment),
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Decoder<'a> {
        Decoder { left: bytes, unread: None }
    }

    /// A request whose end may not have been received yet.
    pub(crate) fn partial(bytes: &'a [u8], unread: Option<UnreadBytes<'a>>) -> Decoder<'a> {
        Decoder { left: bytes, unread }
    }

    /// The bytes not decoded yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.left
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Garbage> {
        self.fixed().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Garbage> {
        self.fixed().map(u64::from_be_bytes)
    }

    /// A boolean: 0 or 1.
    pub(crate) fn bool(&mut self) -> Result<bool, Garbage> {
        match self.u32()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Garbage),
        }
    }

    /// Opaque data of fixed length.
    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Garbage> {
        let (head, tail) = self.left.split_first_chunk::<N>().ok_or(Garbage)?;
        self.left = tail;
        Ok(*head)
    }

    /// Opaque data of at most `max` bytes.
    pub(crate) fn opaque(&mut self, max: usize) -> Result<&'a [u8], Garbage> {
        let length = usize::try_from(self.u32()?).map_err(|_| Garbage)?;
        if length > max {
            return Err(Garbage);
        }
        let (data, tail) = self.left.split_at_checked(length).ok_or(Garbage)?;
        self.left = tail.split_at_checked(padding(length)).ok_or(Garbage)?.1;
        Ok(data)
    }

    /// Opaque data of at most `max` bytes, the last item of a request, of which the end may not have been received yet.
    pub(crate) fn payload(&mut self, max: usize) -> Result<Payload<'a>, Garbage> {
        let length = usize::try_from(self.u32()?).map_err(|_| Garbage)?;
        let unread = self.unread.map_or(0, |unread| unread.count);
        if length > max || length + padding(length) > self.left.len() + unread {
            return Err(Garbage);
        }
        let (data, tail) = self.left.split_at(length.min(self.left.len()));
        self.left = &tail[padding(length).min(tail.len())..];
        let count = length - data.len();
        Ok(Payload::new(data, self.unread.take().map(|unread| UnreadBytes { count, ..unread })))
    }

    /// An optional value.
    pub(crate) fn optional<T>(
        &mut self,
        value: impl FnOnce(&mut Decoder<'a>) -> Result<T, Garbage>,
    ) -> Result<Option<T>, Garbage> {
        if self.bool()? { value(self).map(Some) } else { Ok(None) }
    }
}

impl<'o> Encoder<'o> {
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Encoder<'o> {
        Encoder { out, tail: Tail::Nothing }
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.u32(u32::from(value));
    }

    /// Data that is in XDR already.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Opaque data of variable length.
    pub(crate) fn opaque(&mut self, data: &[u8]) {
        self.length(data.len());
        self.out.extend_from_slice(data);
        self.out.extend_from_slice(&[0; 3][..padding(data.len())]);
    }

    /// Opaque data from the start of the bulk buffer, the last item of a reply. Large data is not copied.
    pub(crate) fn opaque_bulk(&mut self, data: &[u8]) {
        if data.len() <= INLINE_DATA_MAX {
            return self.opaque(data);
        }
        self.length(data.len());
        self.tail = Tail::Bulk(data.len());
    }

    /// Opaque data from a file, the last item of a reply.
    pub(crate) fn opaque_segment(&mut self, segment: &FileSegment) {
        self.length(segment.count);
        self.tail = Tail::File(segment.clone());
    }

    /// An optional value.
    pub(crate) fn optional<T: Encode>(&mut self, value: Option<&T>) {
        self.bool(value.is_some());
        if let Some(value) = value {
            value.encode(self);
        }
    }

    /// The data to send after the reply.
    pub(crate) fn tail(self) -> Tail {
        self.tail
    }

    fn length(&mut self, length: usize) {
        debug_assert!(u32::try_from(length).is_ok(), "no reply is longer than a record");
        self.u32(length as u32);
    }
}

impl Tail {
    pub(crate) fn len(&self) -> usize {
        match self {
            Tail::Nothing => 0,
            Tail::Bulk(length) => *length,
            Tail::File(segment) => segment.count,
        }
    }
}

impl Encode for () {
    fn encode(&self, _: &mut Encoder<'_>) {}
}

impl Decode<'_> for () {
    fn decode(_: &mut Decoder<'_>) -> Result<(), Garbage> {
        Ok(())
    }
}

/// Bytes that fill opaque data up to a multiple of four.
pub(crate) fn padding(length: usize) -> usize {
    length.wrapping_neg() % 4
}

#[cfg(test)]
mod tests {
    use std::os::fd::BorrowedFd;

    use super::*;
    use crate::payload::PayloadReader;
    use crate::view::{Error, WriteSource};

    #[test]
    fn a_length_beyond_the_request_allocates_nothing_and_is_garbage() {
        assert_eq!(Decoder::new(&[0xff; 8]).opaque(usize::MAX), Err(Garbage));
        assert_eq!(Decoder::new(&[0, 0, 0, 5, 1, 2, 3, 4, 5]).opaque(16), Err(Garbage), "padding is missing");
        assert_eq!(
            Decoder::new(&[0, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0]).opaque(4),
            Err(Garbage),
            "over the limit"
        );
    }

    /// A socket that nobody reads from.
    struct Socket;

    impl PayloadReader for Socket {
        fn write_to(&self, _: BorrowedFd<'_>, _: u64, _: usize) -> Result<usize, Error> {
            Err(Error::Io)
        }
    }

    #[test]
    fn data_not_yet_received_is_told_from_data_that_is_too_short() {
        let mut out = Vec::new();
        Encoder::new(&mut out).opaque(b"12345");
        let decode = |received: &[u8], count, max| {
            let unread = Some(UnreadBytes { count, reader: &Socket });
            Decoder::partial(received, unread).payload(max).map(|payload| payload.len())
        };
        for received in 4..=out.len() {
            let missing = out.len() - received;
            assert_eq!(decode(&out[..received], missing, 5), Ok(5), "{received} received");
            assert_eq!(decode(&out[..received], missing, 4), Err(Garbage), "over the limit");
            if missing > 0 {
                assert_eq!(decode(&out[..received], missing - 1, 5), Err(Garbage));
            }
        }
        assert_eq!(Decoder::new(&[0xff; 8]).payload(usize::MAX - 3).err(), Some(Garbage));
    }

    #[test]
    fn opaque_data_comes_back_as_it_went() {
        for length in 0..9 {
            let data = vec![7; length];
            let mut out = Vec::new();
            Encoder::new(&mut out).opaque(&data);
            assert_eq!(out.len() % 4, 0);
            assert_eq!(Decoder::new(&out).opaque(length), Ok(&data[..]));
        }
    }
}
