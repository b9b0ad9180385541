//! A volume that does not take any write for a while (fsfreeze(8)), as while a snapshot is made of it: whoever writes waits.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::stopped;
use crate::cases::clean::store::Store;
use crate::cases::clean::traces;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::place::USER;
use crate::cases::{Behind, Place, cases};
use crate::command::{command, quiet};

cases![a_run_goes_on_after_its_volume_was_frozen, a_build_goes_on_after_its_store_was_frozen];

/// An ext4 file system of its own.
struct Volume {
    at: PathBuf,
    image: PathBuf,
}

impl Volume {
    fn mount(at: &Path) -> Volume {
        Behind::Ext4.mount(at).expect("a file system can be made");
        Volume { at: at.to_owned(), image: at.with_extension("image") }
    }

    fn freeze(&self) -> Frozen<'_> {
        quiet(command("fsfreeze", ["--freeze"]).arg(&self.at)).expect("it can be frozen");
        Frozen(&self.at)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // What keeps it in use has made the case fail already.
        let _ = quiet(command("umount", ["-l"]).arg(&self.at));
        let _ = fs::remove_file(&self.image);
    }
}

/// A file system that takes no writes.
struct Frozen<'a>(&'a Path);

impl Frozen<'_> {
    /// Lets it go on after more than a minute; `users` are those who wait for it.
    fn wait(self, users: &[u32]) {
        stopped::wait();
        assert!(traces::is_held_up(users), "nobody waits for the volume");
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        quiet(command("fsfreeze", ["--unfreeze"]).arg(self.0)).expect("it is frozen");
    }
}

fn a_run_goes_on_after_its_volume_was_frozen(place: &Place) {
    let volume = Volume::mount(&place.directory("volume"));
    place.file("volume/input", "the input's\n");
    let show = format!("{}:/volume", volume.at.display());
    let script = "echo ready; read line; cat /volume/input > /volume/output; echo $?";
    let words = ["run", "--with", "sh", "--with", "cat", "--uid", &USER.to_string(), "--rw", &show];
    let loopbox = Loopbox::at(place);
    let mut child = loopbox
        .command(words.into_iter().chain(["--", "sh", "-c", script]))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("loopbox can be started");
    let mut lines = BufReader::new(child.stdout.take().expect("it is a pipe")).lines();
    let mut hear = || lines.next().map(|line| line.expect("it can be read"));
    assert_eq!(hear().as_deref(), Some("ready"));
    let frozen = volume.freeze();
    child.stdin.take().expect("it is a pipe").write_all(b"go\n").expect("the program reads it");
    frozen.wait(&[USER]);
    assert_eq!([hear().as_deref(), hear().as_deref()], [Some("0"), None]);
    let ran = Ran::from(child.wait_with_output().expect("it can be waited for"));
    assert_eq!(ran.told(), "exit status 0");
    assert_eq!(fs::read_to_string(place.path("volume/output")).expect("it is there"), "the input's\n");
    traces::assert_none(&loopbox);
}

fn a_build_goes_on_after_its_store_was_frozen(place: &Place) {
    let volume = Volume::mount(Path::new("/nix"));
    let mut store = Store::make_in_volume(place);
    stopped::build_held_up(place, &mut store, |_, users| volume.freeze().wait(users));
}
