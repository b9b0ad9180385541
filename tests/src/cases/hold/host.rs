//! A piece of the host with things to attack, and the attacker in a view of it.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::cases::Place;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::place::{USER, stat};

/// Root of the machine, and the user of a build.
pub const USERS: [u32; 2] = [0, USER];

/// The host: `graft/` is shown to the attacker, `secret` is not.
pub struct Host {
    graft: PathBuf,
    secret: PathBuf,
    process: Child,
}

/// Everything about a tree: kind and mode, owner, links, time, and contents.
pub type Tree = BTreeMap<PathBuf, String>;

impl Host {
    /// Files of this user, who could change them all but for the view.
    pub fn new(place: &Place, user: u32) -> Host {
        let graft = place.directory("graft");
        let secret = place.file("secret", "secret");
        place.file("graft/file", "contents");
        let program = place.file("graft/program", "#!/bin/sh\n");
        fs::set_permissions(program, Permissions::from_mode(0o4755)).expect("root can change modes");
        place.directory("graft/empty");
        place.directory("graft/full");
        place.file("graft/full/inner", "inner");
        symlink("file", graft.join("link")).expect("a link can be made");
        symlink(&secret, graft.join("out")).expect("a link can be made");
        for path in ["", "file", "empty", "full", "full/inner"] {
            chown(graft.join(path), Some(user), Some(user)).expect("root can give files away");
        }
        let process =
            Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().expect("sleep can be started");
        Host { graft, secret, process }
    }

    /// The words of `loopbox run` that show the graft to the attacker.
    pub fn view(&self, user: u32) -> Vec<String> {
        let words = [
            "run".into(),
            "--with".into(),
            attacker(),
            "--uid".into(),
            user.to_string(),
            "--ro".into(),
            format!("{}:/graft", self.graft.display()),
        ];
        words.into()
    }

    /// The attacker's own words.
    pub fn attack(&self, kind: &str) -> Vec<String> {
        let words = [
            attacker(),
            "__attempts".into(),
            kind.into(),
            "--secret".into(),
            self.secret.display().to_string(),
            "--process".into(),
            self.process.id().to_string(),
        ];
        words.into()
    }

    /// Attacks in a view, with more words for `loopbox run`.
    pub fn attacked(&self, place: &Place, kind: &str, user: u32, more: &[&str]) -> Ran {
        let more = more.iter().map(|word| (*word).to_owned());
        let words = self.view(user).into_iter().chain(more).chain(["--".to_owned()]).chain(self.attack(kind));
        Loopbox::at(place).run(words)
    }

    /// What the host has.
    pub fn tree(&self) -> Tree {
        let top = self.graft.parent().expect("it has one");
        let mut tree = tree(&self.graft);
        tree.insert(self.secret.clone(), describe(&self.secret));
        assert!(tree.len() > 7, "{} is empty", top.display());
        tree
    }

    /// The process of the host is as it was.
    pub fn process_lives(&mut self) -> bool {
        self.process.try_wait().expect("it can be asked for").is_none()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Both fail only if it is dead already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Every attempt was made and answered as it should be; there were at least so many.
#[track_caller]
pub fn assert_held(ran: &Ran, attempts: usize) {
    let report = format!("{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(ran.status, 0, "{report}");
    assert!(report.contains("\n0 wrong"), "{report}");
    assert!(ran.stdout.lines().count() > attempts, "{report}");
}

/// This program at a place where everybody may run it: a checkout may lie in a home that is closed to others.
pub fn attacker() -> String {
    static COPY: OnceLock<PathBuf> = OnceLock::new();
    let copy = || {
        let path = Path::new("/opt/loopbox").join("attacker");
        fs::create_dir_all("/opt/loopbox").expect("a directory can be made");
        fs::copy(std::env::current_exe().expect("this program has a file"), &path).expect("it can be copied");
        path
    };
    COPY.get_or_init(copy).display().to_string()
}

/// All of a directory.
pub fn tree(top: &Path) -> Tree {
    let entries = WalkDir::new(top).into_iter().map(|entry| entry.expect("it can be read").into_path());
    entries.map(|path| (path.clone(), describe(&path))).collect()
}

fn describe(path: &Path) -> String {
    let meta = stat(path);
    let contents = if meta.is_file() {
        format!("{:x?}", Sha256::digest(fs::read(path).expect("it can be read")))
    } else if meta.is_symlink() {
        format!("{:?}", fs::read_link(path).expect("it can be read"))
    } else {
        String::new()
    };
    let (mode, links, owner, group) = (meta.mode(), meta.nlink(), meta.uid(), meta.gid());
    format!("{mode:o} {owner}:{group} {links} links, {}.{:09} {contents}", meta.mtime(), meta.mtime_nsec())
}
