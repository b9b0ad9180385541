//! The same attacks from inside a real build.

use std::fs;

use super::host::{Host, attacker};
use crate::cases::hide::store::{Builds, of, out};
use crate::cases::place::USER;
use crate::cases::{Place, cases};

cases![a_build_changes_and_reaches_nothing_of_the_host];

/// The lists of attempts, and how many each has at least.
const KINDS: [(&str, usize); 5] =
    [("graft", 25), ("set-id", 9), ("escape", 20), ("namespaces", 9), ("port", 4)];
/// What the attacker needs to start: the machine's loader and libraries.
const LIBRARIES: &str = "/lib64=/usr/lib64 /lib/x86_64-linux-gnu=/usr/lib/x86_64-linux-gnu";

fn a_build_changes_and_reaches_nothing_of_the_host(place: &Place) {
    let mut host = Host::new(place, first_build_user().unwrap_or(USER));
    let before = host.tree();
    let builds = Builds::new(place);
    let graft = place.path("graft");
    let words = format!("/attacker={} /graft={} {LIBRARIES}", attacker(), graft.display());
    // Where what it writes is the machine's own, set-id files are refused where they would stay.
    for (scratch, set_id_in) in [("nfs", "/build"), ("local", "/nix/store")] {
        let lines = KINDS.map(|(kind, _)| {
            let place = if kind == "set-id" { set_id_in } else { "/build" };
            let attack = host.attack(kind).into_iter().skip(1).chain(["--scratch".into(), place.into()]);
            let attack: Vec<String> = attack.map(|word| format!("'{word}'")).collect();
            format!("echo '{kind}:' >> $out; /attacker {} >> $out || echo failed >> $out", attack.join(" "))
        });
        let script = format!("{}\n# {scratch}", lines.join("\n"));
        let derivation = builds.derivation("looking", &[("script", &script)]);
        let (answer, _) = builds.build(&derivation, &["--scratch", scratch, "--sandbox-paths", &words]);
        let report = fs::read_to_string(out(of(&answer, &derivation))).expect("it can be read");
        assert!(!report.contains("WRONG") && !report.contains("failed"), "{scratch}: {report}");
        let attempts: usize = KINDS.iter().map(|(_, attempts)| attempts).sum();
        assert!(report.lines().count() > attempts + 2 * KINDS.len() - 1, "{report}");
        assert_eq!(host.tree(), before);
    }
    assert!(host.process_lives());
}

/// The user that the only build on this machine gets, for the files to belong to.
fn first_build_user() -> Option<u32> {
    let group = nix::unistd::Group::from_name("nixbld").ok()??;
    let user = nix::unistd::User::from_name(group.mem.first()?).ok()??;
    Some(user.uid.as_raw())
}
