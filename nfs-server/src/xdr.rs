//! XDR (RFC 4506): bounded decoding that borrows from the request, encoding straight into the reply.

use crate::limits::INLINE_DATA_MAX;
use crate::view::FileSegment;

/// The bytes are not what the protocol says they should be.
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

/// What is left of a request.
#[derive(Clone, Copy)]
pub(crate) struct Decoder<'a> {
    left: &'a [u8],
    /// Bytes that belong to the request and were not received yet.
    behind: usize,
}

/// A reply that grows.
pub(crate) struct Encoder<'o> {
    out: &'o mut Vec<u8>,
    tail: Tail,
}

/// Data that follows a reply without being copied into it.
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
        Decoder { left: bytes, behind: 0 }
    }

    /// A request of which `behind` bytes were not received yet.
    pub(crate) fn partial(bytes: &'a [u8], behind: usize) -> Decoder<'a> {
        Decoder { left: bytes, behind }
    }

    /// What was not decoded yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.left
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Garbage> {
        self.fixed().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Garbage> {
        self.fixed().map(u64::from_be_bytes)
    }

    /// A boolean; anything but 0 and 1 is none.
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

    /// Opaque data of at most `max` bytes, the last item of a request: what of it is here, and how many bytes of it were
    /// not received yet.
    pub(crate) fn opaque_partial(&mut self, max: usize) -> Result<(&'a [u8], usize), Garbage> {
        let length = usize::try_from(self.u32()?).map_err(|_| Garbage)?;
        if length > max || length + padding(length) > self.left.len() + self.behind {
            return Err(Garbage);
        }
        let (data, tail) = self.left.split_at(length.min(self.left.len()));
        self.left = &tail[padding(length).min(tail.len())..];
        Ok((data, length - data.len()))
    }

    /// A value that may be missing.
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

    /// Opaque data from the start of the bulk buffer, the last item of a reply. Large data is not copied: it is
    /// sent from where it lies.
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

    /// A value that may be missing.
    pub(crate) fn optional<T: Encode>(&mut self, value: Option<&T>) {
        self.bool(value.is_some());
        if let Some(value) = value {
            value.encode(self);
        }
    }

    /// What follows the reply.
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
    use super::*;

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

    #[test]
    fn data_that_is_not_all_here_is_told_from_data_that_is_too_short() {
        let mut out = Vec::new();
        Encoder::new(&mut out).opaque(b"12345");
        for here in 4..=out.len() {
            let behind = out.len() - here;
            let decoded = Decoder::partial(&out[..here], behind).opaque_partial(5);
            let data = &out[4..here.min(9)];
            assert_eq!(decoded, Ok((data, 5 - data.len())), "{here} here");
            assert_eq!(
                Decoder::partial(&out[..here], behind).opaque_partial(4),
                Err(Garbage),
                "over the limit"
            );
            if behind > 0 {
                assert_eq!(Decoder::partial(&out[..here], behind - 1).opaque_partial(5), Err(Garbage));
            }
        }
        assert_eq!(Decoder::new(&[0xff; 8]).opaque_partial(usize::MAX - 3), Err(Garbage));
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
