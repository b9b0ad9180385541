//! Store paths for closures of every size, in a store in memory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::Result;
use walkdir::WalkDir;

use super::Size;

/// The letters of Nix's base 32.
const LETTERS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";
/// How many files a directory has.
const IN_DIRECTORY: u32 = 100;
/// What is in each of them.
const CONTENTS: [u8; 64] = [b'x'; 64];

/// The store paths of a closure.
pub fn paths(size: Size) -> Vec<PathBuf> {
    (0..size.paths).map(|number| path(size, number)).collect()
}

/// One more, which refers to all of them: a derivation that named them itself would have too large an environment.
pub fn all(size: Size) -> PathBuf {
    path(size, size.paths)
}

/// Makes them.
pub fn make(size: Size) -> Result<()> {
    let each = size.files / size.paths;
    fs::write(all(size), "")?;
    for path in paths(size) {
        for number in 0..each {
            let directory = path.join((number / IN_DIRECTORY).to_string());
            if number % IN_DIRECTORY == 0 {
                fs::create_dir_all(&directory)?;
            }
            fs::write(directory.join(number.to_string()), CONTENTS)?;
        }
        // As a store has it, so that nobody could write through a link.
        for entry in WalkDir::new(&path).contents_first(true) {
            let entry = entry?;
            let mode = if entry.file_type().is_dir() { 0o555 } else { 0o444 };
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}

/// A name that no other closure has.
fn path(size: Size, number: u32) -> PathBuf {
    let mut rest = (u64::from(size.files) << 40) | (u64::from(size.paths) << 20) | u64::from(number);
    let mut hash = [b'0'; 32];
    for letter in &mut hash {
        *letter = LETTERS[(rest % 32) as usize];
        rest /= 32;
    }
    format!("/nix/store/{}-p", String::from_utf8_lossy(&hash)).into()
}
