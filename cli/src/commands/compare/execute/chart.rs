//! Plots for the report: horizontal bars, as SVG in a text.

use std::io;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use sandbox::backend::BackendKind;

use super::table::BackendStats;

const WIDTH: u32 = 760;
const BAR: u32 = 22;
/// Room for the names of backends and for the numbers.
const LEFT: i32 = 90;
const RIGHT: i32 = 110;
const TOP: u32 = 30;
const BOTTOM: u32 = 12;

/// The times of one phase, a bar for each backend, in milliseconds.
pub fn bars(
    title: &str,
    backend_stats: &[BackendStats],
    milliseconds: impl Fn(&BackendStats) -> f64,
) -> io::Result<String> {
    let height = TOP + BOTTOM + BAR * backend_stats.len() as u32;
    let longest = backend_stats.iter().map(&milliseconds).fold(f64::MIN_POSITIVE, f64::max);
    let mut text = String::new();
    draw(&mut text, title, backend_stats, milliseconds, (height, longest)).map_err(io::Error::other)?;
    Ok(text)
}

fn draw(
    text: &mut String,
    title: &str,
    backend_stats: &[BackendStats],
    milliseconds: impl Fn(&BackendStats) -> f64,
    (height, longest): (u32, f64),
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let area = SVGBackend::with_string(text, (WIDTH, height)).into_drawing_area();
    let font = |size| ("sans-serif", size).into_font();
    let ink = RGBColor(40, 44, 52);
    area.draw(&Text::new(title.to_owned(), (0, 4), font(15).style(FontStyle::Bold).color(&ink)))?;
    let room = f64::from(WIDTH as i32 - LEFT - RIGHT);
    for (number, backend_stats) in backend_stats.iter().enumerate() {
        let value = milliseconds(backend_stats);
        let top = (TOP + BAR * number as u32) as i32;
        let (middle, end) = (top + BAR as i32 / 2, LEFT + (value / longest * room).round().max(1.0) as i32);
        let at = |horizontal| Pos::new(horizontal, VPos::Center);
        let name = font(13).color(&ink).pos(at(HPos::Right));
        area.draw(&Text::new(backend_stats.backend.to_string(), (LEFT - 8, middle), name))?;
        let bar = [(LEFT, top + 3), (end, top + BAR as i32 - 3)];
        area.draw(&Rectangle::new(bar, color(backend_stats.backend).filled()))?;
        let number = font(13).color(&ink).pos(at(HPos::Left));
        area.draw(&Text::new(format!("{value:.1} ms"), (end + 6, middle), number))?;
    }
    area.present()?;
    drop(area);
    Ok(())
}

/// Apart from each other for those who do not see red and green as well.
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(230, 159, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];

/// Always the same for a backend, whichever others are there.
fn color(backend: BackendKind) -> RGBColor {
    BackendKind::ALL
        .iter()
        .zip(COLOURS)
        .find(|(kind, _)| **kind == backend)
        .map_or(BLACK, |(_, colour)| colour)
}
