//! What strace(1) saw of a program's paths, to compare a report of its view with.

use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

/// How strace is called for what [`Traced::parse`] reads.
pub const WORDS: [&str; 5] = ["strace", "-f", "-y", "-e", "trace=%file,connect,bind"];
/// Places that are not this machine's in a view.
const OWN: [&str; 4] = ["/proc", "/sys", "/dev", "/tmp"];

/// Every path that programs named in system calls.
#[derive(Debug, Default)]
pub struct Traced {
    /// Those that were there.
    pub found: BTreeSet<PathBuf>,
    /// Those that were not (ENOENT).
    pub absent: BTreeSet<PathBuf>,
}

/// How a report and a trace differ.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Paths that are on this machine, were asked for in vain, and are in both.
    pub agreed: BTreeSet<PathBuf>,
    /// Those that are not in the report.
    pub unreported: BTreeSet<PathBuf>,
    /// Paths of the report that the program met as directories: it went into them, or asked for no more than them.
    pub walked: BTreeSet<PathBuf>,
    /// Those of which the trace knows nothing.
    pub untraced: BTreeSet<PathBuf>,
}

impl Traced {
    /// Of strace's lines. Of names that are not absolute only those are known whose directory strace names.
    #[must_use]
    pub fn parse(text: &str) -> Traced {
        let mut traced = Traced::default();
        let mut unfinished: HashMap<&str, &str> = HashMap::new();
        for line in text.lines() {
            let Some((process, rest)) = line.split_once(' ') else { continue };
            let rest = rest.trim_start();
            if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
                unfinished.insert(process, begun);
            } else if rest.starts_with("<... ") {
                if let Some(begun) = unfinished.remove(process) {
                    traced.add(begun, rest);
                }
            } else {
                traced.add(rest, rest);
            }
        }
        traced
    }

    fn add(&mut self, call: &str, end: &str) {
        let Some((name, arguments)) = call.split_once('(') else { return };
        let Some((_, result)) = end.rsplit_once(" = ") else { return };
        let paths = paths(arguments, &mut self.found).into_iter();
        let into = if result.starts_with("-1 ENOENT") { &mut self.absent } else { &mut self.found };
        // The first text of these is what a link says; all but the first of execve's are words.
        let paths: Vec<PathBuf> = match name {
            "symlink" | "symlinkat" => paths.skip(1).flatten().collect(),
            "execve" | "execveat" => paths.take(1).flatten().collect(),
            _ => paths.flatten().collect(),
        };
        into.extend(paths);
    }

    /// Compares what a program was not shown with what a report says of it. Both are about the same root, but for places that are
    /// the view's own and those in `own`.
    #[must_use]
    pub fn compare(&self, reported: &BTreeSet<PathBuf>, own: &[&str]) -> Comparison {
        let is_own = |path: &Path| OWN.iter().chain(own).any(|own| path.starts_with(own));
        let real = |path: &PathBuf| {
            let parent = path.parent()?.canonicalize().ok()?;
            let path = parent.join(path.file_name()?);
            (!is_own(&path) && path.symlink_metadata().is_ok()).then_some(path)
        };
        let mut comparison = Comparison::default();
        for (named, path) in self.absent.iter().filter_map(|named| Some((named, real(named)?))) {
            // Where a link is shown, what it leads to was asked for in vain; where a directory is in its place, the name itself.
            let names = std::iter::once(named.clone()).chain(chain(&path));
            let mut hidden = names.filter(|path| reported.contains(path)).peekable();
            if hidden.peek().is_none() {
                comparison.unreported.insert(path.clone());
            }
            comparison.agreed.extend(hidden);
        }
        for path in reported.iter().filter(|path| !comparison.agreed.contains(*path) && !is_own(path)) {
            let met = self
                .found
                .iter()
                .chain(&self.absent)
                .any(|named| chain(named).iter().any(|named| named.starts_with(path)));
            let into = if met && path.is_dir() { &mut comparison.walked } else { &mut comparison.untraced };
            into.insert(path.clone());
        }
        comparison
    }
}

/// A path, and what it leads to if it is a link.
fn chain(path: &Path) -> Vec<PathBuf> {
    /// As many as the kernel follows.
    const LINKS: usize = 40;
    let next = |path: &PathBuf| {
        let target = path.parent()?.join(path.read_link().ok()?);
        Some(target.parent()?.canonicalize().ok()?.join(target.file_name()?))
    };
    std::iter::successors(Some(path.to_owned()), next).take(LINKS).collect()
}

/// The texts among a call's arguments, in order; those that are no path that can be known are `None`. Directories that a path goes
/// into and out of again are `left`.
fn paths(arguments: &str, left: &mut BTreeSet<PathBuf>) -> Vec<Option<PathBuf>> {
    let mut found = Vec::new();
    let mut rest = arguments;
    while let Some((before, after)) = rest.split_once('"') {
        let Some((text, after)) = quoted(after) else { break };
        let directory = before.rsplit_once('<').and_then(|(_, directory)| directory.strip_suffix(">, "));
        found.push(whole(&text, directory, left));
        rest = after;
    }
    found
}

/// A text until its closing quotation mark, and what follows that.
fn quoted(after: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut characters = after.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((text, &after[at + 1..])),
            '\\' => text.push(characters.next()?.1),
            character => text.push(character),
        }
    }
    None
}

fn whole(text: &str, directory: Option<&str>, left: &mut BTreeSet<PathBuf>) -> Option<PathBuf> {
    let path = match directory {
        _ if text.starts_with('/') => PathBuf::from(text),
        Some(directory) if !text.is_empty() => Path::new(directory).join(text),
        _ => return None,
    };
    // As no directory in it is a link, but for those that are followed before the comparison.
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                left.insert(plain.clone());
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = r#"5     execve("/usr/bin/sh", ["sh", "-c", "/not/a/path"], 0x7ffd /* 3 vars */) = 0
5     openat(AT_FDCWD</src>, "../etc/passwd", O_RDONLY) = -1 ENOENT (No such file or directory)
6     newfstatat(3</usr/lib/libc.so.6>, "", {st_mode=S_IFREG|0755}, AT_EMPTY_PATH) = 0
6     access("relative", F_OK) = -1 ENOENT (No such file or directory)
6     access("/usr/bin/env", F_OK <unfinished ...>
7     symlink("/what/it/says", "/src/./link") = 0
6     <... access resumed>) = -1 ENOENT (No such file or directory)
7     +++ exited with 0 +++
"#;

    fn set(paths: &[&str]) -> BTreeSet<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn paths_are_read_with_what_came_of_them() {
        let traced = Traced::parse(TRACE);
        assert_eq!(traced.absent, set(&["/etc/passwd", "/usr/bin/env"]));
        assert_eq!(traced.found, set(&["/src", "/src/link", "/usr/bin/sh"]));
    }

    #[test]
    fn what_either_does_not_know_is_told_apart() {
        let reported = set(&["/etc/passwd", "/etc", "/usr/bin", "/bin/cat"]);
        let comparison = Traced::parse(TRACE).compare(&reported, &[]);
        assert_eq!(comparison.agreed, set(&["/etc/passwd"]));
        assert_eq!(comparison.unreported, set(&["/usr/bin/env"]));
        assert_eq!(comparison.walked, set(&["/etc", "/usr/bin"]));
        assert_eq!(comparison.untraced, set(&["/bin/cat"]));
    }
}
