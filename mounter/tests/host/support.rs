//! A host directory that is complete enough to run a shell in, and a jail around it.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use mounter::jail::{
    Device, ExitOutcome, Ids, Jail, JailError, JailSpec, Local, Root, SpawnRequest, Spawner, StdioFds,
    SystemCalls, User,
};

/// A user and a group that own nothing here.
pub const USER: User = User::new(30001, 30000);

/// The same with the numbers that Nix's builders have inside.
pub const MAPPED: User =
    User { inside: Some(Ids { uid: 1000, gid: 100 }), uid: 30001, gid: 30000, groups: Vec::new() };

/// Root, in the only way that a jail has it.
pub const ROOT: User = User { uid: 0, gid: 0, groups: Vec::new(), inside: Some(Ids { uid: 0, gid: 0 }) };

/// What the shell scripts of the tests call.
const PROGRAMS: [&str; 16] = [
    "mount", "umount", "unshare", "sh", "cat", "ls", "id", "hostname", "sleep", "mkdir", "readlink", "stat",
    "touch", "kill", "chmod", "uname",
];

/// A request whose specification is at hand.
pub struct Prepared {
    pub root: Root,
    pub devices: Vec<Device>,
    spec: JailSpec,
}

impl Prepared {
    pub fn request(&self) -> SpawnRequest {
        SpawnRequest {
            root: self.root.clone(),
            devices: self.devices.clone(),
            local: Local::default(),
            spec: self.spec.clone(),
        }
    }
}

impl Deref for Prepared {
    type Target = JailSpec;

    fn deref(&self) -> &JailSpec {
        &self.spec
    }
}

impl DerefMut for Prepared {
    fn deref_mut(&mut self) -> &mut JailSpec {
        &mut self.spec
    }
}

pub struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    /// Copies the programs and all that they load.
    pub fn new() -> Place {
        assert!(nix::unistd::geteuid().is_root(), "jails need root, and so do these tests");
        let place = Place { directory: tempfile::tempdir().unwrap() };
        for directory in ["bin", "proc", "dev/pts", "dev/shm", "tmp", "work"] {
            fs::create_dir_all(place.root().join(directory)).unwrap();
        }
        for program in PROGRAMS {
            place.add(&which(program), &Path::new("/bin").join(program));
        }
        fs::set_permissions(place.root(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(place.root().join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
        fs::write(place.root().join("dev/null"), "").unwrap();
        symlink("pts/ptmx", place.root().join("dev/ptmx")).unwrap();
        place
    }

    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    /// A jail in this place that runs a shell script as an ordinary user.
    pub fn spec(&self, script: &str) -> Prepared {
        let argv = ["sh", "-c", script].map(OsString::from).to_vec();
        let spec = JailSpec {
            proc: Some("/proc".into()),
            pts: Some("/dev/pts".into()),
            shm: Some("/dev/shm".into()),
            env: vec![("PATH".into(), "/bin".into())],
            cwd: "/work".into(),
            system_calls: SystemCalls::default(),
            ..JailSpec::new(USER, "/bin/sh", argv)
        };
        Prepared { root: Root::Directory(self.root().into()), devices: Vec::new(), spec }
    }

    fn add(&self, host: &Path, at: &Path) {
        let inside = self.root().join(at.strip_prefix("/").unwrap());
        fs::create_dir_all(inside.parent().unwrap()).unwrap();
        fs::copy(host, &inside).unwrap();
        let listed = Command::new("ldd").arg(host).output().unwrap();
        for word in
            String::from_utf8_lossy(&listed.stdout).split_whitespace().filter(|word| word.starts_with('/'))
        {
            let inside = self.root().join(word.strip_prefix('/').unwrap());
            if !inside.exists() {
                fs::create_dir_all(inside.parent().unwrap()).unwrap();
                fs::copy(word, &inside).unwrap();
            }
        }
    }
}

/// Starts a jail whose output is collected.
pub fn spawn(spec: &Prepared) -> Result<Jail, JailError> {
    let stderr = std::io::stderr().as_fd().try_clone_to_owned().unwrap();
    let silent = StdioFds { stderr, ..StdioFds::null().unwrap() };
    Jail::spawn(&SPAWNER, &spec.request(), silent)
}

/// Runs a jail to its end; the answer is what its program printed, and how it ended.
pub fn run(spec: &Prepared) -> Result<(String, ExitOutcome), JailError> {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let errors = writer.try_clone().unwrap();
    let stdio = StdioFds { stdout: writer.into(), stderr: errors.into(), ..StdioFds::null().unwrap() };
    let jail = Jail::spawn(&SPAWNER, &spec.request(), stdio)?;
    let mut output = String::new();
    reader.read_to_string(&mut output).unwrap();
    Ok((output, jail.wait()?))
}

/// Has supervisors forked by the example of that name, which cargo builds beside the tests.
pub static SPAWNER: LazyLock<Spawner> = LazyLock::new(|| {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().and_then(Path::parent).unwrap().join("examples/supervisor");
    assert!(
        built.exists(),
        "{} is missing: run the tests with `cargo test -p loopbox-mounter`",
        built.display()
    );
    Spawner::new(built)
});

fn which(program: &str) -> PathBuf {
    let found = ["/usr/bin", "/bin"].iter().map(|directory| Path::new(directory).join(program));
    found.into_iter().find(|path| path.exists()).unwrap_or_else(|| panic!("this host has no {program}"))
}
