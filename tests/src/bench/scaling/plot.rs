//! The medians as a picture: set-up, teardown and memory by files, and by store paths, both axes by powers of ten.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use plotters::prelude::*;

use super::{BY_FILES, BY_PATHS, MEASURED, Sample, Size, Value, WAYS, medians};

/// Pixels.
const SIZE: (u32, u32) = (1000, 1000);
/// Pixels of a median's dot.
const DOT: i32 = 4;
/// What is less than this on a logarithmic axis lies on it: a tenth of a millisecond, or of a mebibyte.
const LEAST: f64 = 0.1;

/// In the order of the ways.
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(230, 159, 0), RGBColor(0, 158, 115), RGBColor(130, 130, 130)];

type Painted = Result<(), Box<dyn std::error::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Draws into a file.
pub fn save(samples: &[Sample], file: &Path) -> Result<()> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        paint(&area, samples).map_err(|error| anyhow!("the picture cannot be drawn: {error}"))?;
    }
    std::fs::write(file, svg).with_context(|| format!("cannot write {}", file.display()))
}

fn paint(area: &Area<'_>, samples: &[Sample]) -> Painted {
    area.fill(&WHITE)?;
    let panels = area.split_evenly((MEASURED.len(), 2));
    for (row, (what, unit, value)) in MEASURED.into_iter().enumerate() {
        let by_files: fn(Size) -> u32 = |size| size.files;
        let by_paths: fn(Size) -> u32 = |size| size.paths;
        let columns = [("files", BY_FILES, by_files), ("store paths", BY_PATHS, by_paths)];
        for (panel, (grows, sizes, number)) in panels.iter().skip(row * 2).zip(columns) {
            let title = format!("{what}, {unit}, by {grows}");
            panel_of(panel, samples, &title, (&sizes, number, value))?;
        }
    }
    area.present()?;
    Ok(())
}

fn panel_of(
    panel: &Area<'_>,
    samples: &[Sample],
    title: &str,
    (sizes, number, value): (&[Size], fn(Size) -> u32, Value),
) -> Painted {
    let lines: Vec<Vec<(f64, f64)>> = WAYS
        .iter()
        .map(|way| {
            let points = medians(samples, way, sizes, value).into_iter();
            points.map(|(size, median)| (f64::from(number(size)), median.max(LEAST))).collect()
        })
        .collect();
    let most = lines.iter().flatten().map(|point| point.1).fold(1.0, f64::max);
    let least = lines.iter().flatten().map(|point| point.1).fold(most, f64::min);
    let last = sizes.iter().map(|size| f64::from(number(*size))).fold(10.0, f64::max);
    let mut chart = ChartBuilder::on(panel)
        .caption(title, ("sans-serif", 17))
        .margin(10)
        .x_label_area_size(28)
        .y_label_area_size(58)
        .build_cartesian_2d((8.0..last * 1.3).log_scale(), (least * 0.7..most * 1.6).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(RGBColor(240, 240, 240))
        .x_label_formatter(&|files| format!("{files}"))
        .y_label_formatter(&|value| format!("{value}"))
        .draw()?;
    for ((way, colour), line) in WAYS.iter().zip(COLOURS).zip(lines) {
        if line.is_empty() {
            continue;
        }
        chart.draw_series(line.iter().map(|point| Circle::new(*point, DOT, colour.filled())))?;
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(2)))?
            .label(*way)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], colour.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(RGBColor(200, 200, 200))
        .draw()?;
    Ok(())
}
