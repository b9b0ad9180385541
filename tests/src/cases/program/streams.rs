//! `loopbox run` with files as its standard streams: they are read and written, and nothing else can be done with them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use crate::cases::loopbox::Loopbox;
use crate::cases::place::{USER, mode, stat};
use crate::cases::{Place, cases};

cases![
    files_are_read_and_written_in_their_order,
    nobody_changes_the_files_that_are_passed,
    nobody_changes_the_hosts_null,
    a_directory_is_not_passed,
    what_cannot_be_written_is_told,
];

/// A shell's line in which `$run` is a command that runs a shell's line in a view, with more programs.
fn line(place: &Place, user: u32, line: &str) -> std::process::Output {
    let loopbox = Loopbox::at(place);
    let programs: String =
        ["sh", "cat", "chmod", "chown", "touch"].map(|name| format!("--with {name} ")).concat();
    let state =
        format!("LOOPBOX_STATE_DIR={} TMPDIR={}", loopbox.state.display(), loopbox.temporary.display());
    let run = format!("env {state} {} run --uid {user} {programs} -- sh -c", Loopbox::program().display());
    place.try_shell(&format!("run='{run}'; {line}"))
}

#[track_caller]
fn good(place: &Place, user: u32, text: &str) {
    let ran = line(place, user, text);
    assert!(
        ran.status.success(),
        "{}{}",
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr)
    );
}

fn read(place: &Place, name: &str) -> String {
    fs::read_to_string(place.path(name)).expect("it can be read")
}

fn files_are_read_and_written_in_their_order(place: &Place) {
    place.file("in", "one\ntwo\nthree\nfour\n");
    let script = "{ read first; $run 'test -f /dev/stdin && read second && echo $second'; cat; } < in > out";
    good(place, USER, script);
    assert_eq!(read(place, "out"), "two\nthree\nfour\n");
    good(place, USER, "{ echo a; $run 'echo b; echo c >&2; echo d'; echo e; } > out 2>&1");
    assert_eq!(read(place, "out"), "a\nb\nc\nd\ne\n");
    good(place, USER, "$run 'echo f; echo g >&2' >> out 2> errors");
    assert_eq!((read(place, "out"), read(place, "errors")), ("a\nb\nc\nd\ne\nf\n".into(), "g\n".into()));
    good(place, USER, "cat in | $run 'cat; echo end' | cat > out");
    assert_eq!(read(place, "out"), "one\ntwo\nthree\nfour\nend\n");
    for user in [0, USER] {
        good(place, user, "$run 'cat /dev/stdin > /dev/stdout; echo end > /dev/stderr' < in > out 2> errors");
        assert_eq!((read(place, "out"), read(place, "errors")), (read(place, "in"), "end\n".into()));
    }
}

/// As user 0, and as the user whose files they are.
fn nobody_changes_the_files_that_are_passed(place: &Place) {
    let attack = "for stream in 0 1 2; do chmod 4755 /proc/self/fd/$stream; chown 0:0 /proc/self/fd/$stream
        touch -d 1990-01-01 /proc/self/fd/$stream; done; echo x > /proc/self/fd/0; true > /proc/self/fd/1; echo written";
    for user in [0, USER] {
        let names = ["in", "out", "errors"];
        for name in names {
            let path = place.file(name, "was here\n");
            chown(&path, Some(user), Some(user)).expect("root gives it away");
            fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("root can change modes");
        }
        good(place, user, &format!("$run '{attack}' <> in >> out 2>> errors"));
        for name in names {
            assert_eq!(
                (mode(place.path(name)), stat(place.path(name)).uid()),
                (0o640, user),
                "{name} as {user}"
            );
            assert!(
                read(place, name).starts_with("was here\n") && stat(place.path(name)).mtime() > 1 << 30,
                "{name}"
            );
        }
        assert_eq!(read(place, "in"), "was here\n");
        assert_eq!(read(place, "out"), "was here\nwritten\n");
    }
}

fn nobody_changes_the_hosts_null(place: &Place) {
    let before = stat("/dev/null");
    let attack =
        "for stream in 0 1; do chmod 600 /proc/self/fd/$stream; touch /proc/self/fd/$stream; done; true";
    good(place, 0, &format!("$run '{attack}' < /dev/null > /dev/null"));
    let after = stat("/dev/null");
    assert_eq!(
        (after.mode(), after.ctime(), after.ctime_nsec()),
        (before.mode(), before.ctime(), before.ctime_nsec())
    );
}

/// `..` leads out of it.
fn a_directory_is_not_passed(place: &Place) {
    for redirection in ["< /", "2< /"] {
        let ran = line(place, USER, &format!("$run 'cat /proc/self/fd/0/etc/passwd' {redirection}"));
        assert_eq!(ran.status.code(), Some(125), "{}", String::from_utf8_lossy(&ran.stdout));
    }
    let told = line(place, USER, "$run true < /").stderr;
    let told = String::from_utf8_lossy(&told);
    assert_eq!(told, "Error: cannot pass standard input into the view\nCaused by: is a directory\n");
}

fn what_cannot_be_written_is_told(place: &Place) {
    let full = place.directory("full");
    let size = Some("size=16k");
    nix::mount::mount(Some("full"), &full, Some("tmpfs"), nix::mount::MsFlags::empty(), size)
        .expect("a small disk");
    let ran = line(place, USER, "$run 'while echo x; do :; done' > full/out");
    nix::mount::umount(&full).expect("nobody uses it");
    assert_eq!(ran.status.code(), Some(125));
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(
        told.contains("cannot pass standard output") && told.contains("No space left on device"),
        "{told}"
    );
}
