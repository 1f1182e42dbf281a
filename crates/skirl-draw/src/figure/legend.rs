//! The legend: in rows above the panels, so that it hides no curve.

use plotters::element::{PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, ShapeStyle};

use super::{Area, UNITS, color_of, text};

/// Pixels between rows, of a sample of line, between it and its label, between entries, above and below all.
const ROW: u32 = 20;
const SAMPLE: f64 = 24.0;
const GAP: f64 = 6.0;
const BETWEEN: f64 = 18.0;
const MARGIN: u32 = 8;

/// Labels in rows, and where each begins.
pub(super) struct Layout {
    rows: Vec<Vec<Entry>>,
    width: f64,
}

struct Entry {
    label: usize,
    text: String,
    width: f64,
}

impl Layout {
    /// Fills rows of this many pixels.
    pub(super) fn of(labels: &[String], width: u32) -> Self {
        let width = f64::from(width);
        let mut rows: Vec<Vec<Entry>> = Vec::new();
        let mut used = f64::INFINITY;
        for (label, text) in labels.iter().enumerate() {
            let needed = SAMPLE + GAP + text::width(text, text::LABEL);
            if used + BETWEEN + needed > width - 2.0 * BETWEEN {
                rows.push(Vec::new());
                used = -BETWEEN;
            }
            used += BETWEEN + needed;
            if let Some(row) = rows.last_mut() {
                row.push(Entry { label, text: text.clone(), width: needed });
            }
        }
        Self { rows, width }
    }

    /// Pixels of height.
    pub(super) fn height(&self) -> u32 {
        if self.rows.is_empty() { 0 } else { self.rows.len() as u32 * ROW + MARGIN }
    }

    pub(super) fn draw(&self, area: &Area<'_>) -> Result<(), String> {
        let width = |row: &Vec<Entry>| row.iter().map(|entry| entry.width + BETWEEN).sum::<f64>() - BETWEEN;
        let widest = self.rows.iter().map(width).fold(0.0, f64::max);
        for (number, row) in self.rows.iter().enumerate() {
            let mut left = (self.width - widest) / 2.0;
            let middle = f64::from(MARGIN) + f64::from(ROW) * (number as f64 + 0.5);
            for entry in row {
                draw_entry(area, entry, left, middle)?;
                left += entry.width + BETWEEN;
            }
        }
        Ok(())
    }
}

fn draw_entry(area: &Area<'_>, entry: &Entry, left: f64, middle: f64) -> Result<(), String> {
    let at = |x: f64, y: f64| ((x * f64::from(UNITS)) as i32, (y * f64::from(UNITS)) as i32);
    let color = color_of(entry.label);
    let band = [at(left, middle - 5.0), at(left + SAMPLE, middle + 5.0)];
    area.draw(&Rectangle::new(band, color.mix(super::chart::BAND).filled()))
        .map_err(|error| error.to_string())?;
    let line = ShapeStyle { color: color.to_rgba(), filled: false, stroke_width: super::chart::CURVE };
    let points = vec![at(left, middle), at(left + SAMPLE, middle)];
    area.draw(&PathElement::new(points, line)).map_err(|error| error.to_string())?;
    let style = text::style(text::LABEL).pos(Pos::new(HPos::Left, VPos::Center));
    let place = at(left + SAMPLE + GAP, middle);
    area.draw(&Text::new(entry.text.clone(), place, style)).map_err(|error| error.to_string())
}
