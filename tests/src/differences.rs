//! What is known to fail, where and why: tests of outside suites, and cases. An entry that does not fail any more is a
//! fault, and so is one that `docs/fidelity.md` does not tell of.

use crate::cases::Ground::{self, Knfsd, Loopbox, Tmpfs};

/// A test that does not hold everywhere.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// Its name in the suite, or a case's file and function. After a `*`, what the names of several end with; each of
    /// them fails.
    pub test: &'static str,
    /// Where it fails.
    pub on: &'static [Ground],
    /// Why it has to.
    pub reason: &'static str,
}

const NO_DEVICES: &str = "the test makes a device node, and nobody makes one in a view: EPERM";
const NO_SET_ID: &str = "the test sets a set-id bit, and a view lets nobody: EPERM";

/// Tests of pjdfstest.
pub const PJDFSTEST: &[Difference] = &[
    Difference { test: "*::block", on: &[Loopbox], reason: NO_DEVICES },
    Difference { test: "*::char", on: &[Loopbox], reason: NO_DEVICES },
    Difference { test: "chmod::clear_isgid_bit", on: &[Loopbox], reason: NO_SET_ID },
    Difference { test: "mkdir::uid_gid_eq_euid_egid", on: &[Loopbox], reason: NO_SET_ID },
    Difference { test: "mkfifo::uid_gid_eq_euid_egid", on: &[Loopbox], reason: NO_SET_ID },
    Difference { test: "mknod::uid_gid_eq_euid_egid", on: &[Loopbox], reason: NO_SET_ID },
    Difference { test: "open::uid_gid_eq_euid_egid", on: &[Loopbox], reason: NO_SET_ID },
    Difference {
        test: "unlink::open_file_not_freed",
        on: &[Knfsd, Loopbox],
        reason: "the client renames an open file that is removed, so it keeps a link",
    },
    Difference {
        test: "utimensat::y2038",
        on: &[Knfsd, Loopbox],
        reason: "NFSv3 has 32 bits for seconds, and the test goes past 2106",
    },
];

/// Own cases.
pub const CASES: &[Difference] = &[
    Difference { test: "carry::modes::set_id_bits_are_kept", on: &[Loopbox], reason: NO_SET_ID },
    Difference {
        test: "carry::modes::writing_and_giving_away_clear_set_id_bits",
        on: &[Loopbox],
        reason: NO_SET_ID,
    },
    Difference {
        test: "carry::modes::a_set_group_id_directory_hands_its_group_down",
        on: &[Loopbox],
        reason: NO_SET_ID,
    },
    Difference {
        test: "carry::rename::an_open_file_that_is_replaced_stays_readable",
        on: &[Knfsd],
        reason: "the name that the client gives to an open file is listed",
    },
    Difference {
        test: "carry::remove::an_unlinked_open_file_stays_usable",
        on: &[Knfsd],
        reason: "the name that the client gives to an open file is listed",
    },
    Difference {
        test: "carry::remove::a_tree_with_open_files_can_be_removed",
        on: &[Knfsd],
        reason: "the name that the client gives to an open file keeps its directory",
    },
    Difference {
        test: "carry::unlinked::a_file_whose_directory_goes_stays_readable",
        on: &[Knfsd],
        reason: "the name that the client gives to an open file keeps its directory",
    },
    Difference {
        test: "carry::truncate::what_a_mapping_wrote_behind_the_end_is_not_in_the_file",
        on: &[Tmpfs],
        reason: "tmpfs does not clear the rest of a page when the file grows over it",
    },
];

impl Difference {
    /// Whether it is about this test.
    pub fn is_about(&self, test: &str) -> bool {
        match self.test.strip_prefix('*') {
            Some(end) => test.ends_with(end),
            None => test == self.test,
        }
    }
}

/// The entry for a test on one ground.
pub fn known(list: &'static [Difference], test: &str, ground: Ground) -> Option<&'static Difference> {
    list.iter().find(|entry| entry.is_about(test) && entry.on.contains(&ground))
}
