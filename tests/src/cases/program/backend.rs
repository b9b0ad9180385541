//! `loopbox run --backend`: what is the same whatever a view is made of, and what a backend says that it cannot do.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::cases::loopbox::Loopbox;
use crate::cases::place::{USER, stat};
use crate::cases::{Place, cases};

cases![
    a_view_is_the_same_in_every_backend,
    nothing_is_left_of_any_backend,
    what_is_shown_as_a_device_works_and_nothing_else_does,
    a_farm_links_what_is_on_its_own_volume,
    what_the_user_could_write_is_not_linked,
    a_farm_without_mounts_has_what_is_written_in_itself,
    a_farm_without_mounts_says_what_it_cannot_show,
    root_gets_no_farm,
    a_backend_that_does_not_exist_is_a_wrong_word,
];

const BACKENDS: [&str; 3] = ["nfs", "hardlink", "bind"];

/// Looks at all kinds of entries, and tries to change what must not be changed.
const LOOK: &str = "cd /; ls -lnA / /dev | while read mode links rest; do echo $mode; done; cat /etc/hosts /shown/a
  for name in /etc/passwd /shown/a /shown/new /usr/bin/new; do echo x 2> /dev/null > $name || echo cannot write $name; done
  rm -rf /shown 2> /dev/null; cat /shown/a; readlink /shown/link /dev/fd
  echo mine > /work/new; cat /work/*; ls /shown; rm /work/new; mv /work/old /work/moved; rmdir /work 2> /dev/null || echo busy";

/// A loopbox with a directory to show, and one to write to.
fn prepare(place: &Place) -> Loopbox {
    place.directory("shown");
    place.file("shown/a", "contents\n");
    std::os::unix::fs::symlink("a", place.path("shown/link")).expect("a link can be made");
    place.directory("work");
    std::os::unix::fs::chown(place.path("work"), Some(USER), Some(USER)).expect("root gives it away");
    Loopbox::at(place)
}

fn words(place: &Place, backend: &str) -> Vec<String> {
    let user = USER.to_string();
    let shown = format!("{}:/shown", place.path("shown").display());
    let work = format!("{}:/work", place.path("work").display());
    let words = ["run", "--backend", backend, "--uid", &user, "--gid", &user, "--ro", &shown, "--rw", &work];
    words.map(String::from).to_vec()
}

fn shell(place: &Place, backend: &str, script: &str) -> Vec<String> {
    let mut words = words(place, backend);
    let programs = ["sh", "ls", "cat", "readlink", "mv", "rm", "rmdir", "stat"];
    words.extend(programs.iter().flat_map(|program| ["--with".to_string(), (*program).into()]));
    words.extend(["--", "sh", "-c", script].map(String::from));
    words
}

fn a_view_is_the_same_in_every_backend(place: &Place) {
    let loopbox = prepare(place);
    let [nfs, others @ ..] = BACKENDS.map(|backend| {
        let old = place.file("work/old", "was here\n");
        std::os::unix::fs::chown(&old, Some(USER), Some(USER)).expect("root gives it away");
        let seen = loopbox.good(shell(place, backend, LOOK));
        assert_eq!(fs::read_to_string(place.path("work/moved")).expect("it was moved"), "was here\n");
        fs::remove_file(place.path("work/moved")).expect("it can be removed");
        seen
    });
    for (backend, other) in ["hardlink", "bind"].iter().zip(others) {
        assert_eq!(other, nfs, "{backend}");
    }
    assert!(nfs.contains("cannot write /shown/new") && nfs.contains("busy"), "{nfs}");
}

/// A device by itself, those of the machine's directory of devices, and one that lies in an ordinary directory.
fn what_is_shown_as_a_device_works_and_nothing_else_does(place: &Place) {
    let loopbox = prepare(place);
    let (null, mode) = (makedev(1, 3), Mode::from_bits_truncate(0o444));
    mknod(&place.path("shown/null"), SFlag::S_IFCHR, mode, null).expect("root can make a device");
    let script = "echo x > /dev/full || echo full; true > /dev/null && true > /one && true > /all/null \
        && true < /all/zero && echo all; [ -c /shown/null ] && true < /shown/null; chmod 777 /one /all/null";
    let before = stat("/dev/null");
    for (backend, user) in [("nfs", 0), ("nfs", USER), ("bind", 0), ("bind", USER), ("hardlink", USER)] {
        let mut words = shell(place, backend, script);
        let user = user.to_string();
        let more = ["--with", "chmod", "--ro", "/dev:/all", "--ro", "/dev/null:/one", "--uid", &user];
        // The later of two words for a user counts no more than the earlier.
        let at = words.iter().position(|word| word == "--uid").expect("it is there");
        words.drain(at..at + 2);
        words.splice(1..1, more.map(String::from));
        let ran = loopbox.run(words);
        let told = format!("{backend} as {user}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.stdout, "full\nall", "{told}");
        let refused =
            |of: &str, error: &str| ran.stderr.lines().any(|line| line.contains(of) && line.contains(error));
        assert!(refused("/shown/null", "Permission denied"), "{told}");
        for device in ["/one", "/all/null"] {
            assert!(refused(device, "Read-only file system"), "{told}");
        }
        assert_eq!(ran.stderr.lines().count(), 4, "{told}");
    }
    let after = stat("/dev/null");
    assert_eq!((after.mode(), after.mtime(), after.ctime()), (before.mode(), before.mtime(), before.ctime()));
}

fn nothing_is_left_of_any_backend(place: &Place) {
    let loopbox = prepare(place);
    for backend in BACKENDS {
        let mounts = || fs::read_to_string("/proc/self/mounts").expect("there is a table of mounts");
        let before = mounts();
        loopbox.good(shell(place, backend, "test -d /shown"));
        assert_eq!(mounts(), before, "{backend}");
        let left = |path| fs::read_dir(path).expect("it can be listed").count();
        assert_eq!((left(&loopbox.temporary), left(&loopbox.state)), (0, 0), "{backend}");
        assert_eq!(place.path("shown/a").metadata().expect("it is there").nlink(), 1, "{backend}");
    }
}

fn a_farm_links_what_is_on_its_own_volume(place: &Place) {
    let loopbox = prepare(place);
    assert_eq!(loopbox.good(shell(place, "hardlink", "stat -c %h /shown/a")), "2");
    assert_eq!(loopbox.good(shell(place, "bind", "stat -c %h /shown/a")), "1");
}

fn what_the_user_could_write_is_not_linked(place: &Place) {
    let loopbox = prepare(place);
    let file = place.path("shown/a");
    std::os::unix::fs::chown(&file, Some(USER), Some(USER)).expect("root gives it away");
    let ran = loopbox.run(shell(place, "hardlink", "true"));
    assert_eq!(ran.status, 125);
    let reason = format!("uid {USER} could write {file:?} through a hard link");
    assert!(ran.stderr.contains(&reason) && ran.stderr.contains("Hint: "), "{}", ran.stderr);
    assert_eq!(file.metadata().expect("it is there").nlink(), 1);
}

/// The kernel's table of the program: its root, and the devices and process information that every jail has.
fn a_farm_without_mounts_has_what_is_written_in_itself(place: &Place) {
    let loopbox = prepare(place);
    let user = USER.to_string();
    let shown = format!("{}:/shown", place.path("shown").display());
    let run = |scratch: &str, script: &str| {
        let words = ["run", "--backend", "hardlink", "--scratch", scratch, "--uid", &user, "--gid", &user];
        let shown = ["--ro", &shown, "--tmpfs", "/work", "--with", "sh", "--with", "cat", "--with", "stat"];
        loopbox.good([&words[..], &shown, &["--", "sh", "-c", script]].concat())
    };
    let mounted = |scratch: &str| {
        let table = run(scratch, "cat /proc/self/mountinfo");
        let of_kernel =
            |at: &str| at.starts_with("/proc") || at.starts_with("/dev/") || at.starts_with("/sys");
        let places = table.lines().filter_map(|line| line.split(' ').nth(4));
        places.filter(|at| !of_kernel(at)).map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(mounted("farm"), ["/"]);
    assert_eq!(mounted("local"), ["/", "/tmp", "/work"]);
    let script =
        "echo one > /tmp/a; echo two > /work/b; cat /tmp/a /work/b /shown/a; stat -c %u:%a /tmp /work;
        echo x 2> /dev/null > /shown/a || echo cannot write";
    assert_eq!(run("farm", script), run("local", script));
    let left = |path| fs::read_dir(path).expect("it can be listed").count();
    assert_eq!((left(&loopbox.temporary), left(&loopbox.state)), (0, 0));
    assert_eq!(place.path("shown/a").metadata().expect("it is there").nlink(), 1);
}

fn a_farm_without_mounts_says_what_it_cannot_show(place: &Place) {
    let loopbox = prepare(place);
    let mut words = shell(place, "hardlink", "true");
    words.splice(1..1, ["--scratch", "farm"].map(String::from));
    let ran = loopbox.run(words);
    assert_eq!(ran.status, 125);
    let why = "the hardlink backend cannot show \"/work\": without mounts nothing of the machine can be written there";
    assert!(ran.stderr.contains(why), "{}", ran.stderr);
    for backend in ["nfs", "bind"] {
        let mut words = shell(place, backend, "true");
        words.splice(1..1, ["--scratch", "farm"].map(String::from));
        let ran = loopbox.run(words);
        assert_eq!(ran.status, 2, "{backend}");
        let why = format!("--scratch farm: the backend '{backend}' makes no farm of hard links");
        assert!(ran.stderr.contains(&why) && ran.stderr.contains("Hint: "), "{}", ran.stderr);
    }
}

fn root_gets_no_farm(place: &Place) {
    let ran = Loopbox::at(place).run(["run", "--backend", "hardlink", "--with", "true", "--", "true"]);
    assert_eq!(ran.status, 125);
    assert!(
        ran.stderr.contains("the hardlink backend cannot show \"/\": root could write"),
        "{}",
        ran.stderr
    );
}

fn a_backend_that_does_not_exist_is_a_wrong_word(place: &Place) {
    let ran = Loopbox::at(place).run(["run", "--backend", "fuse", "--", "true"]);
    assert_eq!(ran.status, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("there is no backend \"fuse\": nfs, hardlink, bind"), "{}", ran.stderr);
}
