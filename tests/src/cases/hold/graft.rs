//! A read-only graft cannot be changed, not even by its owner and not by root.

use super::host::{Host, USERS, assert_held};
use crate::cases::{Place, cases};

cases![nothing_in_a_graft_can_be_changed];

/// How many ways to change a graft are tried.
const ATTEMPTS: usize = 25;

fn nothing_in_a_graft_can_be_changed(place: &Place) {
    for user in USERS {
        let place = Place::new(place.directory(user.to_string()), place.ground);
        let host = Host::new(&place, user);
        let before = host.tree();
        assert_held(&host.attacked(&place, "graft", user, &[]), ATTEMPTS);
        assert_eq!(host.tree(), before);
    }
}
