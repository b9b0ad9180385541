//! Supplementary groups: what they open, and to whom a file can be given.

use std::os::unix::fs::MetadataExt;

use crate::cases::place::{USER, stat};
use crate::cases::{Place, cases};

cases![
    a_supplementary_group_opens_files,
    sixteen_groups_count_and_more_do_not_over_nfs,
    the_owner_gives_a_file_to_its_own_groups_only,
    a_group_member_writes_what_the_group_may_write,
];

/// Runs a script as the build user in these groups; how it ended.
fn in_groups(place: &Place, groups: impl IntoIterator<Item = u32>, script: &str) -> bool {
    let groups: Vec<String> = groups.into_iter().map(|group| group.to_string()).collect();
    let user =
        format!("setpriv --reuid {USER} --regid {USER} --groups {} sh -ec '{script}'", groups.join(","));
    place.try_shell(&user).status.success()
}

fn a_supplementary_group_opens_files(place: &Place) {
    place.shell("echo secret > f && chown 0:2001 f && chmod 640 f");
    assert!(in_groups(place, [2000, 2001], "cat f"));
    assert!(!in_groups(place, [2000, 2002], "cat f"));
}

/// AUTH_SYS carries sixteen (RFC 5531, appendix A); the kernel sorts them and sends the first.
fn sixteen_groups_count_and_more_do_not_over_nfs(place: &Place) {
    place.shell("echo x > a && chown 0:2015 a && echo x > b && chown 0:2016 b && chmod 640 a b");
    assert!(in_groups(place, 2000..2016, "cat a"));
    assert!(in_groups(place, 2000..2017, "cat a"));
    assert_eq!(in_groups(place, 2000..2017, "cat b"), place.is_local());
}

fn the_owner_gives_a_file_to_its_own_groups_only(place: &Place) {
    place.give();
    let path = place.path("f");
    assert!(in_groups(place, [2001], "echo x > f && chgrp 2001 f"));
    assert_eq!((stat(&path).uid(), stat(&path).gid()), (USER, 2001));
    assert!(!in_groups(place, [2001], "chgrp 2002 f"));
    assert_eq!(stat(&path).gid(), 2001);
}

fn a_group_member_writes_what_the_group_may_write(place: &Place) {
    place.shell(
        "mkdir d && chown 0:2001 d && chmod 770 d && echo x > d/f && chown 0:2001 d/f && chmod 660 d/f",
    );
    assert!(in_groups(place, [2001], "echo y >> d/f && touch d/new && mv d/new d/old && rm d/old"));
    assert!(!in_groups(place, [2002], "ls d"));
    // The group's bits count for its members, also when everybody else may more.
    place.shell("chmod 606 d/f && chmod 777 d");
    assert!(!in_groups(place, [2001], "cat d/f"));
    assert!(in_groups(place, [2002], "cat d/f"));
}
