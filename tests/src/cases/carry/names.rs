//! Names: any bytes but NUL and slash, up to 255 of them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;

use crate::cases::place::errno;
use crate::cases::{Place, cases};

cases![
    names_may_hold_any_bytes,
    names_may_be_255_bytes_long,
    case_is_kept_apart,
    deep_paths_are_reached,
    names_like_those_of_deleted_open_files_are_names,
];

fn names_may_hold_any_bytes(place: &Place) {
    let names: [&[u8]; 6] =
        [b"\xff\xfe not utf-8", b"new\nline", b" space ", b"quote'\"", "\u{e9}\u{4e2d}".as_bytes(), b"-rf *"];
    for name in names {
        fs::write(place.path(OsStr::from_bytes(name)), name).expect("a file of any name can be written");
    }
    let mut found: Vec<Vec<u8>> = fs::read_dir(place.dir())
        .expect("the directory can be listed")
        .map(|entry| entry.expect("an entry").file_name().as_bytes().to_vec())
        .collect();
    found.sort();
    let mut expected: Vec<Vec<u8>> = names.iter().map(|name| name.to_vec()).collect();
    expected.sort();
    assert_eq!(found, expected);
    for name in names {
        assert_eq!(fs::read(place.path(OsStr::from_bytes(name))).expect("read"), name);
    }
}

fn names_may_be_255_bytes_long(place: &Place) {
    let longest = "n".repeat(255);
    place.file(&longest, "x");
    assert_eq!(place.names(""), [longest]);
    assert_eq!(errno(fs::write(place.path("n".repeat(256)), "")), Errno::ENAMETOOLONG);
}

fn case_is_kept_apart(place: &Place) {
    place.file("Name", "upper");
    place.file("name", "lower");
    assert_eq!(fs::read(place.path("Name")).expect("read"), b"upper");
    assert_eq!(place.names(""), ["Name", "name"]);
}

fn deep_paths_are_reached(place: &Place) {
    let deep = vec!["directory"; 60].join("/");
    place.directory(&deep);
    let file = place.file(format!("{deep}/f"), "deep");
    assert_eq!(fs::read(file).expect("read"), b"deep");
    place.shell("cd directory/directory && test -d .. && cd ../.. && test -d directory");
}

/// A client names files so that are removed while open; archives and repositories have files of such names too.
fn names_like_those_of_deleted_open_files_are_names(place: &Place) {
    const STRANGE: &str = ".nfs000000000076202f00000088";
    const OTHERS: &str = ".nfs.20051025.01ff";
    place.directory("d");
    place.directory("empty");
    place.file(format!("d/{STRANGE}"), "payload");
    place.shell(&format!(
        "cp -r d copy; tar cf t.tar d; mkdir x; tar xf t.tar -C x; touch d/f; mv d/f d/{OTHERS}"
    ));
    assert_eq!(place.names("d"), [OTHERS, STRANGE]);
    assert_eq!(place.names("copy"), [STRANGE]);
    assert_eq!(place.shell(&format!("cat x/d/{STRANGE}")), "payload");
    // Its own number, as the name of a deleted file has it.
    let file = place.file("copy/f", "mine");
    let own = format!(".nfs{:016x}00000001", crate::cases::place::inode(&file));
    fs::rename(&file, place.path("copy").join(&own)).expect("rename");
    fs::remove_file(place.path("copy").join(STRANGE)).expect("unlink");
    assert_eq!(place.names("copy"), [own]);
    for full in ["d", "copy", "x/d"] {
        assert_eq!(errno(fs::remove_dir(place.path(full))), Errno::ENOTEMPTY);
        assert_eq!(errno(fs::rename(place.path("empty"), place.path(full))), Errno::ENOTEMPTY);
    }
    place.shell("rm -rf d copy x");
    assert_eq!(place.names(""), ["empty", "t.tar"]);
}
