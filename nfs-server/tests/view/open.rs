//! Opening a view: what the host may lack, and what is done to a scratch.

use std::error::Error;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use insta::assert_snapshot;

use nfs_server::view::{Access, Entry, HostCapabilities, OpenError, Owner, View, ViewOptions, ViewSpec};

fn open(entries: Vec<Entry>) -> Result<View, OpenError> {
    View::open(&ViewSpec { entries }, None)
}

fn graft(at: &str, source: &Path, optional: bool) -> Entry {
    Entry::Graft { at: at.into(), source: source.into(), access: Access::Ro, optional }
}

fn scratch(source: &Path, mode: u32, owner: Owner) -> Entry {
    Entry::Scratch { at: "/build".into(), source: source.into(), mode, owner }
}

/// The error with everything that caused it, and without the host's own paths.
fn message(result: Result<View, OpenError>, host: &Path) -> String {
    let Err(error) = result else { panic!("it was opened") };
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.replace(host.to_str().unwrap(), "HOST")
}

#[test]
fn a_wrong_specification_is_not_opened() {
    let entries = vec![Entry::Directory { at: "usr".into(), mode: 0o755, owner: Owner::default() }];
    assert_snapshot!(message(open(entries), Path::new("/none")), @r#"the view is not valid: view path "usr" is not absolute"#);
}

#[test]
fn a_source_that_does_not_exist_is_named() {
    let host = tempfile::tempdir().unwrap();
    let missing = host.path().join("missing");
    assert_snapshot!(message(open(vec![graft("/usr", &missing, false)]), host.path()), @r#"the source "HOST/missing" of the entry at "/usr" does not exist"#);
    let owner = Owner::default();
    assert_snapshot!(message(open(vec![scratch(&missing, 0o755, owner)]), host.path()), @r#"the source "HOST/missing" of the entry at "/build" does not exist"#);
    fs::write(host.path().join("file"), "").unwrap();
    let below = host.path().join("file/below");
    assert_snapshot!(message(open(vec![graft("/usr", &below, false)]), host.path()), @r#"the source "HOST/file/below" of the entry at "/usr" does not exist"#);
}

#[test]
fn a_source_that_cannot_be_examined_says_why() {
    let host = tempfile::tempdir().unwrap();
    symlink("loop", host.path().join("loop")).unwrap();
    let source = host.path().join("loop/file");
    assert_snapshot!(message(open(vec![graft("/usr", &source, true)]), host.path()), @r#"cannot examine "HOST/loop/file", the source of the entry at "/usr": Too many levels of symbolic links (os error 40)"#);
}

#[test]
fn a_scratch_is_a_directory() {
    let host = tempfile::tempdir().unwrap();
    fs::write(host.path().join("file"), "").unwrap();
    symlink("/", host.path().join("link")).unwrap();
    for name in ["file", "link"] {
        let result = open(vec![scratch(&host.path().join(name), 0o755, Owner::default())]);
        assert!(matches!(result, Err(OpenError::NotDirectory { .. })), "{name}");
    }
    let file = host.path().join("file");
    assert_snapshot!(message(open(vec![scratch(&file, 0o755, Owner::default())]), host.path()), @r#"the source "HOST/file" of the scratch at "/build" is not a directory"#);
}

#[test]
fn a_scratch_whose_owner_or_mode_cannot_be_set_says_so() {
    // Nobody may change these, root included.
    let fixed = Path::new("/proc/sys/kernel");
    let metadata = fs::metadata(fixed).unwrap();
    let owner = Owner { uid: metadata.uid(), gid: metadata.gid() };
    assert_snapshot!(message(open(vec![scratch(fixed, 0o755, owner)]), Path::new("/none")), @r#"cannot set the mode of "/proc/sys/kernel", the source of the entry at "/build": Operation not permitted (os error 1)"#);
    let other = Owner { uid: metadata.uid() + 1, ..owner };
    assert_snapshot!(message(open(vec![scratch(fixed, 0o755, other)]), Path::new("/none")), @r#"cannot set the owner of "/proc/sys/kernel", the source of the entry at "/build": Operation not permitted (os error 1)"#);
}

#[test]
fn a_scratch_gets_its_mode_and_owner() {
    let host = tempfile::tempdir().unwrap();
    fs::set_permissions(host.path(), fs::Permissions::from_mode(0o700)).unwrap();
    open(vec![scratch(host.path(), 0o1775, Owner { uid: 1000, gid: 7 })]).map(drop).unwrap();
    let metadata = fs::metadata(host.path()).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.uid(), metadata.gid()), (0o1775, 1000, 7));
}

#[test]
fn nothing_is_changed_when_an_entry_is_wrong() {
    let host = tempfile::tempdir().unwrap();
    fs::set_permissions(host.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let wrong = Entry::Directory { at: "relative".into(), mode: 0o755, owner: Owner::default() };
    assert!(open(vec![scratch(host.path(), 0o777, Owner::default()), wrong]).is_err());
    assert_eq!(fs::metadata(host.path()).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn entries_that_a_volume_takes_for_one_are_refused_before_anything_is_served() {
    let host = tempfile::tempdir().unwrap();
    for directory in ["store", "one", "two"] {
        std::fs::create_dir(host.path().join(directory)).unwrap();
    }
    let owner = Owner { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() };
    let entries = vec![
        scratch(&host.path().join("store"), 0o1775, owner),
        graft("/build/Readme", &host.path().join("one"), false),
        graft("/build/README", &host.path().join("two"), false),
    ];
    let spec = ViewSpec { entries };
    let on = |case_sensitive| {
        let capabilities =
            HostCapabilities { case_sensitive: Some(case_sensitive), ..HostCapabilities::default() };
        View::open_with(&spec, ViewOptions { capabilities, ..ViewOptions::default() })
    };
    assert!(on(true).is_ok());
    assert_eq!(
        on(false).err().unwrap().to_string(),
        "\"/build/README\" and \"/build/Readme\" differ in case only, and the file system of the view's writable places is not case-sensitive"
    );
}
