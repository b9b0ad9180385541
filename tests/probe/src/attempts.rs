//! What a process tries, and what it is answered: `ok`, what it then finds, or the name of the error.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::report::{Report, answer};
use crate::sys;

mod files;
mod inputs;
mod kernel;
mod modes;
mod namespaces;
mod network;
mod process;

/// An attempt's name, and how it is made.
type Attempt = (&'static str, fn(&Scene) -> Answer);
/// What an attempt came to.
type Answer = nix::Result<String>;

/// Where attempts are made.
struct Scene {
    /// A directory of this process's own.
    place: PathBuf,
    /// The path of the output, where there is nothing yet.
    output: PathBuf,
    /// Something in the store that the build depends on: a directory with a file called `file`.
    input: PathBuf,
}

impl Scene {
    /// A path at which there is nothing.
    fn free(&self, name: &str) -> PathBuf {
        self.place.join(name)
    }

    /// A new file.
    fn file(&self, name: &str) -> nix::Result<PathBuf> {
        let path = self.free(name);
        crate::report::errno(std::fs::write(&path, "text"))?;
        Ok(path)
    }
}

/// Directories that can be written to, each with what is special of it.
const PLACES: [(&str, &str); 4] = [
    ("/build", "/build/attempts"),
    ("/tmp", "/tmp/attempts"),
    ("/dev/shm", "/dev/shm/attempts"),
    ("store", "/nix/store/attempts"),
];

pub fn look(report: &mut Report, output: &Path, shown: &[PathBuf]) {
    let input = shown.first().cloned().unwrap_or_default();
    let tables =
        [inputs::ATTEMPTS, process::ATTEMPTS, namespaces::ATTEMPTS, network::ATTEMPTS, kernel::ATTEMPTS];
    let scene = |place: &str| Scene { place: place.into(), output: output.into(), input: input.clone() };
    for (_, place) in PLACES {
        // An attempt that finds no directory says so.
        let _ = std::fs::create_dir(place);
    }
    for (name, attempt) in tables.into_iter().flatten() {
        make(report, &scene(PLACES[0].1), name, *attempt);
    }
    // What a file system makes of them: there are several.
    for (called, place) in PLACES {
        for (name, attempt) in modes::ATTEMPTS.iter().chain(files::ATTEMPTS) {
            make(report, &scene(place), &format!("{called}: {name}"), *attempt);
        }
    }
    for (_, place) in PLACES {
        let _ = std::fs::remove_dir_all(place);
    }
}

fn make(report: &mut Report, scene: &Scene, name: &str, attempt: fn(&Scene) -> Answer) {
    report.put("attempt", name, sys::in_child(|| answer(attempt(scene))));
}

/// A path as the kernel takes it.
fn text(path: impl AsRef<Path>) -> nix::Result<CString> {
    CString::new(path.as_ref().as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}

/// What an attempt that has no more to say comes to.
fn ok<T>(_: T) -> String {
    "ok".into()
}
