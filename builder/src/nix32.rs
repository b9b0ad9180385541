//! Nix's base 32: its alphabet, and hashes written in it.

use std::sync::LazyLock;

use data_encoding::{BitOrder, Encoding, Specification};

/// The digits, in order of value; `e`, `o`, `t` and `u` are left out.
pub const ALPHABET: &str = "0123456789abcdfghijklmnpqrsvwxyz";

static LEAST_FIRST: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str(ALPHABET);
    specification.bit_order = BitOrder::LeastSignificantFirst;
    specification.encoding().expect("32 different symbols make an encoding")
});

/// Writes bytes in Nix's base 32: the number that they are in little-endian order, its highest digit first.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    LEAST_FIRST.encode(bytes).chars().rev().collect()
}

/// Reads Nix's base 32 back; `None` when a digit is foreign or the length fits no number of whole bytes.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let reversed: Vec<u8> = text.bytes().rev().collect();
    LEAST_FIRST.decode(&reversed).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_hello_reads_as_nix_hash_prints_it() {
        let digest = data_encoding::HEXLOWER
            .decode(b"5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03")
            .unwrap();
        let text = encode(&digest);
        assert_eq!(text, "00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq");
        assert_eq!(decode(&text), Some(digest));
    }

    #[test]
    fn a_foreign_digit_is_refused() {
        assert_eq!(decode("e000"), None);
    }
}
