//! Texts of a figure: font, widths, numbers at ticks.

use plotters::style::{FontFamily, FontStyle, IntoFont, RGBColor, TextStyle};

use super::UNITS;

/// Families to try; the first is the embedded one.
pub(super) const FAMILY: &str = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif";
/// Height of axis labels and of the legend in pixels.
pub(super) const LABEL: f64 = 13.0;
/// Height of numbers at ticks in pixels.
pub(super) const TICK: f64 = 11.5;
/// The plotting library divides sizes by this.
const LIBRARY_SCALE: f64 = 1.24;
const INK: RGBColor = RGBColor(38, 38, 38);

/// Dark grey text, `size` pixels high.
pub(super) fn style(size: f64) -> TextStyle<'static> {
    let units = size * f64::from(UNITS) * LIBRARY_SCALE;
    let font = (FontFamily::Name(FAMILY), units, FontStyle::Normal).into_font();
    TextStyle::from(font).color(&INK)
}

/// About how wide a text is, in pixels; rather too much than too little.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let em = |character: char| match character {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | ' ' | '!' => 0.34,
        'f' | 't' | 'r' | '(' | ')' | '-' | '/' | 'I' | 'J' => 0.42,
        'm' | 'w' | 'M' | 'W' | '=' | '+' | '%' | '@' => 0.95,
        'A'..='Z' => 0.74,
        _ if character.is_ascii() => 0.63,
        _ => 0.8,
    };
    text.chars().map(em).sum::<f64>() * size
}

/// `-1.5M`, `250k`, `0.25`, `2e-5`: a number at a tick.
pub(super) fn tick(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        _ if size < 1e-12 => "0".to_owned(),
        _ if !(1e-3..1e13).contains(&size) => format!("{value:.1e}").replace(".0e", "e"),
        _ if size >= 1e9 => decimals(value / 1e9) + "G",
        _ if size >= 1e6 => decimals(value / 1e6) + "M",
        _ if size >= 1e3 => decimals(value / 1e3) + "k",
        _ => decimals(value),
    };
    text.replace('-', "\u{2212}")
}

/// At most four decimals, without zeros at the end; rounding hides what binary fractions add.
fn decimals(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_at_ticks_are_short() {
        let cases = [
            (0.0, "0"),
            (500.0, "500"),
            (1_500.0, "1.5k"),
            (250_000.0, "250k"),
            (-2_500_000.0, "−2.5M"),
            (0.300_000_000_000_000_04, "0.3"),
            (2e-5, "2e−5"),
            (1e10, "10G"),
        ];
        for (value, text) in cases {
            assert_eq!(tick(value), text);
        }
    }
}
