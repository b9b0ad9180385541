//! Trees that a build leaves: archived as Nix does it, made canonical, and refused where they are not a store's.
#![allow(clippy::unwrap_used, reason = "a test that cannot look at its own files has failed")]

use std::fs::{self, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::Path;

use builder::output::{Canonicaliser, write_nar};
use sha2::{Digest, Sha256};

fn open(path: &Path) -> OwnedFd {
    fs::File::open(path).unwrap().into()
}

fn own_uid(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().uid()
}

/// A tree with every kind of thing that a store holds, names whose order depends on how they are compared, a file
/// longer than one read, and sizes with and without padding.
fn make_tree(at: &Path) {
    fs::create_dir_all(at.join("sub/empty")).unwrap();
    for (name, contents) in [
        ("file", "hello"),
        ("run", "#!/bin/sh\n"),
        ("sub/none", ""),
        ("sub/a.b", "A.B"),
        ("sub/ab", "x"),
        ("sub/aB", "y"),
    ] {
        fs::write(at.join(name), contents).unwrap();
    }
    fs::write(at.join("big"), vec![0; 300_000]).unwrap();
    fs::set_permissions(at.join("run"), Permissions::from_mode(0o755)).unwrap();
    symlink("../target", at.join("link")).unwrap();
}

#[test]
fn the_archive_of_a_tree_is_the_one_that_nix_makes() {
    let directory = tempfile::tempdir().unwrap();
    make_tree(&directory.path().join("t"));
    let mut archive = Vec::new();
    write_nar(&open(directory.path()), "t", &mut archive).unwrap();
    // From `nix-store --dump` and `nix-hash` of the same tree.
    assert_eq!(archive.len(), 302000);
    assert_eq!(
        data_encoding::HEXLOWER.encode(&Sha256::digest(&archive)),
        "da094cdea3f9257e263b4da33cae421d7e410434889e64f58361d35ba357c369"
    );
}

#[test]
fn a_canonical_tree_has_plain_modes_and_the_time_of_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("t");
    make_tree(&tree);
    fs::set_permissions(tree.join("file"), Permissions::from_mode(0o600)).unwrap();
    fs::hard_link(tree.join("file"), tree.join("sub/twin")).unwrap();
    Canonicaliser::new(own_uid(&tree)).run(&open(directory.path()), "t").unwrap();
    for (name, mode) in
        [("", 0o40555), ("sub", 0o40555), ("file", 0o100_444), ("sub/twin", 0o100_444), ("run", 0o100_555)]
    {
        let metadata = fs::symlink_metadata(tree.join(name)).unwrap();
        assert_eq!((metadata.mode(), metadata.mtime(), metadata.mtime_nsec()), (mode, 1, 0), "{name}");
    }
    let link = fs::symlink_metadata(tree.join("link")).unwrap();
    assert_eq!((link.mtime(), fs::read_link(tree.join("link")).unwrap()), (1, "../target".into()));
    fs::set_permissions(&tree, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(tree.join("sub"), Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_link_to_a_directory_outside_is_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let outside = directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::set_permissions(&outside, Permissions::from_mode(0o700)).unwrap();
    let tree = directory.path().join("t");
    fs::create_dir(&tree).unwrap();
    symlink(&outside, tree.join("out")).unwrap();
    Canonicaliser::new(own_uid(&tree)).run(&open(directory.path()), "t").unwrap();
    assert_eq!(fs::metadata(&outside).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn sockets_fifos_and_files_of_others_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let uid = own_uid(directory.path());
    let message = |name: &str, uid| {
        Canonicaliser::new(uid).run(&open(directory.path()), name).expect_err("refused").to_string()
    };
    let _socket = std::os::unix::net::UnixListener::bind(directory.path().join("socket")).unwrap();
    fs::create_dir(directory.path().join("t")).unwrap();
    nix::unistd::mkfifo(&directory.path().join("t/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    assert_eq!(
        message("socket", uid),
        r#"file "socket" has an unsupported type: it is a device, a FIFO or a socket"#
    );
    assert_eq!(
        message("t", uid),
        r#"file "t/fifo" has an unsupported type: it is a device, a FIFO or a socket"#
    );
    assert_eq!(
        message("file", uid + 1),
        format!(r#"invalid ownership on file "file": it belongs to uid {uid}, not to the build user"#)
    );
    let error = write_nar(&open(directory.path()), "t", &mut std::io::sink()).expect_err("refused");
    assert_eq!(
        error.to_string(),
        r#"file "t/fifo" has an unsupported type: it is a device, a FIFO or a socket"#
    );
}

#[test]
fn all_of_a_tree_belongs_to_root_whoever_has_built_it() {
    const BUILDER: u32 = 30001;
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("t");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("file"), "").unwrap();
    symlink("file", tree.join("link")).unwrap();
    let all = [tree.clone(), tree.join("file"), tree.join("link")];
    for path in &all {
        lchown(path, Some(BUILDER), Some(BUILDER)).expect("this test needs root");
    }
    Canonicaliser::new(BUILDER).run(&open(directory.path()), "t").unwrap();
    for path in &all {
        let metadata = fs::symlink_metadata(path).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (0, 0), "{path:?}");
    }
}
