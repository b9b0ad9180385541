//! `loopbox build` of a graph on a volume that is full at some point: by what a builder writes, or by loopbox's own.

use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::statvfs;

use super::store::Store;
use super::traces;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::{Place, cases};

cases![a_full_volume_fails_the_build_and_leaves_nothing];

/// KiB that are left on the store's volume when the build begins: from nothing, which stops loopbox before a builder has
/// started, to almost all that the graph takes (some 40 MiB at a time).
const LEFT: [u64; 10] = [0, 64, 256, 640, 1_024, 2_048, 6_144, 12_288, 16_384, 20_480];
/// What a full volume is called: by the system, and in two ways by Nix's database.
const FULL: [&str; 3] = ["No space left on device", "database or disk is full", "disk I/O error"];

fn a_full_volume_fails_the_build_and_leaves_nothing(place: &Place) {
    let loopbox = Loopbox::at(place);
    let store = Store::make(place);
    for left in LEFT {
        limit(Some(used() + left));
        let build = store.build(&loopbox).output();
        let ran: Ran = build.expect("loopbox can be started").into();
        // Taking away what was built takes room too.
        limit(None);
        println!("{left} KiB left: {}", ran.told());
        assert_ne!(ran.status, 0, "with {left} KiB left");
        let named = FULL.iter().any(|words| ran.stderr.contains(words));
        assert!(named, "with {left} KiB left it is not told what is full");
        loopbox.good(["clean"]);
        traces::assert_none(&loopbox);
        store.assert_unchanged();
    }
    let whole: Ran = store.build(&loopbox).output().expect("loopbox can be started").into();
    assert_eq!(whole.status, 0, "{}", whole.stderr);
    store.verify();
}

/// Bounds the store's volume, in KiB, or no more.
fn limit(size: Option<u64>) {
    let size = size.map_or_else(|| "size=50%".into(), |size| format!("size={size}k"));
    mount(None::<&str>, "/nix", None::<&str>, MsFlags::MS_REMOUNT, Some(size.as_str()))
        .expect("the store's volume can be bounded");
}

/// KiB on the store's volume.
fn used() -> u64 {
    let volume = statvfs("/nix").expect("the store's volume is there");
    (volume.blocks() - volume.blocks_free()) * volume.fragment_size() / 1024
}
