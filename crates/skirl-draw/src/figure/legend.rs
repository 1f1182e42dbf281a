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
    /// False for the further lines of a label that is wider than the figure.
    has_sample: bool,
}

impl Layout {
    /// Fills rows of this many pixels.
    pub(super) fn of(labels: &[String], width: u32) -> Self {
        let width = f64::from(width);
        let room = width - 2.0 * BETWEEN;
        let mut rows: Vec<Vec<Entry>> = Vec::new();
        let mut used = f64::INFINITY;
        for (label, text) in labels.iter().enumerate() {
            let lines = lines_of(text, room - SAMPLE - GAP);
            let is_broken = lines.len() > 1;
            for (number, text) in lines.into_iter().enumerate() {
                let needed = SAMPLE + GAP + text::width(&text, text::LABEL);
                if is_broken || used + BETWEEN + needed > room {
                    rows.push(Vec::new());
                    used = -BETWEEN;
                }
                used += BETWEEN + needed;
                if let Some(row) = rows.last_mut() {
                    row.push(Entry { label, text, width: needed, has_sample: number == 0 });
                }
            }
            // Nothing stands beside a label of several lines.
            used = if is_broken { f64::INFINITY } else { used };
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

/// A label in lines of this many pixels: broken after a comma, and cut where one part alone is wider.
fn lines_of(label: &str, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in label.split_inclusive(", ") {
        match lines.last_mut() {
            Some(line) if text::width(&format!("{line}{part}"), text::LABEL) <= room => line.push_str(part),
            _ => lines.push(cut(part, room)),
        }
    }
    lines
}

fn cut(part: &str, room: f64) -> String {
    // What stands behind the last word is not drawn.
    if text::width(part.trim_end(), text::LABEL) <= room {
        return part.to_owned();
    }
    let mut kept = part.to_owned();
    while text::width(&format!("{kept}…"), text::LABEL) > room && kept.pop().is_some() {}
    kept + "…"
}

fn draw_entry(area: &Area<'_>, entry: &Entry, left: f64, middle: f64) -> Result<(), String> {
    let at = |x: f64, y: f64| ((x * f64::from(UNITS)) as i32, (y * f64::from(UNITS)) as i32);
    let style = text::style(text::LABEL).pos(Pos::new(HPos::Left, VPos::Center));
    let place = at(left + SAMPLE + GAP, middle);
    let label = Text::new(entry.text.trim_end().to_owned(), place, style);
    area.draw(&label).map_err(|error| error.to_string())?;
    if !entry.has_sample {
        return Ok(());
    }
    let color = color_of(entry.label);
    let band = [at(left, middle - 5.0), at(left + SAMPLE, middle + 5.0)];
    area.draw(&Rectangle::new(band, color.mix(super::chart::BAND).filled()))
        .map_err(|error| error.to_string())?;
    let line = ShapeStyle { color: color.to_rgba(), filled: false, stroke_width: super::chart::CURVE };
    let points = vec![at(left, middle), at(left + SAMPLE, middle)];
    area.draw(&PathElement::new(points, line)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_is_wider_than_the_figure() {
        let long =
            "PPO, CartPole-v1, train_batch_size=512, minibatch_size=128, num_epochs=2 (6 runs)".to_owned();
        let word = "x".repeat(300);
        let layout = Layout::of(&["A2C".to_owned(), long.clone(), "PG".to_owned(), word], 320);
        for row in &layout.rows {
            let width = row.iter().map(|entry| entry.width + BETWEEN).sum::<f64>() - BETWEEN;
            assert!(width <= 320.0 - 2.0 * BETWEEN, "{width}");
        }
        let entries = || layout.rows.iter().flatten();
        let text =
            |label| entries().filter(move |entry| entry.label == label).map(|entry| entry.text.as_str());
        assert_eq!(text(1).collect::<String>(), long);
        assert!(text(3).collect::<String>().ends_with('…'));
        assert_eq!(entries().filter(|entry| entry.has_sample).count(), 4);
    }

    #[test]
    fn short_labels_share_a_row() {
        let labels = ["PPO".to_owned(), "A2C, CartPole-v1".to_owned()];
        assert_eq!(Layout::of(&labels, 480).rows.len(), 1);
    }
}
