//! What a program needs beside itself to start: loader, libraries, interpreter; on the host and in a view.
//!
//! A chroot without them is silent: the kernel answers ENOENT for a file that is plainly there, or the loader exits.
//! [`entries`] shows a host program with all of it; [`check`] says what of it a view lacks.

mod cache;
mod elf;
mod files;
mod link_path;
mod macho;
mod script;
mod search;
mod walk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, io};

use nfs_server::view::{Access, Entry, View};

use files::Host;
pub(crate) use search::CACHE as LOADER_CACHE;
use walk::LibraryWalk;

/// What keeps a program from starting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// The program or a library is not there.
    #[error("{path:?} does not exist there")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The program is a directory, a device or the like.
    #[error("{path:?} is not a regular file")]
    NotRegular {
        /// Its path.
        path: PathBuf,
    },
    /// A script's interpreter is not there.
    #[error("the interpreter {interpreter:?} of the script {script:?} does not exist there")]
    Interpreter {
        /// The script.
        script: PathBuf,
        /// What its first line names.
        interpreter: PathBuf,
    },
    /// The loader of a dynamic program is not there.
    #[error("the loader {loader:?} of {program:?} does not exist there")]
    Loader {
        /// The program.
        program: PathBuf,
        /// What it names as its loader.
        loader: PathBuf,
    },
    /// A library is in no directory that the loader searches.
    #[error(
        "the library {library:?} that {object:?} needs is in no directory that its loader searches there"
    )]
    Library {
        /// The program or library that needs it.
        object: PathBuf,
        /// Its name.
        library: PathBuf,
    },
    /// Nobody may execute the file.
    #[error("{path:?} is not marked as executable")]
    NotExecutable {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a program.
    #[error("{path:?} is neither a program for any system nor a script that starts with '#!'")]
    NotProgram {
        /// The file.
        path: PathBuf,
    },
    /// The file is a program for another system.
    #[error("{path:?} is a program for {system}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// For what it is.
        system: String,
    },
    /// A file cannot be understood.
    #[error("{path:?} cannot be understood: {problem}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file cannot be read.
    #[error("{path:?} cannot be read: {problem}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// Why a host program cannot be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShowError {
    /// It is in no directory of PATH.
    #[error("this machine has no program {0:?} in its PATH")]
    NotInPath(PathBuf),
    /// Its path is not absolute.
    #[error("the path of the program {0:?} is not absolute")]
    Relative(PathBuf),
    /// Something that it needs is missing on the host itself.
    #[error("the program {program:?} of this machine is not complete")]
    Incomplete {
        /// The program.
        program: PathBuf,
        /// What is missing.
        source: ProgramError,
    },
    /// The host's links cannot be followed.
    #[error("cannot follow {path:?}")]
    Links {
        /// The path.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}

/// The host program that a word means: a path, or a name in PATH.
///
/// # Errors
/// If there is none.
pub fn which(word: &Path) -> Result<PathBuf, ShowError> {
    if word.is_absolute() {
        return Ok(word.into());
    }
    if word.components().count() > 1 {
        return Err(ShowError::Relative(word.into()));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(word))
        .find(|program| is_executable(program))
        .ok_or_else(|| ShowError::NotInPath(word.into()))
}

/// Entries that show a host program at its own path, with its loader, its libraries and its interpreter, and the
/// symbolic links on the way to each.
///
/// # Errors
/// If the program would not start on the host itself.
pub fn entries(program: &Path) -> Result<Vec<Entry>, ShowError> {
    let incomplete = |source| ShowError::Incomplete { program: program.into(), source };
    let path = env::var_os("PATH").unwrap_or_default();
    let found = LibraryWalk::new(&Host, env::split_paths(&path).collect(), Vec::new())
        .all(program)
        .map_err(incomplete)?;
    let mut entries = BTreeMap::new();
    for path in &found.files {
        link_path::add(path, &mut entries)?;
    }
    if found.dynamic && Path::new(LOADER_CACHE).exists() {
        // Without it the loader looks in its few default directories only.
        let cache = PathBuf::from(LOADER_CACHE);
        entries.entry(cache.clone()).or_insert(graft(cache));
    }
    Ok(entries.into_values().collect())
}

/// Whether a program could start in a view, as far as its files tell. `search_path` is where `env` looks for an
/// interpreter, `library_path` where the loader looks first.
///
/// # Errors
/// The first thing that it lacks.
pub fn check(
    view: &View,
    program: &Path,
    search_path: Vec<PathBuf>,
    library_path: Vec<PathBuf>,
) -> Result<(), ProgramError> {
    LibraryWalk::new(view, search_path, library_path).all(program).map(|_| ())
}

fn graft(path: PathBuf) -> Entry {
    Entry::Graft { at: path.clone(), source: path, access: Access::Ro, optional: false }
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
