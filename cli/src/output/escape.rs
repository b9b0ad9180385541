//! Characters that would control a terminal or reorder its text, shown as escapes.

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;

use defences::Defence;

/// Characters besides control characters (C0, DEL and C1) that change how the text around them looks, or that cannot
/// be seen: bidirectional controls (UAX #9), line and paragraph separators, zero-width spaces, interlinear annotations
/// and tags. Joiners (U+200C, U+200D) stay: scripts and emoji need them.
const MISLEADING: [(char, char); 9] = [
    ('\u{61c}', '\u{61c}'),
    ('\u{180e}', '\u{180e}'),
    ('\u{200b}', '\u{200b}'),
    ('\u{200e}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{e0000}', '\u{e007f}'),
];

/// A file's name or path in one line. Bytes that are no UTF-8 are shown as `\xNN`.
pub fn name(name: impl AsRef<OsStr>) -> String {
    let mut shown = String::new();
    for chunk in name.as_ref().as_bytes().utf8_chunks() {
        for char in chunk.valid().chars() {
            push(&mut shown, char);
        }
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

/// A text of several lines. Their ends stay, and so do tabs.
pub fn text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' | '\t' => shown.push(char),
            char => push(&mut shown, char),
        }
    }
    shown
}

/// A JSON text that means the same. Such characters are in its strings only, but for the line ends between values.
pub fn json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if char == '\n' || !is_harmful(char) {
            shown.push(char);
        } else {
            for unit in char.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        }
    }
    shown
}

fn push(shown: &mut String, char: char) {
    if !is_harmful(char) || !Defence::NameText.stands() {
        shown.push(char);
    } else if matches!(char, '\n' | '\r' | '\t') {
        shown.extend(char.escape_default());
    } else {
        shown.extend(char.escape_unicode());
    }
}

fn is_harmful(char: char) -> bool {
    char.is_control() || MISLEADING.iter().any(|(first, last)| (*first..=*last).contains(&char))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use proptest::prelude::*;

    use super::{is_harmful, json, name, text};

    #[test]
    fn a_name_is_shown_in_one_line_without_controls() {
        let shown = |bytes: &[u8]| name(OsStr::from_bytes(bytes));
        assert_eq!(shown(b"a\x1b]52;c;eA==\x07b"), "a\\u{1b}]52;c;eA==\\u{7}b");
        assert_eq!(shown(b"one\ntwo\r\tthree\x7f"), "one\\ntwo\\r\\tthree\\u{7f}");
        assert_eq!(shown("c1 \u{9b}2J".as_bytes()), "c1 \\u{9b}2J");
        assert_eq!(shown(b"raw \x9b2J \xff"), "raw \\x9b2J \\xff");
        assert_eq!(shown("txt.\u{202e}cod.exe\u{2066}".as_bytes()), "txt.\\u{202e}cod.exe\\u{2066}");
        let plain = "Grüße, \u{65}\u{301}, 日本, 👩\u{200d}💻 \\ '";
        assert_eq!(name(plain), plain);
    }

    #[test]
    fn a_json_text_means_the_same_and_has_no_controls() {
        let value = "\u{1b}[2J \u{7f} \u{9b}2J \u{202e} \u{e0041} \n é";
        let shown = json(&serde_json::to_string_pretty(&[value]).unwrap());
        assert_eq!(shown, "[\n  \"\\u001b[2J \\u007f \\u009b2J \\u202e \\udb40\\udc41 \\n é\"\n]");
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), [value]);
    }

    proptest! {
        #[test]
        fn nothing_harmful_is_ever_shown(bytes: Vec<u8>, words: String) {
            prop_assert!(!name(OsStr::from_bytes(&bytes)).chars().any(is_harmful));
            prop_assert!(!name(&words).chars().any(is_harmful));
            prop_assert!(!text(&words).chars().any(|char| is_harmful(char) && !"\n\t".contains(char)));
        }
    }
}
