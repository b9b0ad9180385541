//! What a case is given: a directory, and short ways to look at it.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};

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

    /// Whether a local file system is behind it, and not a server.
    pub fn is_local(&self) -> bool {
        self.ground == Ground::Tmpfs
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

    /// Another process of this program, which does something in this directory; ready to be started.
    pub fn other<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Other {
        let mut command = Command::new("/proc/self/exe");
        command
            .arg("__other")
            .args(words)
            .current_dir(&self.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        Other::start(&mut command)
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

/// A process that does its part beside a case.
pub struct Other {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Other {
    fn start(command: &mut Command) -> Other {
        let mut child = command.spawn().expect("this program can be started");
        let output = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        Other { child, output }
    }

    /// Its next line.
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("its output can be read");
        line.trim_end().to_owned()
    }

    /// Its process id.
    pub fn id(&self) -> i32 {
        i32::try_from(self.child.id()).expect("ids are small")
    }

    /// Whether it waits in the kernel for something that others have.
    pub fn sleeps(&self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("it lives");
        status.contains("State:\tS")
    }

    /// Ends its input, and waits for its end, which has to be a good one. The rest of its output.
    pub fn end(mut self) -> Vec<String> {
        let (status, lines) = self.last();
        assert!(status.success(), "the other process ended with {status}");
        lines
    }

    /// Ends its input, and waits for its end, whatever it is.
    pub fn last(&mut self) -> (ExitStatus, Vec<String>) {
        drop(self.child.stdin.take());
        let lines: Vec<String> = self.output.by_ref().lines().map_while(Result::ok).collect();
        (self.child.wait().expect("it can be waited for"), lines)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // Both fail only if it is dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
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
