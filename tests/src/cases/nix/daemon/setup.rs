//! `loopbox setup`: writes what it takes, shows that it works, and takes it back.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{BUILD_USERS, Daemons};
use crate::cases::nix::store::ran;
use crate::cases::{Place, cases};

cases![a_machine_is_set_up_and_back];

/// Contents, inode, mode and time of each file in a directory.
fn files(directory: &Path) -> Vec<(String, Vec<u8>, u64, u32, i64)> {
    let entries = fs::read_dir(directory).into_iter().flatten().map(|entry| entry.expect("it can be read"));
    let mut files: Vec<_> = entries
        .map(|entry| {
            let metadata = entry.metadata().expect("it is there");
            let name = entry.file_name().into_string().expect("names are text");
            let contents = fs::read(entry.path()).expect("it is a file");
            (name, contents, metadata.ino(), metadata.mode(), metadata.mtime_nsec())
        })
        .collect();
    files.sort();
    files
}

/// All of it in one system, in which the files lie that are written: each command has one of its own.
fn a_machine_is_set_up_and_back(place: &Place) {
    let mut daemons = Daemons::start_with(place, "");
    drop((daemons.nix.take(), daemons.loopbox.take()));
    daemons.store.configure(
        place,
        &format!("{BUILD_USERS}substituters =\nsandbox-paths = /bin/sh=/usr/bin/busybox\n"),
    );
    let before = files(&place.path("conf"));
    let (program, socket) = (crate::cases::loopbox::Loopbox::for_everybody(), super::socket(place));
    let script = format!(
        "exec 2>&1
         mkdir /tmp/managed; ln -s /etc/static/nix.conf /tmp/managed/nix.conf
         NIX_CONFIG=$(cat $NIX_CONF_DIR/nix.conf) NIX_CONF_DIR=/tmp/managed {} setup
         NIX_CONFIG=$(cat $NIX_CONF_DIR/nix.conf) NIX_CONF_DIR=/tmp/managed {} setup --write || echo status $?
         loopbox() {{ {} --socket {} \"$@\"; }}
         loopbox setup > /tmp/printed
         test ! -e /etc/loopbox
         (
             mkdir /tmp/edited; cp $NIX_CONF_DIR/nix.conf /tmp/edited; cp $NIX_CONF_DIR/nix.conf /tmp/expected
             NIX_CONF_DIR=/tmp/edited
             loopbox setup --write
             for file in edited/nix.conf expected; do echo keep-outputs = true >> /tmp/$file; done
             loopbox setup --write
             loopbox setup --undo
             test \"$(ls -A /tmp/edited)\" = nix.conf
             cmp /tmp/edited/nix.conf /tmp/expected
         )
         test ! -e /etc/loopbox
         loopbox setup --write
         loopbox setup --write
         cp $NIX_CONF_DIR/loopbox.conf /tmp/written
         loopbox daemon > /dev/null 2>&1 & nix-daemon > /dev/null 2>&1 &
         trap 'kill %1 %2' EXIT
         until [ -S {} ] && [ -S {} ]; do sleep 0.1; done
         loopbox setup --verify
         mkdir /tmp/home; chown 30001:30001 /tmp/home
         HOME=/tmp/home TMPDIR=/tmp NIX_REMOTE=daemon /usr/sbin/chroot --userspec 30001:30001 / {} setup --verify
         loopbox setup --undo
         loopbox setup --undo || echo status $?
         test ! -e /etc/loopbox
         cat /tmp/printed /tmp/written",
        program.display(),
        program.display(),
        program.display(),
        socket.display(),
        socket.display(),
        super::NIX_SOCKET,
        program.display(),
    );
    let ran = ran(&mut daemons.store.command("sh", ["-e", "-c", &script]));
    assert_eq!(ran.status, 0, "{}", ran.stdout);
    let good = ran.stdout.matches("good: Nix has built /nix/store/").count();
    assert_eq!(good, 2, "{}", ran.stdout);
    for expected in [
        "Everything is set up already; nothing was written.",
        "/tmp/edited/nix.conf has changed since; the line for loopbox is taken out.",
        "What was written is undone.",
        "there is nothing to undo",
        "# \"/tmp/managed/nix.conf\" is written by another program, which has to write:",
        "Error: \"/tmp/managed/nix.conf\" is a link",
        "status 125",
        "!include loopbox.conf",
        "\"external-builder\",\"/bin/sh=/usr/bin/busybox\"",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
    assert_eq!(files(&place.path("conf")), before);
}
