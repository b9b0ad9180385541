//! Symbolic links: what they hold, how far they are followed, and what does not follow them.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, symlink};

use nix::errno::Errno;

use crate::cases::place::{errno, stat};
use crate::cases::{Place, cases};

cases![
    a_link_of_4095_bytes_keeps_every_byte,
    forty_links_are_followed,
    a_circle_is_told,
    a_link_can_be_told_not_to_be_followed,
    a_dangling_link_is_written_through,
    a_slash_behind_a_link_follows_it,
    a_link_is_renamed_and_removed_itself,
];

fn a_link_of_4095_bytes_keeps_every_byte(place: &Place) {
    let longest: String = ('a'..='z').cycle().take(4095).collect();
    let path = place.link("long", &longest);
    assert_eq!(fs::read_link(&path).expect("readlink").to_str(), Some(longest.as_str()));
    assert_eq!(stat(&path).len(), 4095);
    // From the server once more.
    fs::write("/proc/sys/vm/drop_caches", "3").expect("caches can be dropped");
    assert_eq!(fs::read_link(&path).expect("readlink").to_str(), Some(longest.as_str()));
    assert_eq!(errno(symlink("x".repeat(4096), place.path("longer"))), Errno::ENAMETOOLONG);
    assert_eq!(errno(symlink("", place.path("empty"))), Errno::ENOENT);
}

/// The kernel follows forty, `MAXSYMLINKS`.
fn forty_links_are_followed(place: &Place) {
    place.file("0", "the end");
    for number in 1..=41 {
        place.link(number.to_string(), (number - 1).to_string());
    }
    assert_eq!(fs::read(place.path("40")).expect("forty are followed"), b"the end");
    assert_eq!(errno(fs::read(place.path("41"))), Errno::ELOOP);
}

fn a_circle_is_told(place: &Place) {
    place.link("a", "b");
    place.link("b", "a");
    place.link("self", "self/x");
    for name in ["a", "self", "a/below"] {
        assert_eq!(errno(fs::metadata(place.path(name))), Errno::ELOOP, "{name}");
        assert_eq!(errno(fs::write(place.path(name), "")), Errno::ELOOP, "{name}");
    }
}

fn a_link_can_be_told_not_to_be_followed(place: &Place) {
    place.file("f", "x");
    place.directory("d");
    place.link("to-f", "f");
    place.link("to-d", "d");
    let refused =
        |name: &str, flags| errno(OpenOptions::new().read(true).custom_flags(flags).open(place.path(name)));
    assert_eq!(refused("to-f", libc::O_NOFOLLOW), Errno::ELOOP);
    assert_eq!(refused("to-d", libc::O_NOFOLLOW | libc::O_DIRECTORY), Errno::ENOTDIR);
    let kind = |name: &str, flags| {
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(place.path(name));
        opened.and_then(|file: File| file.metadata()).expect("it can be opened").file_type()
    };
    assert!(kind("to-f", libc::O_NOFOLLOW | libc::O_PATH).is_symlink());
    // Links on the way are followed.
    assert!(kind("to-d/.", libc::O_NOFOLLOW).is_dir());
}

fn a_dangling_link_is_written_through(place: &Place) {
    let link = place.link("link", "target");
    assert_eq!(errno(File::create_new(&link)), Errno::EEXIST);
    assert_eq!(errno(fs::create_dir(&link)), Errno::EEXIST);
    fs::write(&link, "through").expect("a write through a dangling link makes its target");
    assert_eq!(fs::read(place.path("target")).expect("read"), b"through");
    assert!(stat(&link).file_type().is_symlink());
}

fn a_slash_behind_a_link_follows_it(place: &Place) {
    place.directory("d");
    place.link("link", "d");
    assert!(stat(place.path("link")).file_type().is_symlink());
    assert!(stat(place.path("link/")).is_dir());
    assert_eq!(errno(fs::remove_file(place.path("link/"))), Errno::ENOTDIR);
    assert_eq!(errno(fs::remove_dir(place.path("link/"))), Errno::ENOTDIR);
    assert_eq!(errno(fs::remove_dir(place.path("link"))), Errno::ENOTDIR);
}

fn a_link_is_renamed_and_removed_itself(place: &Place) {
    place.file("f", "stays");
    place.link("link", "f");
    fs::rename(place.path("link"), place.path("other")).expect("rename");
    assert_eq!(fs::read_link(place.path("other")).expect("readlink").to_str(), Some("f"));
    fs::rename(place.file("g", "over"), place.path("other")).expect("a link is replaced, not followed");
    assert_eq!(fs::read(place.path("f")).expect("read"), b"stays");
    assert_eq!(place.names(""), ["f", "other"]);
}
