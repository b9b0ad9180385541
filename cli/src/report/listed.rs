//! Paths that were asked for and are hidden, a line each.

use std::path::PathBuf;

use builder::report::BuildReport;

use super::document::short_name;
use crate::output;

/// Paths that are listed for a person; programs get all of them.
const LISTED: usize = 10;

/// What a build asked for that its view hides; nothing if there was nothing.
pub fn of_build(report: &BuildReport) -> Vec<String> {
    let hidden = report.access.hidden();
    if hidden.paths.is_empty() {
        return Vec::new();
    }
    let name = short_name(&report.derivation);
    let mut lines = vec![format!("{name} asked for paths of this machine that are not in its view:")];
    lines.extend(some_of(&hidden.paths, hidden.incomplete));
    lines
}

/// Some of these paths, of which there may be more than are known.
pub fn some_of(paths: &[PathBuf], incomplete: bool) -> Vec<String> {
    let named = paths.iter().take(LISTED).map(|path| format!("  {}", output::name(path)));
    let more = match paths.len().saturating_sub(LISTED) {
        0 if incomplete => Some("  and perhaps more".into()),
        0 => None,
        more => Some(format!("  and {more} more (all with --report=FILE)")),
    };
    named.chain(more).collect()
}
