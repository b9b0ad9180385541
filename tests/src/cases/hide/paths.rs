//! What a build sees of the store and of the root: what the plan says, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::store::{Builds, hidden, of, out};
use crate::cases::{Place, cases};

cases![the_store_holds_the_closure_and_the_builds_own_output, a_plan_shows_nothing_of_the_host_but_the_store];

fn lines(path: &Path) -> BTreeSet<String> {
    fs::read_to_string(path).expect("it can be read").lines().map(str::to_owned).collect()
}

fn name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

/// The names directly below a directory that the entries of a plan make.
fn below(plan: &Value, directory: &str) -> BTreeSet<String> {
    let entries = plan["view"]["entries"].as_array().expect("a view has entries");
    let places = entries.iter().filter_map(|entry| entry.as_object()?.values().next()?["at"].as_str());
    let rests = places.filter_map(|at| at.strip_prefix(directory)?.strip_prefix('/'));
    rests
        .filter_map(|rest| rest.split('/').next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

fn the_store_holds_the_closure_and_the_builds_own_output(place: &Place) {
    let builds = Builds::new(place);
    let wish = builds.derivation("wish", &[]);
    let (answer, _) = builds.build(&wish, &[]);
    let declared = out(of(&answer, &wish)).display().to_string();
    // In the store of the machine, and of no input's closure.
    let undeclared = place.file("undeclared", "present");
    let undeclared = crate::command::text(&mut crate::command::command(
        "nix-store",
        ["--add".as_ref(), undeclared.as_os_str()],
    ))
    .expect("Nix adds a file");

    let derivation = builds.derivation("listing", &[("undeclared", &undeclared)]);
    let plan = builds.plan(&derivation, &[]);
    let (answer, told) = builds.build(&derivation, &[]);
    let built = of(&answer, &derivation);
    let output = out(built);

    let busybox = plan["jail"]["program"]
        .as_str()
        .expect("a plan has a program")
        .split("/bin/")
        .next()
        .unwrap_or_default();
    let closure: BTreeSet<String> =
        builds.closure(&[&declared, busybox]).iter().map(|path| name(path)).collect();
    assert_eq!(lines(&output.join("before")), closure);
    let mut after = closure;
    after.insert(name(&output.to_string_lossy()));
    assert_eq!(lines(&output.join("after")), after);
    assert_eq!(lines(&output.join("root")), below(&plan, ""));
    assert_eq!(lines(&output.join("nix")), ["store".to_owned()].into());

    assert!(hidden(built).contains(&undeclared.as_str()), "{built}");
    assert!(told.contains(&format!("\n  {undeclared}\n")), "{told}");
}

fn a_plan_shows_nothing_of_the_host_but_the_store(place: &Place) {
    let builds = Builds::new(place);
    let derivation = builds.derivation("looking", &[("script", "ls -A / > $out")]);
    let plan = builds.plan(&derivation, &[]);
    let entries = plan["view"]["entries"].as_array().expect("a view has entries");
    for graft in entries.iter().filter_map(|entry| entry.get("graft")) {
        assert!(graft["source"].as_str().is_some_and(|source| source.starts_with("/nix/store/")), "{graft}");
        assert_eq!(graft["at"], graft["source"]);
    }
    let (answer, _) = builds.build(&derivation, &[]);
    assert_eq!(lines(&out(of(&answer, &derivation))), below(&plan, ""));
}
