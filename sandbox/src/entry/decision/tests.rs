//! The table of decisions, line by line.

use std::fmt::Write;

use super::{Decision, MODES, MacCapabilities, ProbeResult, Sip};

fn facts(sip: Sip, image: bool, probes: [ProbeResult; 3]) -> MacCapabilities {
    let cryptex = image.then(|| "/System/Volumes/Preboot/U/cryptex1/current/os.dmg".into());
    MacCapabilities { build: "24F74".into(), sip, cryptex, probes }
}

fn line(facts: &MacCapabilities) -> String {
    let Decision { mode, refused } = facts.decide();
    let mut text = mode.map_or("none".to_owned(), |mode| mode.to_string());
    for (mode, reason) in refused {
        write!(text, "\n  {mode}: {reason}").expect("a string can be written to");
    }
    text
}

#[test]
fn what_is_known_of_a_machine_decides_how_it_is_entered() {
    let works = || ProbeResult::Works;
    let fails = || ProbeResult::Fails("it ended by signal 6".into());
    let table = [
        facts(Sip::Off, true, [works(), ProbeResult::Untried, ProbeResult::Untried]),
        facts(Sip::Off, true, [fails(), works(), ProbeResult::Untried]),
        facts(Sip::Protects, true, [ProbeResult::Untried, works(), ProbeResult::Untried]),
        facts(Sip::Protects, true, [ProbeResult::Untried, fails(), works()]),
        facts(Sip::Protects, false, [ProbeResult::Untried, ProbeResult::Untried, works()]),
        facts(Sip::Protects, false, [works(), works(), fails()]),
        facts(Sip::Unknown, false, [works(), ProbeResult::Untried, ProbeResult::Untried]),
        facts(Sip::Unknown, false, [fails(), ProbeResult::Untried, works()]),
        facts(Sip::Protects, true, [ProbeResult::Untried, ProbeResult::Untried, ProbeResult::Untried]),
    ];
    let lines: Vec<String> = table
        .iter()
        .map(|facts| {
            let image = if facts.cryptex.is_some() { "an image" } else { "no image" };
            format!("{:?}, {image} => {}", facts.sip, line(facts))
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    Off, an image => chroot
    Off, an image => chroot with the system's disk image
      chroot: its probe failed: it ended by signal 6
    Protects, an image => chroot with the system's disk image
      chroot: System Integrity Protection guards the system's files, so that no dynamic program starts below a root that is served over NFS
    Protects, an image => sandbox profile without chroot
      chroot: System Integrity Protection guards the system's files, so that no dynamic program starts below a root that is served over NFS
      chroot with the system's disk image: its probe failed: it ended by signal 6
    Protects, no image => sandbox profile without chroot
      chroot: System Integrity Protection guards the system's files, so that no dynamic program starts below a root that is served over NFS
      chroot with the system's disk image: this system has no disk image of its shared cache (macOS 13 and later have)
    Protects, no image => none
      chroot: System Integrity Protection guards the system's files, so that no dynamic program starts below a root that is served over NFS
      chroot with the system's disk image: this system has no disk image of its shared cache (macOS 13 and later have)
      sandbox profile without chroot: its probe failed: it ended by signal 6
    Unknown, no image => chroot
    Unknown, no image => sandbox profile without chroot
      chroot: its probe failed: it ended by signal 6
      chroot with the system's disk image: this system has no disk image of its shared cache (macOS 13 and later have)
    Protects, an image => none
      chroot: System Integrity Protection guards the system's files, so that no dynamic program starts below a root that is served over NFS
      chroot with the system's disk image: it was not tried: 'sudo loopbox doctor' tries it
      sandbox profile without chroot: it was not tried: 'sudo loopbox doctor' tries it
    "#);
}

#[test]
fn ways_are_tried_in_order_until_one_works_and_not_when_they_are_out_of_the_question() {
    let mut tried = Vec::new();
    let mut machine = facts(Sip::Protects, true, Default::default());
    machine.probe_all(|mode| {
        tried.push(mode);
        if tried.len() == 2 { ProbeResult::Works } else { ProbeResult::Fails("no".into()) }
    });
    assert_eq!(tried, MODES[1..]);
    assert_eq!(machine.probes, [ProbeResult::Untried, ProbeResult::Fails("no".into()), ProbeResult::Works]);
}

#[test]
fn what_was_tried_holds_for_the_same_system_with_the_same_protection() {
    let before = facts(Sip::Off, true, [ProbeResult::Works, ProbeResult::Untried, ProbeResult::Untried]);
    assert!(before.same_machine(&facts(Sip::Off, true, Default::default())));
    assert!(!before.same_machine(&facts(Sip::Protects, true, Default::default())));
    assert!(!before.same_machine(&facts(Sip::Off, false, Default::default())));
    let updated = MacCapabilities { build: "25A1".into(), ..before.clone() };
    assert!(!before.same_machine(&updated));
}

#[test]
fn only_another_root_loses_nothing() {
    let lost: Vec<usize> = MODES.iter().map(|mode| mode.limitations().len()).collect();
    assert_eq!(lost, [0, 1, 7]);
}
