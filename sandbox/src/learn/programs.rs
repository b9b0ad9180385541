//! Programs with their loaders, libraries and interpreters: a word for each instead of a path for each file.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nfs_server::view::Entry;

use crate::program;

/// Paths with the programs taken out.
pub(super) struct Folded {
    /// The programs, each by the first of its names that was used.
    pub with: Vec<PathBuf>,
    /// What no program needs to start.
    pub rest: BTreeSet<PathBuf>,
}

/// Takes the programs out of `used`: files that may be executed and of which all that they need to start was used too, here
/// or in a directory that is shown whole. A program that was only copied is a file like others.
pub(super) fn fold(used: &BTreeSet<PathBuf>, whole: &BTreeSet<PathBuf>) -> Folded {
    let (mut with, mut covered) = (Vec::new(), BTreeSet::new());
    // A link is what was asked for, and shows its target too.
    let (links, files): (Vec<&PathBuf>, Vec<&PathBuf>) = used.iter().partition(|path| path.is_symlink());
    for path in links.into_iter().chain(files) {
        if covered.contains(path) || !may_be_program(path) {
            continue;
        }
        let Ok(entries) = program::entries(path) else { continue };
        let is_used = |at: &Path| {
            used.contains(at)
                || at == Path::new(program::LOADER_CACHE)
                || at.ancestors().any(|above| whole.contains(above))
        };
        if entries.iter().all(|entry| is_used(entry.at())) {
            covered.extend(entries.iter().map(Entry::at).map(Path::to_path_buf));
            with.push(path.clone());
        }
    }
    Folded { with, rest: used.difference(&covered).cloned().collect() }
}

fn may_be_program(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    // Some libraries may be executed, and nobody does.
    let is_library = name.as_bytes().windows(3).any(|part| part == b".so") || name == OsStr::new("");
    let executable =
        || path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    !is_library && executable()
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    fn paths_of(program: &str) -> BTreeSet<PathBuf> {
        let program = program::which(program.as_ref()).unwrap();
        program::entries(&program).unwrap().iter().map(|entry| entry.at().into()).collect()
    }

    #[test]
    fn a_program_stands_for_all_that_it_needs() {
        let (env, mut used) = (program::which("env".as_ref()).unwrap(), paths_of("env"));
        used.insert("/etc/hostname".into());
        let Folded { with, rest } = fold(&used, &BTreeSet::new());
        assert_eq!(with, *std::slice::from_ref(&env));
        assert_eq!(rest, ["/etc/hostname".into()].into());

        let library = used.iter().find(|path| path.ends_with("libc.so.6")).unwrap().clone();
        used.retain(|path| *path != library);
        let copied = fold(&used, &BTreeSet::new());
        assert_eq!((copied.with.len(), copied.rest.contains(&env)), (0, true));
        let whole = [library.parent().unwrap().into()].into();
        assert_eq!(fold(&used, &whole).with, [env]);
    }
}
