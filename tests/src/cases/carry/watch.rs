//! inotify(7): what is done on this machine is told. What a server's other users do is not: a view has none.

use std::collections::BTreeSet;
use std::ffi::OsString;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::cases::{Place, cases};

cases![changes_in_a_watched_directory_are_told, changes_by_another_process_are_told];

/// What was told since the last time: the event, and the name.
fn told(watch: &Inotify) -> BTreeSet<(u32, OsString)> {
    let events = watch.read_events().expect("events can be read");
    events.into_iter().map(|event| (event.mask.bits(), event.name.unwrap_or_default())).collect()
}

fn watch(place: &Place) -> Inotify {
    let watch = Inotify::init(InitFlags::IN_NONBLOCK).expect("inotify");
    let wanted = AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_MOVE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_ATTRIB;
    watch.add_watch(place.dir(), wanted).expect("a directory can be watched");
    watch
}

fn event(mask: AddWatchFlags, name: &str) -> (u32, OsString) {
    (mask.bits(), name.into())
}

fn changes_in_a_watched_directory_are_told(place: &Place) {
    let watch = watch(place);
    place.file("f", "contents");
    assert_eq!(
        told(&watch),
        [event(AddWatchFlags::IN_CREATE, "f"), event(AddWatchFlags::IN_CLOSE_WRITE, "f")].into()
    );
    std::fs::rename(place.path("f"), place.path("g")).expect("rename");
    assert_eq!(
        told(&watch),
        [event(AddWatchFlags::IN_MOVED_FROM, "f"), event(AddWatchFlags::IN_MOVED_TO, "g")].into()
    );
    std::fs::create_dir(place.path("d")).expect("mkdir");
    assert_eq!(told(&watch), [event(AddWatchFlags::IN_CREATE | AddWatchFlags::IN_ISDIR, "d")].into());
    std::fs::remove_file(place.path("g")).expect("unlink");
    assert!(told(&watch).contains(&event(AddWatchFlags::IN_DELETE, "g")));
}

fn changes_by_another_process_are_told(place: &Place) {
    let watch = watch(place);
    place.other(["append", "log", "line", "1"]).end();
    assert!(told(&watch).contains(&event(AddWatchFlags::IN_CLOSE_WRITE, "log")));
    place.shell("chmod 600 log");
    assert!(told(&watch).contains(&event(AddWatchFlags::IN_ATTRIB, "log")));
}
