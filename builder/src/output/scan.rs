//! Finds the hash parts of store paths in a stream of bytes.

use std::collections::{BTreeSet, HashMap};

use crate::nix32::ALPHABET;
use crate::store_path::{HASH_PART, StorePath};

/// Looks for some store paths in what it is fed, also across the borders of its pieces.
#[derive(Debug)]
pub struct ReferenceScanner {
    wanted: HashMap<[u8; HASH_PART], StorePath>,
    found: BTreeSet<StorePath>,
    /// The end of what was fed, too short to have been looked at as a whole hash part.
    tail: Vec<u8>,
}

const DIGITS: [bool; 256] = {
    let mut digits = [false; 256];
    let mut place = 0;
    while place < ALPHABET.len() {
        digits[ALPHABET.as_bytes()[place] as usize] = true;
        place += 1;
    }
    digits
};

impl ReferenceScanner {
    /// For these paths.
    #[must_use]
    pub fn new<'a>(wanted: impl IntoIterator<Item = &'a StorePath>) -> ReferenceScanner {
        let hash_part = |path: &StorePath| {
            let mut hash = [0; HASH_PART];
            hash.copy_from_slice(path.hash_part().as_bytes());
            (hash, path.clone())
        };
        let wanted = wanted.into_iter().map(hash_part).collect();
        ReferenceScanner { wanted, found: BTreeSet::new(), tail: Vec::with_capacity(2 * HASH_PART) }
    }

    /// The next bytes of the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        // What begins in the tail ends within the first bytes; what begins later needs no tail.
        let mut seam = std::mem::take(&mut self.tail);
        seam.extend_from_slice(&bytes[..bytes.len().min(HASH_PART - 1)]);
        self.search(&seam);
        self.search(bytes);
        let from = if bytes.len() >= HASH_PART - 1 { bytes } else { &seam };
        self.tail = from[from.len().saturating_sub(HASH_PART - 1)..].to_vec();
    }

    /// What has been found.
    #[must_use]
    pub fn found(self) -> BTreeSet<StorePath> {
        self.found
    }

    fn search(&mut self, bytes: &[u8]) {
        let mut start = 0;
        while let Some(window) = bytes.get(start..start + HASH_PART) {
            // From the end: the last byte that is no digit tells how far the next candidate is.
            if let Some(place) = window.iter().rposition(|byte| !DIGITS[usize::from(*byte)]) {
                start += place + 1;
                continue;
            }
            if let Some(path) = self.wanted.get(window) {
                self.found.insert(path.clone());
            }
            start += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn paths() -> Vec<StorePath> {
        [
            "71fc7s32zl20dc955bhghy5dvalm7ndz-a",
            "00000000000000000000000000000000-b",
            "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv-c",
        ]
        .map(|base| StorePath::new(base).unwrap())
        .to_vec()
    }

    fn found(pieces: &[&[u8]]) -> Vec<String> {
        let mut scanner = ReferenceScanner::new(&paths());
        pieces.iter().for_each(|piece| scanner.feed(piece));
        scanner.found().iter().map(|path| path.name().to_owned()).collect()
    }

    #[test]
    fn only_whole_hash_parts_count() {
        assert_eq!(found(&[b"x71fc7s32zl20dc955bhghy5dvalm7ndzx"]), ["a"]);
        assert_eq!(found(&[b"71fc7s32zl20dc955bhghy5dvalm7nd"]), [""; 0]);
        assert_eq!(
            found(&[b"0000000000000000000000000000000000000", b"/vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"]),
            ["b", "c"]
        );
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_stream_is_cut(
            before in "[0-9a-z/]{0,40}",
            after in "[0-9a-z/]{0,40}",
            mut cuts in prop::collection::vec(0usize..120, 0..8),
        ) {
            let text = format!("{before}71fc7s32zl20dc955bhghy5dvalm7ndz{after}");
            cuts.retain(|cut| *cut <= text.len());
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
            prop_assert!(found(&pieces).contains(&"a".to_owned()));
        }
    }
}
