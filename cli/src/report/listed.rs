//! Paths that were asked for and are hidden, a line each.

use std::path::PathBuf;

use builder::report::BuildReport;

use super::document::short_name;
use crate::{conditions, output};

/// Paths that are listed for a person; programs get all of them.
const LISTED: usize = 10;

/// How to see all of them of a command that is run here.
pub const WITH_REPORT: Option<&str> = Some("--report=FILE");

/// What a build asked for that its view hides, and the limits that it met; nothing if there was nothing. `all` says how to see
/// all paths, where they can be seen.
pub fn of_build(report: &BuildReport, all: Option<&str>) -> Vec<String> {
    let (name, imposed) = (short_name(&report.derivation), &report.access.imposed);
    let mut lines = hidden_of_build(report, all);
    lines.extend(conditions::lines(&name, imposed, imposed.quota.quota));
    lines
}

/// What a build asked for that its view hides.
pub fn hidden_of_build(report: &BuildReport, all: Option<&str>) -> Vec<String> {
    let hidden = report.access.not_shown.hidden();
    if hidden.paths.is_empty() {
        return Vec::new();
    }
    let name = short_name(&report.derivation);
    let mut lines = vec![format!("{name} asked for paths of this machine that are not in its view:")];
    lines.extend(some_of(&hidden.paths, hidden.incomplete, all));
    lines
}

/// Some of these paths, of which there may be more than are known.
pub fn some_of(paths: &[PathBuf], incomplete: bool, all: Option<&str>) -> Vec<String> {
    let all = all.map(|all| format!(" (all with {all})")).unwrap_or_default();
    let named = paths.iter().take(LISTED).map(|path| format!("  {}", output::name(path)));
    let more = match paths.len().saturating_sub(LISTED) {
        0 if incomplete => Some("  and perhaps more".into()),
        0 => None,
        more => Some(format!("  and {more} more{all}")),
    };
    named.chain(more).collect()
}
