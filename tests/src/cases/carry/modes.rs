//! Set-id and sticky bits: how they are set, what clears them, and what they do.

use std::os::unix::fs::MetadataExt;

use crate::cases::place::{USER, mode, stat};
use crate::cases::{Place, cases};

cases![
    set_id_bits_are_kept,
    writing_and_giving_away_clear_set_id_bits,
    a_set_group_id_directory_hands_its_group_down,
    a_directory_can_be_made_sticky_at_once,
    in_a_sticky_directory_names_belong_to_owners,
    in_a_sticky_directory_its_owner_may_everything,
    without_the_sticky_bit_whoever_writes_removes,
    umask_does_not_reach_chmod,
];

/// A script as the build user, or one of the users after it.
fn user(place: &Place, number: u32, script: &str) -> bool {
    let id = USER + number;
    place
        .try_shell(&format!("setpriv --reuid {id} --regid {id} --clear-groups sh -ec '{script}'"))
        .status
        .success()
}

fn set_id_bits_are_kept(place: &Place) {
    place.shell("touch f && chmod 6755 f && mkdir d && chmod 2775 d");
    assert_eq!((mode(place.path("f")), mode(place.path("d"))), (0o6755, 0o2775));
}

fn writing_and_giving_away_clear_set_id_bits(place: &Place) {
    place.shell("echo x > f && chmod 6777 f");
    assert!(user(place, 0, "echo y >> f"));
    assert_eq!(mode(place.path("f")), 0o777);
    place.shell("chmod 6755 f && chown 5:5 f");
    assert_eq!(mode(place.path("f")), 0o755);
}

fn a_set_group_id_directory_hands_its_group_down(place: &Place) {
    place.shell("mkdir d && chown 0:2001 d && chmod 2777 d && mkdir d/e && touch d/f");
    assert_eq!((stat(place.path("d/f")).gid(), stat(place.path("d/e")).gid()), (2001, 2001));
    assert_eq!(mode(place.path("d/e")) & 0o2000, 0o2000);
}

fn a_directory_can_be_made_sticky_at_once(place: &Place) {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o1755).create(place.path("d")).expect("mkdir");
    assert_eq!(mode(place.path("d")), 0o1755);
}

fn in_a_sticky_directory_names_belong_to_owners(place: &Place) {
    place.shell("mkdir d && chmod 1777 d && mkdir elsewhere && chmod 777 elsewhere");
    assert!(user(place, 1, "echo x > d/f && mkdir d/dir && chmod 777 d/dir d/f && ln -s f d/link"));
    for denied in [
        "rm -f d/f",
        "rm -f d/link",
        "rmdir d/dir",
        "mv d/f d/g",
        "mv d/dir elsewhere/dir",
        "echo y > d/mine && mv -f d/mine d/f",
        "mkdir d/mine2 && mv -T d/mine2 d/dir",
    ] {
        assert!(!user(place, 2, denied), "{denied}");
    }
    assert!(user(place, 2, "echo y >> d/f && touch d/dir/new && rm d/dir/new"));
    assert!(user(place, 1, "mv d/f d/g && mv d/g elsewhere/g && rmdir d/dir && rm d/link"));
}

fn in_a_sticky_directory_its_owner_may_everything(place: &Place) {
    place.shell(&format!("mkdir d && chmod 1777 d && chown {USER} d"));
    assert!(user(place, 1, "echo x > d/f && echo x > d/g && mkdir d/dir"));
    assert!(user(place, 0, "rm -f d/f && mv d/g d/h && rmdir d/dir"));
    assert_eq!(place.names("d"), ["h"]);
}

fn without_the_sticky_bit_whoever_writes_removes(place: &Place) {
    place.shell("mkdir d && chmod 777 d && echo x > d/f && chmod 600 d/f && echo y > d/g");
    assert!(user(place, 0, "mv d/f d/h && rm -f d/h d/g"));
    assert!(place.names("d").is_empty());
}

fn umask_does_not_reach_chmod(place: &Place) {
    place.shell("umask 077 && touch f && mkdir d && mkfifo p && chmod 666 f && ln -s f l");
    let modes = ["f", "d", "p"].map(|name| mode(place.path(name)));
    assert_eq!(modes, [0o666, 0o700, 0o600]);
}
