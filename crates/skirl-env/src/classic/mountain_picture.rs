//! The picture of both mountain cars.

use crate::scene::{Point, Scene, View, turned, turned_box};

const MIN_POSITION: f64 = -1.2;
const MAX_POSITION: f64 = 0.6;
/// Points of the drawn curve of the hill.
const POINTS: usize = 100;

/// Height of the hill.
fn height(position: f64) -> f64 {
    (3.0 * position).sin() * 0.45 + 0.55
}

/// Gymnasium's picture: 600 × 400 pixels for 1.8 units of width, a car of 40 × 20 pixels that leans as the slope does.
pub(super) fn picture(position: f64, goal: f64) -> Scene {
    let width = MAX_POSITION - MIN_POSITION;
    let pixel = width / 600.0;
    let view = View { left: MIN_POSITION, right: MAX_POSITION, bottom: 0.0, top: 400.0 * pixel };
    let step = width / (POINTS - 1) as f64;
    let hill = (0..POINTS).map(|index| MIN_POSITION + step * index as f64).map(|x| [x, height(x)]);
    // The slope of the hill is proportional to this cosine; Gymnasium takes it for the angle.
    let (lean, ground) = ((3.0 * position).cos(), [position, height(position) + 10.0 * pixel]);
    let body = turned_box([-20.0, 20.0, 0.0, 20.0].map(|side| side * pixel), lean, ground);
    let wheel = |side: f64| turned([side * pixel, 0.0], lean, ground);
    let pole = [goal, height(goal)];
    let up = |right: f64, pixels: f64| -> Point { [pole[0] + right * pixel, pole[1] + pixels * pixel] };
    Scene::new(view, [600, 400], 30.0)
        .line(&hill.collect::<Vec<_>>(), pixel, [0, 0, 0])
        .polygon(&body, [0, 0, 0])
        .disc(wheel(10.0), 8.0 * pixel, [128, 128, 128])
        .disc(wheel(-10.0), 8.0 * pixel, [128, 128, 128])
        .line(&[up(0.5, 0.0), up(0.5, 50.0)], pixel, [0, 0, 0])
        .polygon(&[up(0.0, 50.0), up(0.0, 40.0), up(25.0, 45.0)], [204, 204, 0])
}
