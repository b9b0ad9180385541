//! Which directories are shown whole: those that were listed, and those of which most was used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::ops::Bound;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{LearnRules, UsedPaths};

/// The most that a directory may have below it to be shown whole, each name counted.
const WHOLE_MAX: usize = 20_000;
/// The fewest files that have to be used of a directory that was not listed.
const USED_MIN: usize = 8;
/// Directories with fewer names above them are the machine's, and hold a bit of everything.
const DEPTH_MIN: usize = 2;

/// Paths that were used, by directory.
pub(super) struct Tree<'a> {
    /// How many that are no directories lie at any depth below each.
    files: BTreeMap<&'a Path, usize>,
    listed: &'a BTreeSet<PathBuf>,
}

/// Which directories are shown whole.
pub(super) struct WholeDirs {
    /// Those that are shown whole; none lies in another.
    pub whole: BTreeSet<PathBuf>,
    /// Those that were listed and are not.
    pub in_part: Vec<PathBuf>,
}

impl<'a> Tree<'a> {
    /// Of paths that were used, and directories that were listed.
    pub(super) fn of(used: &'a UsedPaths, listed: &'a BTreeSet<PathBuf>) -> Tree<'a> {
        let mut files: BTreeMap<&Path, usize> = BTreeMap::new();
        for (path, found) in used {
            if found.is_dir() {
                files.entry(path).or_default();
            } else {
                path.ancestors().skip(1).for_each(|above| *files.entry(above).or_default() += 1);
            }
        }
        for path in listed {
            files.entry(path).or_default();
        }
        Tree { files, listed }
    }

    /// Decides for each directory, from the root down.
    pub(super) fn whole_dirs(&self, rules: &LearnRules<'_>) -> WholeDirs {
        let mut found = WholeDirs { whole: BTreeSet::new(), in_part: Vec::new() };
        for (directory, used) in &self.files {
            if directory.ancestors().any(|above| found.whole.contains(above))
                || directory.starts_with(rules.immutable)
            {
                continue;
            }
            let listed = self.listed.contains(*directory);
            let most = match listed {
                true => WHOLE_MAX,
                false if *used >= USED_MIN && !self.is_passage(directory, *used) => WHOLE_MAX.min(2 * used),
                false => continue,
            };
            if may_be_whole(directory, rules) && holds_at_most(directory, most, listed, rules) {
                found.whole.insert(directory.to_path_buf());
            } else if listed {
                found.in_part.push(directory.to_path_buf());
            }
        }
        found
    }

    /// Whether all that was used of a directory lies in one of its directories, which has the better name for it.
    fn is_passage(&self, directory: &Path, used: usize) -> bool {
        let below = self.files.range::<Path, _>((Bound::Excluded(directory), Bound::Unbounded));
        let mut inside = below.take_while(|(path, _)| path.starts_with(directory));
        inside.any(|(path, count)| path.parent() == Some(directory) && *count == used)
    }
}

/// Whether a directory is no place where a bit of everything is.
fn may_be_whole(directory: &Path, rules: &LearnRules<'_>) -> bool {
    let depth = directory.components().count() - 1;
    let is_real = directory.symlink_metadata().is_ok_and(|found| found.is_dir());
    is_real && depth >= DEPTH_MIN && rules.homes.iter().all(|home| !home.starts_with(directory))
}

/// Whether no more than so many names are below, or so many files if the directories among them do not count, and no secret.
fn holds_at_most(directory: &Path, most: usize, count_directories: bool, rules: &LearnRules<'_>) -> bool {
    let mut pending = vec![directory.to_path_buf()];
    let mut count = 0;
    while let Some(at) = pending.pop() {
        let Ok(children) = fs::read_dir(&at) else { return false };
        for child in children {
            let Ok((path, kind)) = child.and_then(|child| Ok((child.path(), child.file_type()?))) else {
                return false;
            };
            count += usize::from(count_directories || !kind.is_dir());
            if count > most || pending.len() > WHOLE_MAX || rules.secrets.is_one(&path) {
                return false;
            }
            if kind.is_dir() {
                pending.push(path);
            }
        }
    }
    true
}

/// Whether a directory that only leads to others has to be declared: nothing leads through it, or it is not as such directories
/// are.
pub(super) fn needs_words(directory: &Path, found: &Metadata, shown: [&BTreeSet<PathBuf>; 2]) -> bool {
    if directory == Path::new("/") {
        return false;
    }
    let below = |paths: &BTreeSet<PathBuf>| {
        let next = paths.range(directory.to_path_buf()..).find(|path| *path != directory);
        next.is_some_and(|next| next.starts_with(directory))
    };
    let leads = shown.into_iter().any(below);
    let usual = (found.uid(), found.gid(), found.mode() & 0o7777) == (0, 0, 0o755);
    !leads || !usual
}

#[cfg(test)]
mod tests {
    use crate::learn::{Secrets, of_used};

    use super::*;

    struct Machine {
        directory: tempfile::TempDir,
        secrets: Secrets,
    }

    impl Machine {
        fn with(files: &[&str]) -> Machine {
            let directory = tempfile::tempdir().unwrap();
            for file in files {
                let path = directory.path().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
            Machine { directory, secrets: Secrets::new(&[]).unwrap() }
        }

        /// What is shown whole or alone, what of directories, and what was listed and is not shown whole.
        fn learn(&self, used: &[&str], listed: &[&str]) -> [Vec<String>; 3] {
            let top = self.directory.path();
            let home = [top.join("home")];
            let rules = LearnRules { immutable: &top.join("store"), homes: &home, secrets: &self.secrets };
            let paths = |names: &[&str]| names.iter().map(|name| top.join(name)).collect();
            let mut all: BTreeSet<PathBuf> = paths(used);
            for path in all.clone() {
                all.extend(path.ancestors().filter(|above| above.starts_with(top)).map(Path::to_path_buf));
            }
            let learnt = of_used(all, &paths(listed), &rules);
            let names = |paths: Vec<PathBuf>| {
                let below =
                    paths.iter().filter(|path| *path != top).map(|path| path.strip_prefix(top).unwrap());
                below.map(|path| path.display().to_string()).collect::<Vec<_>>()
            };
            let shown = learnt.view.ro.into_iter().map(|bind| bind.at).collect();
            [names(shown), names(learnt.view.dir), names(learnt.in_part)]
        }
    }

    fn none() -> Vec<String> {
        Vec::new()
    }

    #[test]
    fn what_was_listed_is_shown_whole() {
        let machine = Machine::with(&["a/b/one", "a/b/c/two", "a/three"]);
        assert_eq!(machine.learn(&["a/b/one"], &["a/b"]), [vec!["a/b".into()], none(), none()]);
        assert_eq!(machine.learn(&["a/b/one"], &[]), [vec!["a/b/one".into()], none(), none()]);
    }

    #[test]
    fn what_was_used_for_the_most_part_is_shown_whole() {
        let names: Vec<String> = (0..20).map(|number| format!("a/b/{number:02}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let machine = Machine::with(&names);
        assert_eq!(machine.learn(&names[..10], &[])[0], ["a/b"]);
        assert_eq!(machine.learn(&names[..9], &[])[0], names[..9]);
        let few = Machine::with(&names[..7]);
        assert_eq!(few.learn(&names[..7], &[])[0], names[..7], "few files are not worth a directory");
    }

    #[test]
    fn homes_and_what_holds_them_are_shown_in_part() {
        let machine = Machine::with(&["home/.profile", "home/src/file", "home/other"]);
        let [shown, _, in_part] = machine.learn(&["home/.profile", "home/src/file"], &["home", "home/src"]);
        assert_eq!((shown, in_part), (vec!["home/.profile".into(), "home/src".into()], vec!["home".into()]));
    }

    #[test]
    fn a_directory_with_a_secret_is_shown_in_part() {
        let machine = Machine::with(&["a/b/file", "a/b/.ssh/config", "a/c/file"]);
        let [shown, _, in_part] = machine.learn(&["a/b/file", "a/c/file"], &["a/b", "a/c"]);
        assert_eq!((shown, in_part), (vec!["a/b/file".into(), "a/c".into()], vec!["a/b".into()]));
    }

    #[test]
    fn an_empty_directory_is_declared_and_one_that_leads_to_others_is_not() {
        let machine = Machine::with(&["a/b/file", "c/d/file"]);
        fs::create_dir(machine.directory.path().join("a/empty")).unwrap();
        let [shown, directories, _] = machine.learn(&["a/b/file", "a/empty"], &[]);
        assert_eq!(shown, ["a/b/file"]);
        assert!(directories.contains(&"a/empty".into()), "{directories:?}");
    }
}
