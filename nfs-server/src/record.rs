//! Record marking (RFC 5531, section 11): whole RPC messages out of a byte stream.

use std::io::{self, Read};
use std::ops::Range;

use defences::Defence;
use memmap2::MmapMut;

use crate::limits::{CALL_HEAD_MAX, FRAGMENTS_MAX, LARGE_RECORD, RECEIVE_BUFFER, RECEIVE_CHUNK, RECORD_MAX};
use crate::pages;

/// The bit in a fragment's header that marks a record's last.
pub(crate) const LAST_FRAGMENT: u32 = 1 << 31;

const HEADER: usize = 4;

/// Why a stream cannot be read any further.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("a record of more than {RECORD_MAX} bytes")]
    TooLong,
    #[error("a record of more than {FRAGMENTS_MAX} fragments")]
    TooManyFragments,
}

/// Reads records from a stream; several may be in the buffer.
pub(crate) struct RecordReader {
    buffer: MmapMut,
    /// The received and unread part of the buffer.
    filled: Range<usize>,
}

impl RecordReader {
    pub(crate) fn new() -> io::Result<RecordReader> {
        Ok(RecordReader { buffer: pages::map(RECEIVE_BUFFER)?, filled: 0..0 })
    }

    /// The next complete record.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, RecordError> {
        let Some((fragments, length)) = self.scan()? else { return Ok(None) };
        let start = self.filled.start + HEADER;
        let mut from = start;
        let mut to = start;
        for (index, fragment) in fragments.iter().enumerate() {
            if index > 0 {
                from += HEADER;
                self.buffer.copy_within(from..from + fragment, to);
            }
            from += fragment;
            to += fragment;
        }
        self.filled.start = from;
        Ok(Some(&self.buffer[start..start + length]))
    }

    /// The received part of a large incomplete record, and the number of missing bytes.
    ///
    /// These may be read from the stream directly, if [`RecordReader::discard_partial`] is called then.
    pub(crate) fn partial(&self) -> Option<(&[u8], usize)> {
        let missing = self.missing()?;
        let (header, head) = self.buffer[self.filled.clone()].split_first_chunk::<HEADER>()?;
        let whole = u32::from_be_bytes(*header) & LAST_FRAGMENT != 0 && head.len() + missing <= RECORD_MAX;
        (whole && head.len() >= CALL_HEAD_MAX).then_some((head, missing))
    }

    /// Discards the incomplete record, which is all that the buffer holds.
    pub(crate) fn discard_partial(&mut self) {
        self.filled = 0..0;
    }

    /// Receives more; false at the end of the stream.
    ///
    /// Not beyond the end of a large record: what follows would have to be moved later.
    pub(crate) fn fill(&mut self, stream: &mut impl Read) -> io::Result<bool> {
        if self.filled.is_empty() {
            self.filled = 0..0;
        } else if self.buffer.len() - self.filled.start < RECORD_MAX + HEADER * FRAGMENTS_MAX {
            self.buffer.copy_within(self.filled.clone(), 0);
            self.filled = 0..self.filled.len();
        }
        let wanted = self.missing().unwrap_or(RECEIVE_CHUNK);
        let room = &mut self.buffer[self.filled.end..];
        let most = room.len().min(wanted);
        let read = stream.read(&mut room[..most])?;
        self.filled.end += read;
        Ok(read > 0)
    }

    /// Missing bytes of a large fragment.
    fn missing(&self) -> Option<usize> {
        let here = &self.buffer[self.filled.clone()];
        let header = here.first_chunk::<HEADER>()?;
        let length = HEADER + (u32::from_be_bytes(*header) & !LAST_FRAGMENT) as usize;
        (length > LARGE_RECORD).then(|| length.saturating_sub(here.len())).filter(|missing| *missing > 0)
    }

    /// The lengths of the next record's fragments and their sum, if the record is complete.
    fn scan(&self) -> Result<Option<(Fragments, usize)>, RecordError> {
        let mut fragments = Fragments::default();
        let mut at = self.filled.start;
        let mut total = 0;
        loop {
            let Some(header) = self.buffer[at..self.filled.end].first_chunk::<HEADER>() else {
                return Ok(None);
            };
            let header = u32::from_be_bytes(*header);
            let length = (header & !LAST_FRAGMENT) as usize;
            total += length;
            if total > RECORD_MAX && Defence::RecordSize.stands() {
                return Err(RecordError::TooLong);
            }
            fragments.push(length)?;
            at += HEADER + length;
            if at > self.filled.end {
                return Ok(None);
            }
            if header & LAST_FRAGMENT != 0 {
                return Ok(Some((fragments, total)));
            }
        }
    }
}

/// Lengths of fragments, without an allocation.
struct Fragments {
    lengths: [usize; FRAGMENTS_MAX],
    count: usize,
}

impl Default for Fragments {
    fn default() -> Fragments {
        Fragments { lengths: [0; FRAGMENTS_MAX], count: 0 }
    }
}

impl Fragments {
    fn push(&mut self, length: usize) -> Result<(), RecordError> {
        *self.lengths.get_mut(self.count).ok_or(RecordError::TooManyFragments)? = length;
        self.count += 1;
        Ok(())
    }

    fn iter(&self) -> std::slice::Iter<'_, usize> {
        self.lengths[..self.count].iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives out a stream in pieces of a fixed size.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(self.1).min(into.len());
            into[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn fragment(data: &[u8], last: bool) -> Vec<u8> {
        let header = data.len() as u32 | if last { LAST_FRAGMENT } else { 0 };
        [&header.to_be_bytes(), data].concat()
    }

    fn records(stream: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, RecordError> {
        let mut stream = Pieces(stream, piece);
        let mut records = RecordReader::new().unwrap();
        let mut found = Vec::new();
        loop {
            while let Some(record) = records.next()? {
                found.push(record.to_vec());
            }
            if !records.fill(&mut stream).unwrap() {
                return Ok(found);
            }
        }
    }

    #[test]
    fn records_come_out_whole_however_the_stream_is_cut() {
        let stream = [
            fragment(b"one", true),
            fragment(b"t", false),
            fragment(b"", false),
            fragment(b"wo", true),
            fragment(b"", true),
            fragment(&[9; 100_000], true),
            fragment(&[8; 70_000], false),
            fragment(&[8; 70_000], true),
            fragment(b"behind", true),
        ]
        .concat();
        for piece in [1, 2, 3, 7, 4096, usize::MAX] {
            let found = records(&stream, piece).unwrap();
            assert_eq!(
                found,
                [
                    b"one".to_vec(),
                    b"two".to_vec(),
                    Vec::new(),
                    vec![9; 100_000],
                    vec![8; 140_000],
                    b"behind".to_vec()
                ]
            );
        }
    }

    #[test]
    fn a_record_that_is_too_long_is_refused_by_its_header_alone() {
        assert_eq!(records(&u32::MAX.to_be_bytes(), 4), Err(RecordError::TooLong));
        let half = fragment(&vec![0; RECORD_MAX / 2 + 1], false);
        assert_eq!(records(&[half.clone(), half].concat(), 65536), Err(RecordError::TooLong));
        let crumbs = fragment(b"", false).repeat(FRAGMENTS_MAX + 1);
        assert_eq!(records(&crumbs, 4096), Err(RecordError::TooManyFragments));
    }
}
