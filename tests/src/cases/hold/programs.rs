//! Set-id programs and devices cannot be made, by system calls or by the usual programs.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use walkdir::WalkDir;

use super::host::{Host, USERS, assert_held};
use crate::cases::loopbox::Loopbox;
use crate::cases::{Place, cases};

cases![
    set_id_files_and_devices_cannot_be_made,
    programs_that_keep_modes_make_no_set_id_files,
    set_id_programs_of_the_host_are_plain_ones_inside,
];

const ATTEMPTS: usize = 9;

/// A directory of the user's own, which the view shows writable.
fn writable(place: &Place, user: u32) -> String {
    let work = place.directory("work");
    chown(&work, Some(user), Some(user)).expect("root can give it away");
    format!("{}:/written", work.display())
}

fn assert_no_set_id(place: &Place) {
    for entry in WalkDir::new(place.path("work")) {
        let entry = entry.expect("it can be read");
        let mode = entry.metadata().expect("it can be looked at").mode();
        assert_eq!(mode & 0o6000, 0, "{} has mode {mode:o}", entry.path().display());
    }
}

fn set_id_files_and_devices_cannot_be_made(place: &Place) {
    for user in USERS {
        let place = Place::new(place.directory(user.to_string()), place.ground);
        let host = Host::new(&place, user);
        assert_held(&host.attacked(&place, "set-id", user, &["--scratch", "nfs"]), ATTEMPTS);
        let words = ["--rw".to_owned(), writable(&place, user), "--".into()];
        let attack = host.attack("set-id").into_iter().chain(["--scratch".into(), "/written".into()]);
        let ran = Loopbox::at(&place).run(host.view(user).into_iter().chain(words).chain(attack));
        assert_held(&ran, ATTEMPTS);
        assert_no_set_id(&place);
    }
}

fn programs_that_keep_modes_make_no_set_id_files(place: &Place) {
    place.directory("from");
    let program = place.file("from/program", "#!/bin/sh\n");
    fs::set_permissions(&program, Permissions::from_mode(0o6755)).expect("root can change modes");
    place.shell("tar -cpf archive.tar -C from program");
    let show = |name: &str, at: &str| format!("{}:{at}", place.path(name).display());
    let script = "cd /written
        tar -xpf /archive.tar || echo tar: $?
        cp -p /from/program copy || echo cp: $?
        cp /bin/sh plain && chmod u+s plain || echo chmod: $?
        install -m 4755 /from/program installed || echo install: $?
        umask 0; mkdir -m 2777 directory || echo mkdir: $?
        for file in *; do if [ -u $file ] || [ -g $file ]; then echo $file is set-id; fi; done";
    for user in USERS {
        let (archive, from, work) =
            (show("archive.tar", "/archive.tar"), show("from", "/from"), writable(place, user));
        let mut words = vec!["run"];
        for program in ["/bin/sh", "tar", "cp", "chmod", "install", "mkdir"] {
            words.extend(["--with", program]);
        }
        let user = user.to_string();
        words.extend([
            "--uid", &user, "--ro", &archive, "--ro", &from, "--rw", &work, "--", "/bin/sh", "-c", script,
        ]);
        let seen = Loopbox::at(place).good(words);
        // cp does not know of the bits: they never show.
        for program in ["tar", "chmod", "install", "mkdir"] {
            assert!(
                seen.contains(&format!("{program}: 1")) || seen.contains(&format!("{program}: 2")),
                "{seen}"
            );
        }
        assert!(!seen.contains("set-id"), "{seen}");
        assert_no_set_id(place);
        fs::remove_dir_all(place.path("work")).expect("root can remove it");
    }
}

fn set_id_programs_of_the_host_are_plain_ones_inside(place: &Place) {
    let program = place.path("id");
    fs::copy("/usr/bin/id", &program).expect("the machine has id");
    fs::set_permissions(&program, Permissions::from_mode(0o6755)).expect("root can change modes");
    let program = program.display().to_string();
    let seen = Loopbox::at(place).good(["run", "--with", &program, "--uid", "30001", "--", &program, "-u"]);
    assert_eq!(seen, "30001");
}
