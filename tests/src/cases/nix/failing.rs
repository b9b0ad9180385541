//! Builds that fail: what is told of it, and what to do about it.

use super::store::Store;
use crate::cases::{Place, cases};

cases![a_variable_that_is_too_long_for_the_kernel_is_hinted_at];

const HINT: &str = "Hint: the kernel takes at most 128 KiB for each argument and variable, and a quarter of \
                    'ulimit -s' for all together; 'passAsFile' has Nix write long attributes to files";

fn a_variable_that_is_too_long_for_the_kernel_is_hinted_at(place: &Place) {
    let store = Store::of_old_nix(place, "build-users-group = nixbld\nsubstituters =\n");
    let failed = store.build(&store.derivation("long", "fails"));
    assert_eq!(failed.status, 100, "{}", failed.stderr);
    assert!(failed.stderr.contains("busybox/bin/busybox\": Argument list too long"), "{}", failed.stderr);
    let hint = failed.stderr.lines().find(|line| line.starts_with("Hint: "));
    assert_eq!(hint, Some(HINT), "{}", failed.stderr);
}
