//! What a sink is told.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use nfs_server::view::{Access, AccessObserver, Caller, Entry, LookupOutcome, Node, Owner, View, ViewSpec};

/// What was observed.
#[derive(Default)]
pub struct Seen(Mutex<Vec<(LookupOutcome, PathBuf)>>);

impl AccessObserver for Seen {
    fn observe(&self, decision: LookupOutcome, path: &dyn Fn() -> PathBuf) {
        self.0.lock().unwrap().push((decision, path()));
    }
}

impl Seen {
    /// What was observed since the last time.
    pub fn take(&self) -> Vec<(LookupOutcome, PathBuf)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn view() -> (View, Arc<Seen>, TempDir) {
    let host = tempfile::tempdir().unwrap();
    for name in ["package/deep", "build"] {
        fs::create_dir_all(host.path().join(name)).unwrap();
    }
    fs::write(host.path().join("package/deep/file"), "").unwrap();
    let entries = vec![
        Entry::Graft {
            at: "/opt/package".into(),
            source: host.path().join("package"),
            access: Access::Ro,
            optional: false,
        },
        Entry::Scratch {
            at: "/build".into(),
            source: host.path().join("build"),
            mode: 0o777,
            owner: Owner { uid: 1000, gid: 1000 },
        },
    ];
    let seen = Arc::new(Seen::default());
    let view = View::open(&ViewSpec { entries }, Some(Arc::clone(&seen) as Arc<dyn AccessObserver>)).unwrap();
    (view, seen, host)
}

/// Looks up every name of a path, and gives what was observed of the last.
fn look(view: &View, seen: &Seen, path: &str) -> (Option<Node>, Vec<(LookupOutcome, PathBuf)>) {
    let mut node = Some(view.root());
    for name in Path::new(path).iter().skip(1) {
        seen.take();
        let above = node.expect("only the last name may be missing");
        node = view.lookup(&above, name.as_encoded_bytes(), Caller::ROOT).ok().map(|(node, _)| node);
    }
    (node, seen.take())
}

#[test]
fn what_is_found_hidden_or_absent_is_told_with_its_path_in_the_view() {
    let (view, seen, _host) = view();
    for (path, decision) in [
        ("/opt", LookupOutcome::Found),
        ("/opt/package", LookupOutcome::Found),
        ("/opt/package/deep/file", LookupOutcome::Found),
        ("/usr", LookupOutcome::Hidden),
        ("/opt/homebrew", LookupOutcome::Hidden),
        ("/opt/package/none", LookupOutcome::Absent),
        ("/opt/package/deep/none", LookupOutcome::Absent),
        ("/build/none", LookupOutcome::Hidden),
    ] {
        assert_eq!(look(&view, &seen, path).1, [(decision, PathBuf::from(path))]);
    }
}

#[test]
fn what_is_refused_is_told() {
    let (view, seen, host) = view();
    for path in ["/opt", "/opt/package", "/opt/package/deep/file"] {
        let node = look(&view, &seen, path).0.unwrap();
        assert!(view.writable(node).is_err());
        assert_eq!(seen.take(), [(LookupOutcome::ChangeRefused, PathBuf::from(path))]);
    }
    let package = look(&view, &seen, "/opt/package").0.unwrap();
    seen.take();
    assert!(view.writable_names(&package, b"new", Caller::ROOT).is_err());
    assert_eq!(seen.take(), [(LookupOutcome::ChangeRefused, PathBuf::from("/opt/package/new"))]);
    fs::set_permissions(host.path().join("package/deep"), fs::Permissions::from_mode(0o700)).unwrap();
    let deep = look(&view, &seen, "/opt/package/deep").0.unwrap();
    let builder = Caller { uid: 1000, gid: 1000, groups: &[] };
    assert!(view.lookup(&deep, b"file", builder).is_err());
    assert_eq!(seen.take(), [(LookupOutcome::Refused, PathBuf::from("/opt/package/deep/file"))]);
}

#[test]
fn what_may_be_changed_is_not_told() {
    let (view, seen, _host) = view();
    let node = look(&view, &seen, "/build").0.unwrap();
    assert!(view.writable(node).is_ok());
    assert_eq!(seen.take(), []);
}

#[test]
fn the_views_own_walks_are_not_told() {
    let (view, seen, _host) = view();
    view.find("/opt/package/deep/file".as_ref()).unwrap();
    view.find("/usr".as_ref()).unwrap_err();
    assert_eq!(seen.take(), []);
}
