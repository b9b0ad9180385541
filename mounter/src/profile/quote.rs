//! Strings of a profile. Names of files are anything but NUL and slashes, and whoever names a store path may try to end
//! the string that it is in.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A path as a string of the profile's language: what its reader gives back is the path, byte by byte.
///
/// The reader knows backslashes before itself, quotes and `x` with two hexadecimal digits (TinyScheme's `readstrexp`).
/// Everything that is not printable ASCII is written in the last way, so that no other part of the system, which takes
/// the text for UTF-8, can see anything else in it.
#[must_use]
pub fn quote(path: &Path) -> String {
    let mut text = String::from("\"");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(*byte));
            }
            b' '..=b'~' => text.push(char::from(*byte)),
            // Writing to a string does not fail.
            _ => drop(write!(text, "\\x{byte:02x}")),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    use std::path::{Path, PathBuf};

    use proptest::prelude::*;

    use super::quote;

    /// What the profile's language reads: the string at the beginning of a text, and what is left of the text.
    fn read(text: &str) -> Option<(Vec<u8>, &str)> {
        let mut rest = text.strip_prefix('"')?.as_bytes();
        let mut read = Vec::new();
        loop {
            let (byte, after) = rest.split_first()?;
            rest = after;
            match byte {
                b'"' => return Some((read, std::str::from_utf8(rest).ok()?)),
                b'\\' => {
                    let (escaped, after) = rest.split_first()?;
                    rest = after;
                    if *escaped == b'x' {
                        let (digits, after) = rest.split_at_checked(2)?;
                        rest = after;
                        read.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
                    } else {
                        read.push(*escaped);
                    }
                }
                byte => read.push(*byte),
            }
        }
    }

    #[test]
    fn names_that_try_to_leave_their_string_stay_in_it() {
        let names = [r#"a") (allow default) (""#, r"back\slash", "line\nbreak;", "()[]{}#|", "é\u{7f}"];
        let quoted: Vec<String> = names.iter().map(|name| quote(Path::new(name))).collect();
        insta::assert_snapshot!(quoted.join("\n"), @r##"
        "a\") (allow default) (\""
        "back\\slash"
        "line\x0abreak;"
        "()[]{}#|"
        "\xc3\xa9\x7f"
        "##);
    }

    proptest! {
        #[test]
        fn what_is_read_back_is_the_path(bytes in prop::collection::vec(1_u8.., 0..64)) {
            let path = PathBuf::from(OsString::from_vec(bytes.clone()));
            let text = format!("{} rest", quote(&path));
            prop_assert_eq!(read(&text), Some((bytes, " rest")));
        }
    }
}
