//! Learning curves as a figure for a page: SVG, and PNG from the same SVG.

mod chart;
mod legend;
mod png;
mod text;

use plotters::prelude::{DrawingArea, IntoDrawingArea, SVGBackend, WHITE};
use plotters::style::RGBColor;

use crate::error::DrawError;

/// Units of the SVG to a pixel: the plotting library rounds coordinates to whole units, and a curve should not show it.
const UNITS: u32 = 10;
/// Most panels side by side.
const MAX_COLUMNS: usize = 3;
/// Colours that stay apart for the colour-blind, dark enough for lines: Okabe and Ito, "Color universal design", 2008,
/// without its yellow, and P. Tol's wine.
const COLORS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(70, 70, 70),
    RGBColor(136, 34, 85),
];

/// Panels with a common legend.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figure {
    /// One for each metric, filled row by row.
    pub panels: Vec<Panel>,
    /// What all x axes show.
    pub x: Axis,
    /// Labels of the legend; a curve's colour is that of its label.
    pub labels: Vec<String>,
    /// Width and height of a panel in pixels of 1/96 inch.
    pub panel_size: [u32; 2],
}

/// Curves over a common x axis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Panel {
    /// What the y axis shows.
    pub y: Axis,
    /// The curves.
    pub curves: Vec<Curve>,
}

/// One axis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Axis {
    /// Its label, with the unit.
    pub label: String,
    /// Logarithmic; all values must be above 0.
    pub log: bool,
}

/// One curve with a band around it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve {
    /// Index of its label.
    pub label: usize,
    /// Its points, by `x`.
    pub samples: Vec<Sample>,
}

/// One point of a curve.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sample {
    /// Where.
    pub x: f64,
    /// The curve.
    pub middle: f64,
    /// Lower border of the band.
    pub low: f64,
    /// Upper border of the band.
    pub high: f64,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn color_of(label: usize) -> RGBColor {
    COLORS[label % COLORS.len()]
}

impl Figure {
    /// The figure as a text that any browser and any drawing program reads; labels stay text.
    ///
    /// # Errors
    /// Panels too small or too large to hold anything.
    pub fn to_svg(&self) -> Result<String, DrawError> {
        let columns = self.columns();
        let rows = self.panels.len().div_ceil(columns).max(1);
        let [width, height] = self.panel_size;
        let sizes = [width * columns as u32, height * rows as u32];
        if width < 160 || height < 120 || sizes.iter().any(|side| *side > crate::raster::MAX_SIDE) {
            return Err(DrawError::BadSize { width: sizes[0], height: sizes[1] });
        }
        let legend = legend::Layout::of(&self.labels, sizes[0]);
        let size = [sizes[0], sizes[1] + legend.height()];
        let mut svg = String::new();
        let root = SVGBackend::with_string(&mut svg, (size[0] * UNITS, size[1] * UNITS)).into_drawing_area();
        self.draw(&root, &legend, (rows, columns)).map_err(|message| refused(&message))?;
        drop(root);
        Ok(in_pixels(&svg, size))
    }

    /// The figure in pixels, `density` of them to each pixel of 1/96 inch.
    ///
    /// # Errors
    /// As [`to_svg`](Self::to_svg).
    pub fn to_png(&self, density: f64) -> Result<Vec<u8>, DrawError> {
        png::render(&self.to_svg()?, density)
    }

    fn columns(&self) -> usize {
        match self.panels.len() {
            0 | 1 => 1,
            // Four make a square.
            4 => 2,
            panels => panels.min(MAX_COLUMNS),
        }
    }

    fn draw(&self, root: &Area<'_>, legend: &legend::Layout, grid: (usize, usize)) -> Result<(), String> {
        root.fill(&WHITE).map_err(|error| error.to_string())?;
        let (above, below) = root.split_vertically(legend.height() * UNITS);
        legend.draw(&above)?;
        for (panel, area) in self.panels.iter().zip(below.split_evenly(grid)) {
            chart::draw(&area, panel, &self.x)?;
        }
        root.present().map_err(|error| error.to_string())
    }
}

fn refused(message: &str) -> DrawError {
    DrawError::Encoding { format: "SVG", message: message.to_owned() }
}

/// The same drawing, shown in pixels instead of units.
fn in_pixels(svg: &str, [width, height]: [u32; 2]) -> String {
    let units = format!("width=\"{}\" height=\"{}\"", width * UNITS, height * UNITS);
    svg.replacen(&units, &format!("width=\"{width}\" height=\"{height}\""), 1)
}
