//! The demonstration's graph: what the reports of its derivations say.

use std::collections::BTreeSet;

use serde_json::Value;

use super::hide::store::Builds;
use super::{Place, cases};

cases![the_planted_input_is_unused_everywhere_and_no_other_is];

/// Derivations of the graph.
const DERIVATIONS: usize = 13;

/// The name of a store path, without its hash.
fn name(path: &Value) -> &str {
    let path = path.as_str().expect("it is a path");
    path.split_once('-').map_or(path, |(_, name)| name)
}

fn the_planted_input_is_unused_everywhere_and_no_other_is(place: &Place) {
    let builds = Builds::new(place);
    let file = place.path("report.json");
    let ran = builds.run_graph(
        place,
        include_str!("graph/planted.nix"),
        &[&format!("--report={}", file.display())],
    );
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let text = std::fs::read(&file).expect("a report was written");
    let whole: Value = serde_json::from_slice(&text).expect("it is JSON");
    let reports = whole["reports"].as_array().expect("there are reports");
    assert_eq!(reports.len(), DERIVATIONS);
    for report in reports {
        let unused = report["unusedInputs"].as_array().expect("there is a list");
        let direct = unused.iter().filter(|input| input["direct"] == true);
        let found: BTreeSet<(&str, bool)> =
            direct.map(|input| (name(&input["path"]), input["removable"] == true)).collect();
        let derivation = name(&report["derivation"]);
        let mut expected = BTreeSet::from([("planted", true)]);
        if derivation == "report.drv" {
            // Only its name is used, in a list of a closure that is an output.
            expected.insert(("app", false));
        }
        assert_eq!(found, expected, "{derivation}");
    }
}
