//! Libraries of the machine that a configure script would rather take than the declared one.

use std::fs;

use super::store::{Builds, hidden, of, out};
use crate::cases::{Place, cases};

cases![a_library_of_the_machine_is_not_found_and_the_declared_one_is_linked];

/// Where packages that people install by themselves go.
const PREFIXES: [&str; 2] = ["/usr/local", "/opt/homebrew"];

fn a_library_of_the_machine_is_not_found_and_the_declared_one_is_linked(place: &Place) {
    for prefix in PREFIXES {
        fs::create_dir_all(format!("{prefix}/include")).expect("root can make directories");
        fs::create_dir_all(format!("{prefix}/lib")).expect("root can make directories");
        fs::write(format!("{prefix}/include/wish.h"), "#error the machine's own\n").expect("root can write");
        fs::write(format!("{prefix}/lib/libwish.a"), "the machine's own\n").expect("root can write");
    }
    let builds = Builds::new(place);
    let derivation = builds.derivation("configured", &[]);
    let (answer, told) = builds.build(&derivation, &[]);
    let built = of(&answer, &derivation);
    let output = out(built);
    assert_eq!(fs::read_to_string(output.join("says")).expect("it can be read"), "declared\n");
    let place = fs::read_to_string(output.join("where")).expect("it can be read");
    assert!(place.split(' ').all(|prefix| prefix.trim().ends_with("-wish")), "{place}");
    // The kernel asks for the first part of a path that there is not, and for nothing below it.
    let hidden = hidden(built);
    for first in ["/opt", "/usr"] {
        assert!(hidden.contains(&first), "{first} is not in {hidden:?}");
        assert!(told.contains(&format!("\n  {first}\n")), "{first} is not in:\n{told}");
    }
    assert!(told.contains("asked for paths of this machine that are not in its view:\n"), "{told}");
}
