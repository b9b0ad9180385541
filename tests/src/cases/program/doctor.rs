//! `loopbox doctor`: this machine has all that is needed.

use std::path::Path;

use serde_json::Value;

use crate::cases::loopbox::Loopbox;
use crate::cases::{Place, cases};

cases![the_machine_has_all_that_is_needed];

fn the_machine_has_all_that_is_needed(place: &Place) {
    // Other cases may make one meanwhile.
    let has_store = Path::new("/nix/store").exists();
    let answer = Loopbox::at(place).good(["doctor", "--json"]);
    let findings: Vec<Value> = serde_json::from_str(&answer).expect("the findings are a JSON list");
    let subjects: Vec<&str> = findings.iter().filter_map(|finding| finding["subject"].as_str()).collect();
    let mut expected = vec![
        "root",
        "NFS client",
        "ports",
        "user namespaces",
        "process file system",
        "abstract sockets",
        "files of the server",
        "Nix store",
        "Nix",
    ];
    // A machine that has not used Nix has none.
    expected.retain(|subject| *subject != "Nix store" || has_store || subjects.contains(subject));
    assert_eq!(subjects, expected);
    for finding in &findings {
        // The machine's kernel starts no security modules.
        let state = match finding["subject"].as_str() {
            Some("abstract sockets" | "files of the server") => "missing",
            _ => "good",
        };
        assert_eq!(finding["state"], state, "{finding}");
    }
}
