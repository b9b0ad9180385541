//! Sizes as people write them: `4096`, `64K`, `1.5G`.

use parse_size::Config;

/// A text that is no size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a size: a number of bytes, or one with K, M, G or T behind it, which are powers of 1024"
)]
pub struct SizeError(pub String);

/// Bytes. `M` and `MB` are `MiB`, as for dd(1) and truncate(1).
///
/// # Errors
/// [`SizeError`], also for more than 64 bits hold.
pub fn parse_size(text: &str) -> Result<u64, SizeError> {
    Config::new().with_binary().parse_size(text).map_err(|_| SizeError(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("64K", 65_536),
            ("10M", 10 << 20),
            ("10MiB", 10 << 20),
            ("1.5G", 3 << 29),
            ("2T", 2 << 40),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_would_be_right() {
        for text in ["", "10Q", "-1", "M", "1 000 bananas", "99999999999999999999", "20E"] {
            assert_eq!(parse_size(text), Err(SizeError(text.into())));
        }
        assert_eq!(
            SizeError("10Q".into()).to_string(),
            "\"10Q\" is not a size: a number of bytes, or one with K, M, G or T behind it, which are powers of 1024"
        );
    }
}
