//! From SVG to PNG, with the embedded font only: the same bytes on every machine.

use std::sync::Arc;

use resvg::tiny_skia::Transform;
use resvg::usvg::{Options, Tree, fontdb};

use crate::error::DrawError;
use crate::raster::{canvas, encode_png};

/// DejaVu Sans, the characters of European languages and some signs of mathematics (licence: `fonts/LICENSE-DejaVu`).
const FONT: &[u8] = include_bytes!("../../fonts/DejaVuSans.ttf");

pub(super) fn render(svg: &str, density: f64) -> Result<Vec<u8>, DrawError> {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(FONT.to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    let options =
        Options { fontdb: Arc::new(fonts), font_family: "DejaVu Sans".to_owned(), ..Options::default() };
    let tree = Tree::from_str(svg, &options)
        .map_err(|error| DrawError::Encoding { format: "PNG", message: error.to_string() })?;
    let pixels = |length: f32| (f64::from(length) * density).round() as u32;
    let mut canvas = canvas(pixels(tree.size().width()), pixels(tree.size().height()))?;
    let scale = density as f32;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut canvas.as_mut());
    encode_png(&canvas)
}
