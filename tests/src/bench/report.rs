//! The results as tables, which are both readable on a terminal and Markdown.

use std::fmt::Write;

use clap::ValueEnum;
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};

use super::results::{Results, Series, Unit};
use super::statistics::{Summary, ratio, summary};
use super::subjects::Server;

/// What the names of played workloads start with.
const PLAYED: &str = "replay-";
/// Where a server has no sample.
const NOTHING: &str = "";

/// Workloads that one table shows.
struct Part {
    title: &'static str,
    unit: Unit,
    /// Whether the calls were played and not made by the kernel's client.
    played: bool,
    /// Whose samples the ratios are to.
    references: &'static [Server],
}

const PARTS: [Part; 8] = [
    Part {
        title: "Seconds through the kernel's client",
        unit: Unit::Seconds,
        played: false,
        references: &[Server::Knfsd, Server::Local, Server::Loopbox],
    },
    Part {
        title: "Millions of instructions through the kernel's client, all of the emulated processor's \
                until the work was done (counts, not times)",
        unit: Unit::Instructions,
        played: false,
        references: &[Server::Knfsd, Server::Local],
    },
    Part {
        title: "Calls of the kernel's client: those that only ask, and those that change something",
        unit: Unit::Calls,
        played: false,
        references: &[],
    },
    Part {
        title: "Seconds for the same calls over loopback, and the server's processor time (cpu)",
        unit: Unit::Seconds,
        played: true,
        references: &[Server::Loopbox],
    },
    Part {
        title: "Calls answered in a second",
        unit: Unit::Rate,
        played: false,
        references: &[Server::Loopbox],
    },
    Part {
        title: "Microseconds of the server's processor time for a call",
        unit: Unit::PerCall,
        played: false,
        references: &[Server::Loopbox],
    },
    Part {
        title: "Resident memory of the server in MiB",
        unit: Unit::Mebibytes,
        played: false,
        references: &[],
    },
    Part { title: "Open descriptors of the server", unit: Unit::Descriptors, played: false, references: &[] },
];

/// Everything that was found.
pub fn text(results: &Results) -> String {
    let mut text = String::new();
    for part in &PARTS {
        let cell = |_: &str, series: &Series| summary(&series.samples).map(|summary| spread(&summary));
        let title = format!("{}: median [least – most]", part.title);
        section(&mut text, results, part, &title, cell);
        for &reference in part.references {
            let title = format!("{}: as a multiple of {reference}'s, round by round", part.title);
            let cell = |workload: &str, series: &Series| times(results, reference, workload, series);
            section(&mut text, results, part, &title, cell);
        }
    }
    if !results.cannot.is_empty() {
        text.push_str("Cannot:\n\n");
        for cannot in &results.cannot {
            let _ = writeln!(text, "- {} {}: {}", cannot.server, cannot.workload, cannot.why);
        }
        text.push('\n');
    }
    text
}

/// One table: a row for each workload with samples of the unit, a column for each server that has any.
fn section(
    text: &mut String,
    results: &Results,
    part: &Part,
    title: &str,
    cell: impl Fn(&str, &Series) -> Option<String>,
) {
    let of_unit = |workload: &str, server| {
        results
            .series(workload, server)
            .filter(|series| series.unit == part.unit)
            .and_then(|series| cell(workload, series))
    };
    let (workloads, servers) = (results.workloads(), Server::value_variants());
    let rows: Vec<(&str, Vec<Option<String>>)> = workloads
        .iter()
        .map(|workload| {
            (*workload, servers.iter().map(|server| of_unit(workload, *server)).collect::<Vec<_>>())
        })
        .filter(|(_, cells)| cells.iter().any(Option::is_some))
        .filter(|(workload, _)| workload.starts_with(PLAYED) == part.played)
        .collect();
    let shown: Vec<usize> =
        (0..servers.len()).filter(|&column| rows.iter().any(|(_, cells)| cells[column].is_some())).collect();
    if shown.is_empty() {
        return;
    }
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    let names = shown.iter().map(|&column| servers[column].to_string());
    table.set_header(std::iter::once(String::new()).chain(names));
    for (workload, cells) in &rows {
        let cells = shown.iter().map(|&column| cells[column].clone().unwrap_or_else(|| NOTHING.to_owned()));
        table.add_row(std::iter::once((*workload).to_owned()).chain(cells));
    }
    for column in 1..=shown.len() {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let _ = writeln!(text, "{title}\n\n{table}\n");
}

/// A series as a multiple of the reference's.
fn times(results: &Results, reference: Server, workload: &str, series: &Series) -> Option<String> {
    let reference = results.series(workload, reference)?;
    ratio(&series.samples, &reference.samples).map(|summary| spread(&summary))
}

fn spread(summary: &Summary) -> String {
    let Summary { median, min, max } = *summary;
    if min.to_bits() == max.to_bits() {
        return number(median);
    }
    format!("{} [{} – {}]", number(median), number(min), number(max))
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 10_000.0 => format!("{:.0}k", value / 1000.0),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::Event;

    fn sample(workload: &str, server: Server, unit: Unit, value: f64) -> Event {
        Event::Sample { workload: workload.to_owned(), server, unit, value }
    }

    #[test]
    fn the_tables_show_each_server_with_its_spread_and_its_ratios() {
        let mut results = Results::default();
        for (local, knfsd, loopbox) in [(0.1, 0.2, 0.3), (0.2, 0.4, 0.4), (0.1, 0.3, 0.36)] {
            for (server, seconds) in
                [(Server::Local, local), (Server::Knfsd, knfsd), (Server::Loopbox, loopbox)]
            {
                results.add(sample("find-cold", server, Unit::Seconds, seconds));
            }
        }
        for (server, count) in [(Server::Knfsd, 400.0), (Server::Loopbox, 600.0)] {
            results.add(sample("tar-cold", server, Unit::Instructions, count));
        }
        results.add(sample("wire-getattr", Server::Loopbox, Unit::Rate, 1_234_567.0));
        results.add(sample("wire-getattr", Server::Nfsserve, Unit::Rate, 46_000.0));
        results.add(sample("wire-getattr-cpu", Server::Loopbox, Unit::PerCall, 0.2));
        results.add(sample("replay-find", Server::Loopbox, Unit::Seconds, 0.18));
        results.add(sample("replay-find", Server::Ganesha, Unit::Seconds, 0.23));
        results.add(Event::Cannot {
            workload: "tar-cold".into(),
            server: Server::Nfsserve,
            why: "it did not finish in 180 s".into(),
        });
        insta::assert_snapshot!(text(&results));
    }

    #[test]
    fn numbers_keep_three_digits() {
        let shown = [0.01234, 1.234, 12.34, 123.4, 1234.0, 1_234_567.0].map(number);
        assert_eq!(shown, ["0.012", "1.23", "12.3", "123", "1234", "1235k"]);
    }
}
