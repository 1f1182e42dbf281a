//! What can go wrong with a picture.

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrawError {
    /// A size that no picture can have.
    #[error("a picture of {width} × {height} pixels cannot be made: expected 1 to {max} pixels on each side", max = crate::raster::MAX_SIDE)]
    BadSize {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// A scene that shows nothing.
    #[error(
        "the view of a scene is {width} × {height} world units, expected finite numbers above 0; check `draw` of the environment"
    )]
    BadView {
        /// Width in world units.
        width: f64,
        /// Height in world units.
        height: f64,
    },
    /// Frames per second that a format cannot hold.
    #[error(
        "{found} frames per second: expected more than 0 and at most {max}; viewers play faster GIFs slowly"
    )]
    BadFps {
        /// What was asked for.
        found: f64,
        /// The most there can be.
        max: f64,
    },
    /// The encoder refused.
    #[error("the {format} could not be written: {message}")]
    Encoding {
        /// Name of the format.
        format: &'static str,
        /// What the encoder said.
        message: String,
    },
}
