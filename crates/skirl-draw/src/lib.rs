//! Pictures: environments as images and animations, learning curves as figures.
//!
//! **In** flow [`skirl_env::Scene`]s (shapes in world units) and [`figure::Figure`]s (numbers with labels). **Out** flow
//! pixels, GIF, PNG and SVG. Nothing here needs a display, a font of the system or another program: the font is
//! embedded (DejaVu Sans, see `fonts/`), and the same input gives the same bytes.

pub mod animation;
mod error;
pub mod figure;

mod palette;
pub mod raster;

pub use animation::Animation;
pub use error::DrawError;
pub use figure::{Axis, Curve, Figure, Panel, Sample};
pub use raster::Image;
