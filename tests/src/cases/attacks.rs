//! Attacks, each in as many worlds as show what keeps it from succeeding: where every defence stands it fails; where those that
//! it is behind are taken away it succeeds; and where one of several is left, that one alone is enough.
//!
//! Only the tests' own program can be without a defence (the crate `defences`). To add an attack, write it into the table of its
//! kind with the defences that it has to get past.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::process::Command;

use defences::Defence;

use super::hold::host::Host;
use super::loopbox::{Loopbox, Ran};
use super::place::USER;
use super::{Case, Place};

mod build;
mod daemon;
mod escape;
mod exhaust;
mod graft;
mod itself;
mod namespaces;
mod neighbours;
mod set_id;
mod shown;
mod source;
mod wire;

/// Something that must not succeed.
pub struct Attack {
    /// What is tried, as a sentence's beginning.
    what: &'static str,
    /// The defences that it has to get past, each of which would be enough.
    behind: &'static [Defence],
    /// The case that proves it.
    case: Case,
}

/// Attacks of one kind.
struct Kind {
    /// A heading.
    name: &'static str,
    attacks: &'static [Attack],
}

const KINDS: [Kind; 12] = [
    Kind { name: "files and processes of the machine", attacks: escape::ATTACKS },
    Kind { name: "mounts and namespaces", attacks: namespaces::ATTACKS },
    Kind { name: "what is shown read-only", attacks: graft::ATTACKS },
    Kind { name: "files that are exchanged, and those of others", attacks: source::ATTACKS },
    Kind { name: "set-id programs and devices", attacks: set_id::ATTACKS },
    Kind { name: "loopbox's own file", attacks: itself::ATTACKS },
    Kind { name: "the machine's networks, objects and other builds", attacks: neighbours::ATTACKS },
    Kind { name: "the server's protocol", attacks: wire::ATTACKS },
    Kind { name: "using everything up", attacks: exhaust::ATTACKS },
    Kind { name: "outputs, and what a build leaves", attacks: build::ATTACKS },
    Kind { name: "whoever reads logs, names and pages", attacks: shown::ATTACKS },
    Kind { name: "the daemon, and those who run as root", attacks: daemon::ATTACKS },
];

/// Attacks as a table of constants: what each is, the defences that it is behind, and a function that tries it.
macro_rules! attacks {
    ($($name:ident, $what:literal, [$($defence:ident),+], $try:expr;)+) => {
        /// The attacks of this file.
        pub const ATTACKS: &[crate::cases::attacks::Attack] = &[$(
            crate::cases::attacks::Attack {
                what: $what,
                behind: &[$(defences::Defence::$defence),+],
                case: crate::cases::Case {
                    name: concat!(module_path!(), "::", stringify!($name)),
                    run: |place| crate::cases::attacks::prove(place, &[$(defences::Defence::$defence),+], &$try),
                },
            },
        )+];
    };
}
use attacks;

/// All of them as cases.
pub fn cases() -> Vec<Case> {
    KINDS.iter().flat_map(|kind| kind.attacks).map(|attack| attack.case).collect()
}

/// One world: a directory of its own, and loopbox as it is there.
struct World {
    place: Place,
    loopbox: Loopbox,
}

/// What came of an attack.
enum Outcome {
    /// Nothing, by the answer that is right.
    Held(String),
    /// Nothing, by another answer, or since nothing was run at all.
    Failed(String),
    /// What it was to lead to.
    Succeeded(String),
}

impl Outcome {
    /// That it succeeded, if that is so.
    fn when(succeeded: bool, told: impl Into<String>) -> Outcome {
        if succeeded { Outcome::Succeeded(told.into()) } else { Outcome::Held(told.into()) }
    }
}

impl World {
    /// Without some defences.
    fn new(place: &Place, name: &str, without: &[Defence]) -> World {
        let place = Place::new(place.directory(name), place.ground);
        let loopbox = Loopbox::at(&place).without(without);
        World { place, loopbox }
    }

    /// What a hostile program in a view reports of one attempt of its list, as this user, with more words for `loopbox run`.
    fn attempt(&self, user: u32, kind: &str, name: &str, more: &[&str]) -> Outcome {
        let host = Host::new(&self.place, user);
        let shown = self.place.path("graft");
        // A program whose root is the machine's finds it, too.
        let shown = format!("{0}:{0}", shown.display());
        let words = host
            .view(user)
            .into_iter()
            .chain(["--ro".into(), shown])
            .chain(more.iter().map(|word| (*word).into()));
        let graft = ["--graft".to_owned(), self.place.path("graft").display().to_string()];
        let attack = host.attack(kind).into_iter().chain(graft).chain(["--one".into(), name.into()]);
        Self::judge(&self.loopbox.run(words.chain(["--".into()]).chain(attack)))
    }

    /// Runs a command of another's without the defences that this world is without.
    fn weaken(&self, command: &mut Command) -> Ran {
        self.without(command);
        command.output().expect("loopbox can be started").into()
    }

    /// Has a command be without them.
    fn without(&self, command: &mut Command) {
        let own = self.loopbox.command([""; 0]);
        command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    }

    /// The answer of an attempt, which says itself what it gained.
    fn judge(ran: &Ran) -> Outcome {
        let told = format!("{}{}", ran.stdout, ran.stderr);
        match (ran.status, ran.stdout.contains("WRONG ")) {
            (0, false) => Outcome::Held(told),
            (_, true) if ran.stdout.contains(": Ok(Host)") => Outcome::Succeeded(told),
            _ => Outcome::Failed(told),
        }
    }
}

/// Tries an attack in each of its worlds.
#[track_caller]
fn prove(place: &Place, behind: &[Defence], attack: &dyn Fn(&World) -> Outcome) {
    match attack(&World::new(place, "whole", &[])) {
        Outcome::Held(_) => {}
        Outcome::Failed(told) => panic!("it fails otherwise than it should: {told}"),
        Outcome::Succeeded(told) => panic!("it succeeds: {told}"),
    }
    match attack(&World::new(place, "weak", behind)) {
        Outcome::Succeeded(_) => {}
        Outcome::Held(told) | Outcome::Failed(told) => panic!("it fails even without {behind:?}: {told}"),
    }
    for defence in behind.iter().filter(|_| behind.len() > 1) {
        let others: Vec<Defence> = behind.iter().copied().filter(|other| other != defence).collect();
        if let Outcome::Succeeded(told) = attack(&World::new(place, defence.name(), &others)) {
            panic!("it succeeds without {others:?}, {defence:?} or not: {told}");
        }
    }
}

/// All of them, with the defences that each is behind, and the table of docs/security.md.
#[must_use]
pub fn list() -> String {
    let mut list = String::new();
    for kind in &KINDS {
        let _ = writeln!(list, "{}:", kind.name);
        for attack in kind.attacks {
            let _ = writeln!(list, "  {}: {}", attack.what, names(attack.behind));
        }
    }
    list + "\n" + &table()
}

fn names(defences: &[Defence]) -> String {
    let names: Vec<&str> = defences.iter().map(|defence| defence.name()).collect();
    names.join(" and ")
}

fn table() -> String {
    let mut table = String::from("| attacks on | number | succeed without |\n|---|--:|---|\n");
    for kind in &KINDS {
        let behind: BTreeSet<String> = kind.attacks.iter().map(|attack| names(attack.behind)).collect();
        let behind: Vec<String> = behind.into_iter().collect();
        let _ = writeln!(table, "| {} | {} | {} |", kind.name, kind.attacks.len(), behind.join(", "));
    }
    let all: usize = KINDS.iter().map(|kind| kind.attacks.len()).sum();
    let _ = writeln!(table, "| **in all** | **{all}** | |");
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These take landlock, which the machine's kernel lacks: the tests of the server's process and of jails attack them.
    const ON_THE_HOST: [Defence; 3] = [Defence::ServerFiles, Defence::ServerCalls, Defence::AbstractSockets];

    #[test]
    fn every_defence_has_an_attack_that_it_keeps_out() {
        let kept: BTreeSet<Defence> =
            KINDS.iter().flat_map(|kind| kind.attacks).flat_map(|attack| attack.behind).copied().collect();
        let idle: Vec<&str> = Defence::ALL
            .iter()
            .filter(|defence| !kept.contains(defence) && !ON_THE_HOST.contains(defence))
            .map(|defence| defence.name())
            .collect();
        assert_eq!(idle, [""; 0], "no attack is behind these");
    }

    #[test]
    fn no_attack_is_listed_twice() {
        let all: Vec<&str> = KINDS.iter().flat_map(|kind| kind.attacks).map(|attack| attack.what).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn the_documentation_has_the_table() {
        let text = include_str!("../../../docs/security.md");
        assert!(text.contains(&table()), "docs/security.md should have:\n{}", table());
    }
}
