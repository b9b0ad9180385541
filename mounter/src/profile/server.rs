//! The profile of the process that serves a view.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::NO_SET_ID;
use super::forms::allow;

/// What is denied is what serving does not take; all else, such as threads, memory and the table of sockets, stays as it is.
/// Its socket listens already.
const DENIED: &str = "\
(version 1)
(allow default)
(deny process-exec* process-fork)
(deny network-outbound network-bind)
(deny file-write*)
(deny file-read-data)
";

/// The text, for a server of these files and trees. It goes to them one directory at a time, from the root.
#[must_use]
pub fn server(read: &[PathBuf], write: &[PathBuf]) -> String {
    let all = read.iter().chain(write).map(PathBuf::as_path);
    let above: BTreeSet<&Path> = all.flat_map(|path| path.ancestors().skip(1)).collect();
    let mut text = String::from(DENIED);
    text += &allow("file-read-data", "literal", above);
    text += &allow("file-read-data", "subpath", read);
    text += &allow("file-read-data file-write*", "subpath", write);
    text + NO_SET_ID
}

#[cfg(test)]
mod tests {
    use super::server;

    #[test]
    fn a_server_reads_what_it_shows_and_writes_what_is_writable() {
        let read = ["/nix/store/aaaa-bash".into(), "/etc/\"odd\"".into()];
        let write = ["/private/tmp/nix-build/scratch".into()];
        insta::assert_snapshot!(server(&read, &write), @r#"
        (version 1)
        (allow default)
        (deny process-exec* process-fork)
        (deny network-outbound network-bind)
        (deny file-write*)
        (deny file-read-data)
        (allow file-read-data
          (literal "/")
          (literal "/etc")
          (literal "/nix")
          (literal "/nix/store")
          (literal "/private")
          (literal "/private/tmp")
          (literal "/private/tmp/nix-build"))
        (allow file-read-data
          (subpath "/nix/store/aaaa-bash")
          (subpath "/etc/\"odd\""))
        (allow file-read-data file-write*
          (subpath "/private/tmp/nix-build/scratch"))
        (deny file-write-setugid)
        "#);
    }
}
