//! What an environment looks like: shapes in world units, for whoever turns them into pixels.

/// A colour, red, green and blue.
pub type Rgb = [u8; 3];
/// A point in world units, `y` upwards.
pub type Point = [f64; 2];

/// A picture of one state of an environment.
///
/// Shapes are painted in order, later ones over earlier ones, and are cut off at the edges of the view.
///
/// ```
/// use skirl_env::scene::{Scene, View};
///
/// let view = View { left: -1.0, right: 1.0, bottom: 0.0, top: 1.0 };
/// let scene = Scene::new(view, [400, 200], 30.0)
///     .line(&[[-1.0, 0.5], [1.0, 0.5]], 0.02, [0, 0, 0])
///     .disc([0.0, 0.5], 0.2, [204, 77, 77]);
/// assert_eq!(scene.shapes.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// The part of the world that is seen.
    pub view: View,
    /// Usual size of the picture in pixels, width and height; another size scales all shapes.
    pub size: [u32; 2],
    /// Steps per second at which the movement looks natural.
    pub fps: f64,
    /// Colour behind all shapes.
    pub background: Rgb,
    /// The shapes, back to front.
    pub shapes: Vec<Shape>,
}

/// A rectangle of the world.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// Smallest `x`.
    pub left: f64,
    /// Largest `x`.
    pub right: f64,
    /// Smallest `y`.
    pub bottom: f64,
    /// Largest `y`.
    pub top: f64,
}

/// One shape.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A filled polygon.
    Polygon {
        /// Its corners.
        corners: Vec<Point>,
        /// Its colour.
        color: Rgb,
    },
    /// A filled disc.
    Disc {
        /// Its centre.
        center: Point,
        /// Its radius.
        radius: f64,
        /// Its colour.
        color: Rgb,
    },
    /// An open line through points.
    Line {
        /// The points.
        points: Vec<Point>,
        /// Its width in world units.
        width: f64,
        /// Its colour.
        color: Rgb,
    },
}

impl Scene {
    /// An empty white scene.
    pub fn new(view: View, size: [u32; 2], fps: f64) -> Scene {
        Scene { view, size, fps, background: [255; 3], shapes: Vec::new() }
    }

    /// Adds a filled polygon.
    pub fn polygon(mut self, corners: &[Point], color: Rgb) -> Scene {
        self.shapes.push(Shape::Polygon { corners: corners.to_vec(), color });
        self
    }

    /// Adds a filled disc.
    pub fn disc(mut self, center: Point, radius: f64, color: Rgb) -> Scene {
        self.shapes.push(Shape::Disc { center, radius, color });
        self
    }

    /// Adds an open line through points, `width` world units wide.
    pub fn line(mut self, points: &[Point], width: f64, color: Rgb) -> Scene {
        self.shapes.push(Shape::Line { points: points.to_vec(), width, color });
        self
    }

    /// Two scenes of equal width as one, this one above the other; what reaches over the border between them is seen.
    pub fn above(self, below: Scene) -> Scene {
        let up = below.view.top - self.view.bottom;
        let mut both = below;
        both.view.top += self.view.top - self.view.bottom;
        both.size[1] += self.size[1];
        both.shapes.extend(self.shapes.into_iter().map(|shape| shape.moved([0.0, up])));
        both
    }

    /// Width and height of the view in world units.
    pub fn extent(&self) -> [f64; 2] {
        [self.view.right - self.view.left, self.view.top - self.view.bottom]
    }
}

impl Shape {
    /// The shape somewhere else.
    pub fn moved(self, [right, up]: Point) -> Shape {
        let place = |[x, y]: Point| [x + right, y + up];
        let all = |points: Vec<Point>| points.into_iter().map(place).collect();
        match self {
            Shape::Polygon { corners, color } => Shape::Polygon { corners: all(corners), color },
            Shape::Disc { center, radius, color } => Shape::Disc { center: place(center), radius, color },
            Shape::Line { points, width, color } => Shape::Line { points: all(points), width, color },
        }
    }
}

/// A rectangle that is given in its own coordinates, turned counter-clockwise around its origin, then moved there.
pub fn turned_box([left, right, bottom, top]: [f64; 4], angle: f64, origin: Point) -> [Point; 4] {
    [[left, bottom], [left, top], [right, top], [right, bottom]].map(|corner| turned(corner, angle, origin))
}

/// A point given in coordinates that are turned counter-clockwise by `angle`, with their origin at `origin`.
pub fn turned([x, y]: Point, angle: f64, origin: Point) -> Point {
    let (sine, cosine) = angle.sin_cos();
    [origin[0] + x * cosine - y * sine, origin[1] + x * sine + y * cosine]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::FRAC_PI_2;

    #[test]
    fn a_quarter_turn_takes_x_to_y() {
        let [x, y] = turned([2.0, 0.0], FRAC_PI_2, [1.0, 1.0]);
        assert!((x - 1.0).abs() < 1e-12 && (y - 3.0).abs() < 1e-12, "{x} {y}");
        let corners = turned_box([0.0, 2.0, -1.0, 1.0], FRAC_PI_2, [0.0, 0.0]);
        assert!((corners[0][0] - 1.0).abs() < 1e-12 && corners[0][1].abs() < 1e-12, "{corners:?}");
    }
}
