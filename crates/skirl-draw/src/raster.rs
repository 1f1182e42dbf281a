//! From a scene to pixels.

use skirl_env::scene::{Point, Rgb, Scene, Shape};
use tiny_skia::{FillRule, LineJoin, Paint, Path, PathBuilder, Pixmap, Stroke, Transform};

use crate::error::DrawError;

/// Most pixels of a side.
pub const MAX_SIDE: u32 = 8192;

/// Opaque pixels, row by row from the top.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Pixels of a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `width × height` colours.
    pub pixels: Vec<Rgb>,
}

impl Image {
    /// Draws a scene, antialiased, in its usual size or in another one.
    ///
    /// # Errors
    /// A size of no or too many pixels; a view without extent.
    pub fn of_scene(scene: &Scene, size: Option<[u32; 2]>) -> Result<Image, DrawError> {
        let [width, height] = size.unwrap_or(scene.size);
        let mut canvas = canvas(width, height)?;
        let transform = to_pixels(scene, width, height)?;
        let [red, green, blue] = scene.background;
        canvas.fill(tiny_skia::Color::from_rgba8(red, green, blue, 255));
        for shape in &scene.shapes {
            paint(&mut canvas, shape, transform);
        }
        Ok(Image::of_canvas(&canvas))
    }

    pub(crate) fn of_canvas(canvas: &Pixmap) -> Image {
        let pixels = canvas.pixels().iter().map(|pixel| [pixel.red(), pixel.green(), pixel.blue()]);
        Image { width: canvas.width(), height: canvas.height(), pixels: pixels.collect() }
    }

    /// Colour of a pixel, counted from the upper left corner.
    pub fn at(&self, x: u32, y: u32) -> Option<Rgb> {
        let inside = x < self.width && y < self.height;
        inside.then(|| self.pixels.get((y * self.width + x) as usize).copied())?
    }

    /// The image as a PNG file.
    ///
    /// # Errors
    /// Whatever the encoder refuses.
    pub fn to_png(&self) -> Result<Vec<u8>, DrawError> {
        let mut canvas = canvas(self.width, self.height)?;
        for (bytes, [red, green, blue]) in canvas.data_mut().chunks_exact_mut(4).zip(&self.pixels) {
            bytes.copy_from_slice(&[*red, *green, *blue, 255]);
        }
        encode_png(&canvas)
    }
}

pub(crate) fn encode_png(canvas: &Pixmap) -> Result<Vec<u8>, DrawError> {
    canvas.encode_png().map_err(|error| DrawError::Encoding { format: "PNG", message: error.to_string() })
}

/// An empty canvas.
pub(crate) fn canvas(width: u32, height: u32) -> Result<Pixmap, DrawError> {
    let fits = width <= MAX_SIDE && height <= MAX_SIDE;
    fits.then(|| Pixmap::new(width, height)).flatten().ok_or(DrawError::BadSize { width, height })
}

/// World units to pixels: the whole view, as large as fits without changing its proportions, in the middle.
fn to_pixels(scene: &Scene, width: u32, height: u32) -> Result<Transform, DrawError> {
    let [world_width, world_height] = scene.extent();
    let sound = |extent: f64| extent.is_finite() && extent > 0.0;
    if !sound(world_width) || !sound(world_height) {
        return Err(DrawError::BadView { width: world_width, height: world_height });
    }
    let (width, height) = (f64::from(width), f64::from(height));
    let scale = (width / world_width).min(height / world_height);
    let view = scene.view;
    let left = width / 2.0 - scale * (view.left + view.right) / 2.0;
    let bottom = height / 2.0 + scale * (view.bottom + view.top) / 2.0;
    Ok(Transform::from_row(scale as f32, 0.0, 0.0, -scale as f32, left as f32, bottom as f32))
}

/// Shapes with coordinates that are not finite, or without extent, leave the canvas as it is.
fn paint(canvas: &mut Pixmap, shape: &Shape, transform: Transform) {
    match shape {
        Shape::Polygon { corners, color } => {
            if let Some(path) = path_through(corners, true) {
                canvas.fill_path(&path, &ink(*color), FillRule::Winding, transform, None);
            }
        }
        Shape::Disc { center, radius, color } => {
            let [x, y] = center.map(|coordinate| coordinate as f32);
            if let Some(path) = PathBuilder::from_circle(x, y, *radius as f32) {
                canvas.fill_path(&path, &ink(*color), FillRule::Winding, transform, None);
            }
        }
        Shape::Line { points, width, color } => {
            if let Some(path) = path_through(points, false) {
                let stroke = Stroke { width: *width as f32, line_join: LineJoin::Round, ..Stroke::default() };
                canvas.stroke_path(&path, &ink(*color), &stroke, transform, None);
            }
        }
    }
}

fn ink([red, green, blue]: Rgb) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color_rgba8(red, green, blue, 255);
    paint
}

fn path_through(points: &[Point], closed: bool) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for (index, [x, y]) in points.iter().enumerate() {
        if index == 0 {
            builder.move_to(*x as f32, *y as f32);
        } else {
            builder.line_to(*x as f32, *y as f32);
        }
    }
    if closed {
        builder.close();
    }
    builder.finish()
}
