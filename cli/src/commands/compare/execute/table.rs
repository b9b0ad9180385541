//! A comparison as a person reads it in a terminal.

use std::fmt::Write;

use builder::compare::{Comparison, OutputDifference, RoundResult};
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use sandbox::PhaseSeconds;
use sandbox::backend::{BackendKind, ResourceUsage};
use sandbox::compare::{ViewComparison, WalkComparison, WalkStats};

use super::ComparisonReport;

/// The columns of what a backend takes.
pub const COLUMNS: [&str; 9] = [
    "backend",
    "set-up ms",
    "run s",
    "teardown ms",
    "inodes made",
    "links",
    "bytes copied",
    "mounts",
    "NFS calls",
];

/// What one backend took: the median of its rounds.
pub struct BackendStats {
    /// The backend.
    pub backend: BackendKind,
    /// How long the phases took.
    pub seconds: PhaseSeconds,
    /// Memory, processor time and calls of the last round.
    pub spent: ResourceUsage,
}

/// The whole report as text.
pub fn text(report: &ComparisonReport) -> String {
    let parts = report.derivations.iter().map(derivation).chain(report.view.iter().map(view));
    parts.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

/// What each backend took for a derivation, in the order of [`BackendKind::ALL`]. Those that failed are left out.
pub fn backend_stats(comparison: &Comparison) -> Vec<BackendStats> {
    let mut found: Vec<BackendStats> = Vec::new();
    for &kind in BackendKind::ALL {
        let built: Vec<_> = comparison
            .rounds
            .iter()
            .filter(|round| round.backend == kind)
            .filter_map(|round| match &round.result {
                RoundResult::Built(built) => Some(built),
                RoundResult::Failed(_) => None,
            })
            .collect();
        let Some(last) = built.last() else { continue };
        let middle = |part: fn(&PhaseSeconds) -> f64| median(built.iter().map(|built| part(&built.seconds)));
        let seconds = PhaseSeconds {
            setup: middle(|seconds| seconds.setup),
            run: middle(|seconds| seconds.run),
            teardown: middle(|seconds| seconds.teardown),
        };
        found.push(BackendStats { backend: kind, seconds, spent: last.spent.clone() });
    }
    found
}

/// What each backend took for a view.
pub fn view_stats(view: &ViewComparison) -> Vec<BackendStats> {
    let one = |walked: &WalkStats| BackendStats {
        backend: walked.backend,
        seconds: walked.seconds,
        spent: walked.spent.clone(),
    };
    view.backends.iter().map(one).collect()
}

impl BackendStats {
    /// The words of [`COLUMNS`].
    pub fn cells(&self) -> [String; 9] {
        let BackendStats { backend, seconds, spent } = self;
        [
            backend.to_string(),
            format!("{:.1}", seconds.setup * 1000.0),
            format!("{:.3}", seconds.run),
            format!("{:.1}", seconds.teardown * 1000.0),
            spent.inodes_created.to_string(),
            spent.links_made.to_string(),
            spent.bytes_copied.to_string(),
            spent.mounts.to_string(),
            // A server that does not count has said nothing.
            match spent.nfs_calls.total() {
                0 => "–".into(),
                calls => calls.to_string(),
            },
        ]
    }
}

/// How one output differs, its title first.
pub fn difference_title(difference: &OutputDifference) -> String {
    let OutputDifference { output, first, other, .. } = difference;
    match other {
        Some((backend, round)) => {
            format!("output '{output}': from {first}, round 1, to {backend}, round {round}")
        }
        None => format!("output '{output}': from {first}, round 1, to what the store has"),
    }
}

fn derivation(comparison: &Comparison) -> String {
    let mut text = format!("{}: {}\n", comparison.derivation, comparison.explanation);
    text += &table(&backend_stats(comparison));
    if let Some(built) = comparison.rounds.iter().find_map(|round| match &round.result {
        RoundResult::Built(built) => Some(built),
        RoundResult::Failed(_) => None,
    }) {
        for (name, hash) in &built.nar_hashes {
            let _ = writeln!(text, "  {name}: sha256:{hash}");
        }
    }
    for round in &comparison.rounds {
        if let RoundResult::Failed(reason) = &round.result {
            let _ = writeln!(text, "  {} failed in round {}: {reason}", round.backend, round.round);
        }
    }
    for difference in &comparison.outputs {
        let _ = writeln!(text, "  {}{}", difference_title(difference), difference.differences);
    }
    text
}

fn view(view: &ViewComparison) -> String {
    let mut text = table(&view_stats(view));
    text += &walks(&view.walks);
    text
}

fn walks(walks: &WalkComparison) -> String {
    let mut text = String::new();
    for (backend, files) in &walks.files {
        let repeated = walks.repeated_inodes.get(backend).copied().unwrap_or_default();
        let _ = writeln!(text, "{backend}: {files} files, {repeated} numbers of several files");
    }
    for difference in &walks.differences {
        let reason = difference.reason.unwrap_or("NOT EXPLAINED");
        let _ = writeln!(text, "{difference}\n  {reason}");
    }
    match walks.unexplained().count() {
        0 => text += "no difference that is not explained\n",
        count => {
            let _ = writeln!(text, "{count} kinds of differences that nothing explains");
        }
    }
    text
}

fn table(backend_stats: &[BackendStats]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(COLUMNS);
    for backend_stats in backend_stats {
        table.add_row(backend_stats.cells());
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = numbers.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
