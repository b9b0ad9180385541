//! Rules over many paths, in as many forms as it takes for each to stay small.

use std::path::Path;

use super::quote;

/// The longest form, in bytes of text. What one form names is compiled into one object, which may have 65,535 bytes
/// ("data object length … exceeds maximum"); several forms of the same kind add up. A quarter of that, because nobody
/// says how text becomes an object.
const FORM_MAX: usize = 1 << 14;

/// `(allow OPERATIONS (FILTER "path") …)`, as often as need be, never without paths.
pub(super) fn allow<P: AsRef<Path>>(
    operations: &str,
    filter: &str,
    paths: impl IntoIterator<Item = P>,
) -> String {
    let mut text = String::new();
    let mut length = 0;
    for path in paths {
        let item = format!("\n  ({filter} {})", quote(path.as_ref()));
        if length == 0 || length + item.len() > FORM_MAX {
            text += if length == 0 { "" } else { ")\n" };
            let head = format!("(allow {operations}");
            length = head.len();
            text += &head;
        }
        length += item.len();
        text += &item;
    }
    text + if length == 0 { "" } else { ")\n" }
}
