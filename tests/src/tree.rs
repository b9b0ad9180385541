//! The source tree, as the tests of how it is kept read it.

use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// The top of the source tree.
///
/// # Panics
/// It is gone.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the checkout exists")
}

/// Files of the tree with one of these extensions, each with its path from the top and its text; none of what is made.
///
/// # Panics
/// One of them cannot be read, or is not UTF-8.
pub fn files(extensions: &[&str]) -> Vec<(PathBuf, String)> {
    let top = checkout();
    let entered = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        entry.depth() == 0 || !(name.starts_with("target") || name.starts_with(".git"))
    };
    WalkDir::new(&top)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(entered)
        .map(|entry| entry.expect("the tree can be read").into_path())
        .filter(|path| path.extension().is_some_and(|found| extensions.iter().any(|wanted| found == *wanted)))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a source file is text");
            (path.strip_prefix(&top).expect("below the top").to_owned(), text)
        })
        .collect()
}
