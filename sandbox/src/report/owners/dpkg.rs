//! What dpkg's database says (dpkg-query(1)).

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{AT_ONCE, SHARED_BY};

const DPKG_QUERY: &str = "/usr/bin/dpkg-query";
/// Characters that it takes for patterns.
const PATTERNS: &[u8] = b"*?[\\";

/// The packages of paths, as far as dpkg knows them; nothing where there is no dpkg.
pub fn packages(paths: &[PathBuf]) -> HashMap<PathBuf, Vec<String>> {
    if !Path::new(DPKG_QUERY).exists() {
        return HashMap::new();
    }
    let plain: Vec<&PathBuf> = paths
        .iter()
        .filter(|path| !path.as_os_str().as_bytes().iter().any(|byte| PATTERNS.contains(byte)))
        .collect();
    let mut known = HashMap::new();
    for some in plain.chunks(AT_ONCE) {
        let mut query = Command::new(DPKG_QUERY);
        query.arg("--search").args(some).env("LC_ALL", "C").stdin(Stdio::null()).stderr(Stdio::null());
        // It fails if it does not know one of them.
        let Ok(output) = query.output() else { break };
        known.extend(output.stdout.split(|byte| *byte == b'\n').filter_map(line));
    }
    known
}

/// A line of its answer: names of packages, and a path; none for a directory that many share, and that is nobody's.
fn line(line: &[u8]) -> Option<(PathBuf, Vec<String>)> {
    let colon = line.windows(3).position(|bytes| bytes == b": /")?;
    let packages: Vec<String> = str::from_utf8(&line[..colon]).ok()?.split(", ").map(str::to_owned).collect();
    // The other kind of line tells of diversions.
    let named = packages.len() <= SHARED_BY && packages.iter().all(|package| !package.contains(' '));
    named.then(|| (PathBuf::from(OsStr::from_bytes(&line[colon + 2..])), packages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_dpkg_are_read() {
        let read = |text: &str| line(text.as_bytes());
        assert_eq!(read("bash: /bin/bash"), Some(("/bin/bash".into(), vec!["bash".into()])));
        let shared = "libc6:amd64, libc6-dev:amd64: /usr/share/doc";
        let packages = vec!["libc6:amd64".to_owned(), "libc6-dev:amd64".to_owned()];
        assert_eq!(read(shared), Some(("/usr/share/doc".into(), packages)));
        assert_eq!(read("a, b, c, d: /usr"), None, "nobody's");
        assert_eq!(read("diversion by dash from: /bin/sh"), None);
        assert_eq!(read(""), None);
        let odd = "a: /b: /c";
        assert_eq!(read(odd), Some(("/b: /c".into(), vec!["a".into()])));
    }
}
