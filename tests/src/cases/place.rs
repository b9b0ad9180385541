//! What a case is given: a directory, and short ways to look at it.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, setfsgid, setfsuid};

use super::Ground;

/// The build user that views are made for.
pub const USER: u32 = 30_001;

/// An empty directory on the ground that is tested.
pub struct Place {
    dir: PathBuf,
    /// What it is on.
    pub ground: Ground,
}

impl Place {
    /// A place in this directory.
    pub fn new(dir: PathBuf, ground: Ground) -> Place {
        Place { dir, ground }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A path in it.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.join(name)
    }

    /// The same path behind the server, where no client's cache is in between.
    pub fn behind(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.path(name);
        match path.strip_prefix(self.ground.at()) {
            Ok(below) => self.ground.backing().join(below),
            // The machine's own file system has no server.
            Err(_) => path,
        }
    }

    /// A new file with these contents.
    pub fn file(&self, name: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, contents).expect("a file can be written");
        path
    }

    /// A new directory.
    pub fn directory(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).expect("a directory can be made");
        path
    }

    /// A new symbolic link.
    pub fn link(&self, name: impl AsRef<Path>, target: impl AsRef<Path>) -> PathBuf {
        let path = self.path(name);
        symlink(target, &path).expect("a symbolic link can be made");
        path
    }

    /// A shell script in this directory; it has to succeed. Its standard output is the answer.
    pub fn shell(&self, script: &str) -> String {
        let output = self.try_shell(script);
        assert!(
            output.status.success(),
            "`{script}` ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// A shell script in this directory, whatever comes of it.
    pub fn try_shell(&self, script: &str) -> Output {
        Command::new("sh")
            .args(["-e", "-c", script])
            .current_dir(&self.dir)
            .output()
            .expect("a shell can be started")
    }

    /// The names in a directory, sorted.
    pub fn names(&self, directory: impl AsRef<Path>) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(directory))
            .expect("a directory can be listed")
            .map(|entry| entry.expect("an entry can be read").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Gives the directory to the build user.
    pub fn give(&self) {
        std::os::unix::fs::chown(&self.dir, Some(USER), Some(USER)).expect("root can give a directory away");
    }
}

/// Does something with the file system as another user; the thread is root again afterwards.
pub fn as_user<T>(uid: u32, action: impl FnOnce() -> T) -> T {
    setfsgid(Gid::from_raw(uid));
    setfsuid(Uid::from_raw(uid));
    let result = action();
    setfsuid(Uid::from_raw(0));
    setfsgid(Gid::from_raw(0));
    result
}

/// Attributes without following a link.
pub fn stat(path: impl AsRef<Path>) -> Metadata {
    fs::symlink_metadata(&path).unwrap_or_else(|error| panic!("stat {}: {error}", path.as_ref().display()))
}

/// Permission bits.
pub fn mode(path: impl AsRef<Path>) -> u32 {
    stat(path).permissions().mode() & 0o7777
}

/// Inode number.
pub fn inode(path: impl AsRef<Path>) -> u64 {
    stat(path).ino()
}

/// The error number of what should have failed.
pub fn errno<T>(result: std::io::Result<T>) -> Errno {
    match result {
        Ok(_) => panic!("this should have failed"),
        Err(error) => Errno::from_raw(error.raw_os_error().unwrap_or(0)),
    }
}
