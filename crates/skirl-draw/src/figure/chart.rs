//! One panel: axes, grid, bands, curves.

use std::ops::Range;

use plotters::chart::ChartBuilder;
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::element::{Circle, Polygon};
use plotters::prelude::IntoLogRange;
use plotters::series::LineSeries;
use plotters::style::{Color, RGBColor, ShapeStyle, TRANSPARENT};

use super::{Area, Axis, Curve, Panel, Sample, UNITS, color_of, text};

/// Opacity of bands.
pub(super) const BAND: f64 = 0.18;
/// Width of curves in units.
pub(super) const CURVE: u32 = 16;
/// Most points of a curve: more are not seen.
const MAX_SAMPLES: usize = 4_000;
const AXIS: RGBColor = RGBColor(90, 90, 90);
const GRID: RGBColor = RGBColor(225, 225, 225);

pub(super) fn draw(area: &Area<'_>, panel: &Panel, x: &Axis) -> Result<(), String> {
    let xs = panel.curves.iter().flat_map(|curve| curve.samples.iter().map(|sample| sample.x));
    let ys = panel
        .curves
        .iter()
        .flat_map(|curve| curve.samples.iter().flat_map(|sample| [sample.low, sample.middle, sample.high]));
    let (across, up) = (x_range(extent(xs), x.log), y_range(extent(ys), panel.y.log));
    match (x.log, panel.y.log) {
        (false, false) => draw_in(area, panel, x, across, up),
        (true, false) => draw_in(area, panel, x, across.log_scale(), up),
        (false, true) => draw_in(area, panel, x, across, up.log_scale()),
        (true, true) => draw_in(area, panel, x, across.log_scale(), up.log_scale()),
    }
}

/// Smallest and largest; 0 to 1 without values.
fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let both = values
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| (least.min(value), most.max(value)));
    if both.0 <= both.1 { both } else { (0.0, 1.0) }
}

/// From zero, if the first value is close to it.
fn x_range((least, most): (f64, f64), log: bool) -> Range<f64> {
    let start = if !log && least >= 0.0 && least < 0.3 * most { 0.0 } else { least };
    if start < most { start..most } else { widened(start, log) }
}

/// A little room above and below.
fn y_range((least, most): (f64, f64), log: bool) -> Range<f64> {
    if least >= most {
        return widened(least, log);
    }
    if log {
        let room = (most / least).powf(0.05);
        return least / room..most * room;
    }
    let room = 0.05 * (most - least);
    least - room..most + room
}

/// Something around a single value.
fn widened(value: f64, log: bool) -> Range<f64> {
    if log {
        return value / 2.0..value * 2.0;
    }
    let room = if value == 0.0 { 1.0 } else { 0.5 * value.abs() };
    value - room..value + room
}

fn draw_in<X, Y>(area: &Area<'_>, panel: &Panel, x: &Axis, across: X, up: Y) -> Result<(), String>
where
    X: plotters::coord::ranged1d::AsRangedCoord<Value = f64>,
    Y: plotters::coord::ranged1d::AsRangedCoord<Value = f64>,
    X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let fail = |error: &dyn std::fmt::Display| error.to_string();
    let mut chart = ChartBuilder::on(area)
        .margin_top(8 * UNITS)
        .margin_right(18 * UNITS)
        .margin_left(4 * UNITS)
        .margin_bottom(4 * UNITS)
        .x_label_area_size(40 * UNITS)
        .y_label_area_size(60 * UNITS)
        .build_cartesian_2d(across, up)
        .map_err(|error| fail(&error))?;
    chart
        .configure_mesh()
        .axis_style(line(AXIS, 10))
        .bold_line_style(line(GRID, 8))
        .light_line_style(TRANSPARENT)
        .max_light_lines(1)
        .set_all_tick_mark_size(4 * UNITS)
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&|value| text::tick(*value))
        .y_label_formatter(&|value| text::tick(*value))
        .label_style(text::style(text::TICK))
        .axis_desc_style(text::style(text::LABEL))
        .x_desc(&x.label)
        .y_desc(&panel.y.label)
        .draw()
        .map_err(|error| fail(&error))?;
    // All bands first: a band does not lie on a curve.
    for curve in &panel.curves {
        let fill = color_of(curve.label).mix(BAND).filled();
        chart
            .draw_series(band(curve).map(|border| Polygon::new(border, fill)))
            .map_err(|error| fail(&error))?;
    }
    for curve in &panel.curves {
        let color = color_of(curve.label);
        let points = thinned(&curve.samples).map(|sample| (sample.x, sample.middle));
        let dot = (curve.samples.len() == 1).then(|| points.clone().next()).flatten();
        chart.draw_series(LineSeries::new(points, line(color, CURVE))).map_err(|error| fail(&error))?;
        let dot = dot.map(|point| Circle::new(point, 3 * UNITS, color.filled()));
        chart.draw_series(dot).map_err(|error| fail(&error))?;
    }
    Ok(())
}

fn line(color: RGBColor, units: u32) -> ShapeStyle {
    ShapeStyle { color: color.to_rgba(), filled: false, stroke_width: units }
}

/// The border of a curve's band, if it has one.
fn band(curve: &Curve) -> Option<Vec<(f64, f64)>> {
    let is_wide = curve.samples.iter().any(|sample| sample.low < sample.high);
    let upper: Vec<(f64, f64)> = thinned(&curve.samples).map(|sample| (sample.x, sample.high)).collect();
    let lower: Vec<(f64, f64)> = thinned(&curve.samples).map(|sample| (sample.x, sample.low)).collect();
    is_wide.then(|| upper.into_iter().chain(lower.into_iter().rev()).collect())
}

/// Some of very many samples, the last one among them.
fn thinned(samples: &[Sample]) -> impl Iterator<Item = &Sample> + Clone {
    let step = samples.len().div_ceil(MAX_SAMPLES).max(1);
    let last = samples.len().saturating_sub(1);
    samples
        .iter()
        .enumerate()
        .filter(move |(index, _)| index % step == 0 || *index == last)
        .map(|(_, sample)| sample)
}
