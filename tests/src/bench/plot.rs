//! The results as a picture: what each server takes beside the kernel's own, workload by workload.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use plotters::prelude::*;

use super::results::{Results, Unit};
use super::statistics::{Summary, ratio};
use super::subjects::Server;

/// Pixels.
const WIDTH: u32 = 900;
/// Pixels for a workload, and for what is above and below all of them.
const ROW: u32 = 44;
const FRAME: u32 = 130;
/// Pixels for the workloads' names.
const NAMES: i32 = 110;
/// Pixels of a letter.
const TEXT: i32 = 14;
/// How far beyond the largest ratio the picture reaches: room for the legend.
const LEGEND: f64 = 3.0;
/// Pixels of a median's dot.
const DOT: i32 = 5;
/// How far the servers' marks of one workload lie apart, of the room for a workload.
const STEP: f64 = 0.13;

/// What is compared with the reference, each in its colour.
const SHOWN: [(Server, RGBColor); 5] = [
    (Server::Local, RGBColor(130, 130, 130)),
    (Server::Loopbox, RGBColor(200, 30, 60)),
    (Server::Ganesha, RGBColor(40, 110, 180)),
    (Server::Nfs3Server, RGBColor(50, 150, 80)),
    (Server::Nfsserve, RGBColor(210, 140, 20)),
];

/// A workload with each server's times as multiples of the reference's.
struct Row<'r> {
    workload: &'r str,
    marks: Vec<(usize, Summary)>,
}

/// Draws into a file; without anything to compare there is no picture.
pub fn save(results: &Results, file: &Path) -> Result<()> {
    let svg = draw(results)?;
    std::fs::write(file, svg).with_context(|| format!("cannot write {}", file.display()))
}

/// The picture as SVG.
fn draw(results: &Results) -> Result<String> {
    let rows = rows(results);
    if rows.is_empty() {
        return Err(anyhow!("there is nothing to draw: no workload was measured on {}", Server::Knfsd));
    }
    let mut svg = String::new();
    {
        let size = (WIDTH, FRAME + ROW * u32::try_from(rows.len())?);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        paint(&area, &rows).map_err(|error| anyhow!("the picture cannot be drawn: {error}"))?;
    }
    Ok(svg)
}

fn rows(results: &Results) -> Vec<Row<'_>> {
    let row = |workload| {
        let reference = results.series(workload, Server::Knfsd)?;
        if reference.unit != Unit::Seconds {
            return None;
        }
        let mark = |(number, (server, _)): (usize, &(Server, RGBColor))| {
            Some((number, ratio(&results.series(workload, *server)?.samples, &reference.samples)?))
        };
        Some(Row { workload, marks: SHOWN.iter().enumerate().filter_map(mark).collect() })
    };
    results.workloads().into_iter().filter_map(row).filter(|row| !row.marks.is_empty()).collect()
}

type Painted = Result<(), Box<dyn std::error::Error>>;

fn paint(area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>, rows: &[Row<'_>]) -> Painted {
    area.fill(&WHITE)?;
    let all = || rows.iter().flat_map(|row| &row.marks);
    let least = all().map(|(_, mark)| mark.min).fold(0.5, f64::min);
    let most = all().map(|(_, mark)| mark.max).fold(2.0, f64::max);
    let height = rows.len() as f64;
    // The first workload is on top.
    let level = |row: usize| height - 1.0 - row as f64;
    let mut chart = ChartBuilder::on(area)
        .caption("Time beside knfsd's (1): median, least and most of the rounds", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .margin_left(NAMES)
        .build_cartesian_2d((least * 0.8..most * LEGEND).log_scale(), -0.5..height - 0.5)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .x_label_formatter(&|ratio| format!("{ratio}×"))
        .x_desc("times knfsd")
        .draw()?;
    for (row, Row { workload, .. }) in rows.iter().enumerate() {
        let (x, y) = chart.backend_coord(&(least * 0.8, level(row)));
        area.draw(&Text::new(*workload, (x - NAMES + 10, y - TEXT / 2), ("sans-serif", TEXT)))?;
    }
    chart.draw_series([PathElement::new(vec![(1.0, -0.5), (1.0, height - 0.5)], BLACK.stroke_width(1))])?;
    for (number, (server, colour)) in SHOWN.iter().enumerate() {
        let marks: Vec<(f64, Summary)> = rows
            .iter()
            .enumerate()
            .flat_map(|(row, found)| found.marks.iter().map(move |mark| (row, mark)))
            .filter(|(_, (of, _))| *of == number)
            .map(|(row, (_, mark))| (level(row) + STEP * (2.0 - number as f64), *mark))
            .collect();
        if marks.is_empty() {
            continue;
        }
        chart.draw_series(marks.iter().map(|(y, mark)| {
            PathElement::new(vec![(mark.min, *y), (mark.max, *y)], colour.stroke_width(2))
        }))?;
        chart
            .draw_series(marks.iter().map(|(y, mark)| Circle::new((mark.median, *y), DOT, colour.filled())))?
            .label(server.to_string())
            .legend(|(x, y)| Circle::new((x + 8, y), DOT, colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::Event;

    fn results(samples: &[(Server, f64)]) -> Results {
        let mut results = Results::default();
        for &(server, value) in samples {
            results.add(Event::Sample { workload: "find-cold".into(), server, unit: Unit::Seconds, value });
        }
        results
    }

    #[test]
    fn every_server_that_was_measured_is_in_the_picture() {
        let svg =
            draw(&results(&[(Server::Knfsd, 0.2), (Server::Loopbox, 0.3), (Server::Ganesha, 0.9)])).unwrap();
        assert!(svg.starts_with("<svg"), "{svg}");
        for word in ["find-cold", "loopbox", "ganesha"] {
            assert!(svg.contains(word), "{word} is missing in {svg}");
        }
        assert!(!svg.contains("nfsserve"));
    }

    #[test]
    fn without_the_reference_there_is_no_picture() {
        let error = draw(&results(&[(Server::Loopbox, 0.3)])).unwrap_err();
        assert_eq!(error.to_string(), "there is nothing to draw: no workload was measured on knfsd");
    }
}
