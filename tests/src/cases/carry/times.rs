//! utimensat(2), and the times that other calls change.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use crate::cases::place::{USER, as_user, stat};
use crate::cases::{Place, cases};

cases![
    one_time_is_set_and_the_other_left,
    now_is_the_time_of_the_call,
    times_before_1970,
    times_after_2106,
    a_symbolic_link_has_times_of_its_own,
    who_may_write_may_set_the_time_to_now_and_no_other,
    changes_of_a_file_change_its_ctime,
    changes_of_names_change_their_directory,
    reading_changes_no_mtime,
];

/// Longer than the kernel's clock takes for a step.
const STEP: Duration = Duration::from_millis(25);

fn set(path: &Path, atime: TimeSpec, mtime: TimeSpec) -> nix::Result<()> {
    utimensat(AT_FDCWD, path, &atime, &mtime, UtimensatFlags::NoFollowSymlink)
}

fn mtime(path: &Path) -> (i64, i64) {
    (stat(path).mtime(), stat(path).mtime_nsec())
}

fn ctime(path: &Path) -> (i64, i64) {
    (stat(path).ctime(), stat(path).ctime_nsec())
}

fn one_time_is_set_and_the_other_left(place: &Place) {
    let path = place.file("f", "");
    set(&path, TimeSpec::new(1000, 1), TimeSpec::new(2000, 999_999_999)).expect("utimensat");
    set(&path, TimeSpec::UTIME_OMIT, TimeSpec::new(3000, 3)).expect("utimensat");
    assert_eq!(((stat(&path).atime(), stat(&path).atime_nsec()), mtime(&path)), ((1000, 1), (3000, 3)));
    set(&path, TimeSpec::new(4000, 4), TimeSpec::UTIME_OMIT).expect("utimensat");
    assert_eq!(((stat(&path).atime(), stat(&path).atime_nsec()), mtime(&path)), ((4000, 4), (3000, 3)));
    let before = ctime(&path);
    set(&path, TimeSpec::UTIME_OMIT, TimeSpec::UTIME_OMIT).expect("utimensat");
    assert_eq!(ctime(&path), before);
}

fn now_is_the_time_of_the_call(place: &Place) {
    let path = place.file("f", "");
    let other = place.file("other", "");
    set(&path, TimeSpec::new(1000, 0), TimeSpec::new(1000, 0)).expect("utimensat");
    set(&path, TimeSpec::UTIME_OMIT, TimeSpec::UTIME_NOW).expect("utimensat");
    assert_eq!(stat(&path).atime(), 1000);
    assert!((mtime(&path).0 - mtime(&other).0).abs() < 60, "{:?}", mtime(&path));
    set(&path, TimeSpec::UTIME_NOW, TimeSpec::new(5, 0)).expect("utimensat");
    assert!((stat(&path).atime() - mtime(&other).0).abs() < 60, "{}", stat(&path).atime());
    assert_eq!(mtime(&path), (5, 0));
}

/// The seconds of NFSv3 have no sign: the client sets the first that there is.
fn times_before_1970(place: &Place) {
    let path = place.file("f", "");
    set(&path, TimeSpec::new(-1000, 0), TimeSpec::new(-2000, 0)).expect("utimensat");
    let kept = if place.is_local() { (-1000, -2000) } else { (0, 0) };
    assert_eq!((stat(&path).atime(), stat(&path).mtime()), kept);
}

/// And they are 32 bits: the client sets the last that there is.
fn times_after_2106(place: &Place) {
    const LAST: i64 = u32::MAX as i64;
    let path = place.file("f", "");
    set(&path, TimeSpec::new(LAST - 1, 0), TimeSpec::new(LAST + 1000, 0)).expect("utimensat");
    let kept = if place.is_local() { LAST + 1000 } else { LAST };
    assert_eq!((stat(&path).atime(), stat(&path).mtime()), (LAST - 1, kept));
}

fn a_symbolic_link_has_times_of_its_own(place: &Place) {
    let target = place.file("f", "");
    let link = place.link("l", "f");
    let before = mtime(&target);
    set(&link, TimeSpec::new(1, 2), TimeSpec::new(3, 4)).expect("utimensat");
    assert_eq!((mtime(&link), mtime(&target)), ((3, 4), before));
}

fn who_may_write_may_set_the_time_to_now_and_no_other(place: &Place) {
    let path = place.file("f", "");
    place.shell("chmod 666 f && touch -d @1000 f");
    as_user(USER, || {
        set(&path, TimeSpec::UTIME_NOW, TimeSpec::UTIME_NOW).expect("now");
        assert!(mtime(&path).0 > 1000);
        assert_eq!(set(&path, TimeSpec::new(5, 0), TimeSpec::new(5, 0)), Err(Errno::EPERM));
        // NFSv3 has a word for each time, and no rule that they go together.
        let alone = set(&path, TimeSpec::UTIME_OMIT, TimeSpec::UTIME_NOW);
        assert_eq!(alone, if place.is_local() { Err(Errno::EPERM) } else { Ok(()) });
    });
    place.shell("chmod 644 f");
    as_user(USER, || {
        assert_eq!(set(&path, TimeSpec::UTIME_NOW, TimeSpec::UTIME_NOW), Err(Errno::EACCES));
    });
}

fn changes_of_a_file_change_its_ctime(place: &Place) {
    let path = place.file("f", "contents");
    place.directory("d");
    let changes: [(&str, &str); 7] = [
        ("chmod", "chmod 600 f"),
        ("chown", "chown 5 f"),
        ("touch", "touch -d @1000 f"),
        ("link", "ln f g"),
        ("unlink", "rm g"),
        ("truncate", "truncate -s 3 f"),
        ("write", "echo more >> f"),
    ];
    for (what, script) in changes {
        let before = ctime(&path);
        thread::sleep(STEP);
        place.shell(script);
        assert!(ctime(&path) > before, "{what}");
    }
    let before = ctime(&path);
    thread::sleep(STEP);
    fs::rename(&path, place.path("d/f")).expect("rename");
    assert!(ctime(&place.path("d/f")) > before, "rename");
}

fn changes_of_names_change_their_directory(place: &Place) {
    let (one, two) = (place.directory("one"), place.directory("two"));
    let both = [one.as_path(), two.as_path()];
    let changes: [(&str, &[&Path]); 8] = [
        ("echo x > one/f", &both[..1]),
        ("ln one/f one/g", &both[..1]),
        ("ln -s f one/s", &both[..1]),
        ("mkfifo one/fifo", &both[..1]),
        ("mkdir one/d", &both[..1]),
        ("mv one/f two/f", &both),
        ("rm two/f", &both[1..]),
        ("rmdir one/d", &both[..1]),
    ];
    for (script, changed) in changes {
        let before = both.map(mtime);
        thread::sleep(STEP);
        place.shell(script);
        for (directory, before) in both.iter().zip(before) {
            let expected = changed.contains(directory);
            assert_eq!(mtime(directory) > before, expected, "{script}: {}", directory.display());
        }
    }
    let before = mtime(&one);
    thread::sleep(STEP);
    place.shell("echo more >> one/g && chmod 600 one/g");
    assert_eq!(mtime(&one), before, "what is written to a file is no change of its directory");
}

fn reading_changes_no_mtime(place: &Place) {
    let path = place.file("f", "contents");
    let before = (mtime(&path), ctime(&path));
    thread::sleep(STEP);
    drop(File::options().write(true).open(&path).expect("open"));
    assert_eq!(fs::read(&path).expect("read"), b"contents");
    assert_eq!((mtime(&path), ctime(&path)), before);
}
