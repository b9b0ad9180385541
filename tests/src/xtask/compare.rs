//! The comparison: the demonstration's graph has to be the same, byte for byte, whoever builds it and in whatever view.

use std::thread;

use anyhow::Result;

use crate::demo::ways::{self, Contents};
use crate::demo::{NOT_DETERMINISTIC, Workload};
use crate::lab::{Lab, say};
use crate::tally::Tally;

/// Ways to build, two by two at the same time.
type Way<'a> = (&'static str, &'a (dyn Fn() -> Result<Contents> + Sync));

/// Builds the graph by Nix's sandbox, by loopbox with each of its backends, and by a newer Nix through loopbox; every
/// output counts as one test per way.
pub fn run(lab: &Lab) -> Result<Tally> {
    say("the same graph in every way");
    let workload = Workload::prepare(lab)?;
    lab.loopbox()?;
    say("building the graph with Nix's own sandbox on the host, twice");
    let expected = ways::nix(&workload)?;
    let mut tally = Tally::one(report("Nix builds the same again", &ways::nix_again(&workload)));
    say("building it with loopbox, and with a newer Nix through loopbox, in two machines at a time");
    let (lab, workload) = (lab, &workload);
    let pairs: [[Way<'_>; 2]; 2] = [
        [
            ("loopbox build", &|| ways::loopbox(lab, workload, "nfs")),
            ("nix-build by an ordinary user, through both daemons", &|| {
                ways::external_builder(lab, workload)
            }),
        ],
        [
            ("loopbox build --backend hardlink", &|| ways::loopbox(lab, workload, "hardlink")),
            ("loopbox build --backend bind", &|| ways::loopbox(lab, workload, "bind")),
        ],
    ];
    for [first, second] in pairs {
        let found = thread::scope(|scope| {
            let [first, second] = [first, second].map(|(_, build)| scope.spawn(build));
            [first.join(), second.join()]
        });
        for ((way, _), contents) in [first, second].into_iter().zip(found) {
            match contents.unwrap_or_else(|_| Err(anyhow::anyhow!("the thread panicked"))) {
                Ok(contents) => tally.add(same(way, &expected, &contents)),
                Err(error) => tally.add(Tally::one(report(way, &Err(error)))),
            }
        }
    }
    Ok(tally)
}

fn report(what: &str, result: &Result<()>) -> bool {
    match result {
        Ok(()) => println!("{what} ... ok"),
        Err(error) => println!("{what} ... FAILED: {error:#}"),
    }
    result.is_ok()
}

/// Compares hashes and references of every output.
fn same(way: &str, expected: &Contents, found: &Contents) -> Tally {
    let mut tally = Tally::default();
    for (path, contents) in expected {
        let reason = NOT_DETERMINISTIC.iter().find(|(name, _)| path.ends_with(&format!("-{name}")));
        let outcome = match (found.get(path), reason) {
            (Some(other), None) if other == contents => Ok("the same as Nix's own".to_owned()),
            (Some(_), Some((_, reason))) => Ok(format!("present; not compared: {reason}")),
            (Some(other), None) => Err(format!("differs\n  Nix:  {contents}\n  here: {other}")),
            (None, _) => Err("is missing".to_owned()),
        };
        tally.add(Tally::one(outcome.is_ok()));
        match outcome {
            Ok(how) => println!("{way} {path} ... ok: {how}"),
            Err(how) => println!("{way} {path} ... FAILED: {how}"),
        }
    }
    tally
}
