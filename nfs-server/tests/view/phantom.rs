//! Phantoms: directories that can be walked, and in which nothing is.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nfs_server::view::{
    Access, AccessObserver, Blocking, Caller, Entry, Error, FileType, LookupOutcome, Node, View, ViewSpec,
};

use super::observed::Seen;

struct World {
    host: tempfile::TempDir,
    observed: Arc<Seen>,
    view: View,
}

/// `/usr` leads on, and `/usr/lib` in it is shown.
fn world() -> World {
    let host = tempfile::tempdir().unwrap();
    for directory in ["usr/include/readline", "usr/lib", "usr/closed/inside"] {
        fs::create_dir_all(host.path().join(directory)).unwrap();
    }
    for file in ["usr/file", "usr/include/readline/readline.h", "usr/lib/shown"] {
        fs::write(host.path().join(file), "contents").unwrap();
    }
    fs::set_permissions(host.path().join("usr/closed"), fs::Permissions::from_mode(0o750)).unwrap();
    symlink("include", host.path().join("usr/to-directory")).unwrap();
    symlink("file", host.path().join("usr/to-file")).unwrap();
    symlink("nowhere", host.path().join("usr/to-nothing")).unwrap();
    let graft = |at: &str, access| Entry::Graft {
        at: at.into(),
        source: host.path().join(at.trim_start_matches('/')),
        access,
        optional: false,
    };
    let entries = vec![graft("/usr", Access::Phantom), graft("/usr/lib", Access::Ro)];
    let observed = Arc::new(Seen::default());
    let observer: Arc<dyn AccessObserver> = observed.clone();
    let view = View::open(&ViewSpec { entries }, Some(observer)).unwrap();
    World { host, observed, view }
}

impl World {
    /// What is at a path, asked for name by name as a client does.
    fn walk(&self, path: &str) -> Result<(Node, FileType), Error> {
        let mut at = (self.view.root(), FileType::Directory);
        for name in Path::new(path).iter().skip(1) {
            let (node, attributes) =
                self.view.lookup(&at.0, name.as_encoded_bytes(), Caller { uid: 1000, ..Caller::ROOT })?;
            at = (node, attributes.kind);
        }
        Ok(at)
    }

    /// The last thing that was observed.
    fn last(&self) -> (LookupOutcome, PathBuf) {
        self.observed.take().pop().expect("something was observed")
    }
}

#[test]
fn directories_can_be_walked_and_files_are_not_there() {
    let world = world();
    assert_eq!(world.walk("/usr/include/readline").unwrap().1, FileType::Directory);
    assert_eq!(world.last(), (LookupOutcome::Hidden, "/usr/include/readline".into()));
    assert_eq!(world.walk("/usr/include/readline/readline.h").map(drop), Err(Error::NotFound));
    assert_eq!(world.last(), (LookupOutcome::Hidden, "/usr/include/readline/readline.h".into()));
    assert_eq!(world.walk("/usr/file").map(drop), Err(Error::NotFound));
    assert_eq!(world.walk("/usr/missing").map(drop), Err(Error::NotFound));
    assert_eq!(world.last(), (LookupOutcome::Hidden, "/usr/missing".into()));
}

#[test]
fn what_is_shown_below_is_shown_and_found() {
    let world = world();
    assert_eq!(world.walk("/usr").unwrap().1, FileType::Directory);
    assert_eq!(world.last(), (LookupOutcome::Found, "/usr".into()));
    let (shown, kind) = world.walk("/usr/lib/shown").unwrap();
    assert_eq!(kind, FileType::Regular);
    assert_eq!(world.last(), (LookupOutcome::Found, "/usr/lib/shown".into()));
    let mut contents = [0; 8];
    world.view.read(&shown, 0, &mut contents, Caller::ROOT, Blocking::Allowed).unwrap();
    assert_eq!(&contents, b"contents");
    assert_eq!(world.walk("/usr/lib/missing").map(drop), Err(Error::NotFound));
    assert_eq!(world.last(), (LookupOutcome::Absent, "/usr/lib/missing".into()));
}

#[test]
fn only_links_to_directories_are_there() {
    let world = world();
    let (link, kind) = world.walk("/usr/to-directory").unwrap();
    assert_eq!((kind, world.view.read_link(&link).unwrap()), (FileType::Symlink, b"include".to_vec()));
    assert_eq!(world.walk("/usr/to-file").map(drop), Err(Error::NotFound));
    assert_eq!(world.walk("/usr/to-nothing").map(drop), Err(Error::NotFound));
}

#[test]
fn a_directory_that_others_may_not_go_through_is_not_there() {
    let world = world();
    assert_eq!(world.walk("/usr/closed").map(drop), Err(Error::NotFound));
    assert!(world.host.path().join("usr/closed/inside").exists());
}

#[test]
fn nothing_is_listed_but_what_is_shown() {
    let world = world();
    let names = |path: &str| {
        let mut names = Vec::new();
        let take = &mut |entry: &nfs_server::view::DirEntry<'_>| {
            names.push(String::from_utf8(entry.name.to_vec()).unwrap());
            true
        };
        let directory = world.walk(path).unwrap().0;
        assert!(world.view.readdir(&directory, 0, Caller::ROOT, Blocking::Allowed, take).unwrap());
        names.split_off(2)
    };
    assert_eq!(names("/usr"), ["lib"]);
    assert_eq!(names("/usr/include"), [""; 0]);
}

#[test]
fn nothing_can_be_made_in_one() {
    let world = world();
    let directory = world.walk("/usr/include").unwrap().0;
    assert_eq!(world.view.writable_names(&directory, b"new", Caller::ROOT).err(), Some(Error::ReadOnly));
}
