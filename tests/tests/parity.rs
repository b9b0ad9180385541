//! The list of rows that are known to differ from Nix's own sandbox is documented.

use std::path::Path;

/// A text on one line, so that it does not matter where a document breaks it.
fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_exception_s_reason_stands_in_the_documentation() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/nix.md");
    let document = on_one_line(&std::fs::read_to_string(document).expect("there is a document"));
    for (row, reason) in tests::parity::exceptions().expect("there is a list") {
        assert!(document.contains(&on_one_line(&reason)), "docs/nix.md does not say of {row}: {reason}");
    }
}
