//! Links to outputs that keep them from the garbage collector, named as `nix-build` names them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use builder::store::{Store, StoreError};
use builder::store_path::StorePath;

/// Makes the links: `LINK` for the first derivation's `out`, `LINK-2` for the next one's, each with `-NAME` for other
/// outputs.
pub fn make(store: &Store, link: &Path, outputs: &[Vec<(String, StorePath)>]) -> Result<(), StoreError> {
    for (number, of_one) in (1..).zip(outputs) {
        for (output, path) in of_one {
            store.add_root(path, &name(link, number, output))?;
        }
    }
    Ok(())
}

fn name(link: &Path, number: usize, output: &str) -> PathBuf {
    let mut name = OsString::from(link);
    if number > 1 {
        name.push(format!("-{number}"));
    }
    if output != "out" {
        name.push(format!("-{output}"));
    }
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_named_after_number_and_output() {
        let names = [(1, "out"), (1, "dev"), (2, "out"), (2, "dev")];
        let names =
            names.map(|(number, output)| name(Path::new("result"), number, output).display().to_string());
        assert_eq!(names, ["result", "result-dev", "result-2", "result-2-dev"]);
    }
}
