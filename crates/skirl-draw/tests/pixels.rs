//! What is in the pixels: angles and places are measured in the picture and compared with the state.
#![allow(clippy::expect_used, reason = "a test helper may fail the test")]

use skirl_draw::{DrawError, Image};
use skirl_env::column::column_muts;
use skirl_env::scene::{Rgb, Scene, View};
use skirl_env::{Row, make};

const VIEW: View = View { left: 0.0, right: 4.0, bottom: 0.0, top: 2.0 };

/// A fresh environment's picture and observation.
fn fresh(name: &str, seed: u64) -> (Image, Vec<f32>) {
    let mut env = make(name).expect("environment");
    let mut observation = env.observation_space().columns(1);
    env.reset(Some(seed), &mut Row::new(column_muts(&mut observation))).expect("reset");
    let image = Image::of_scene(&env.draw().expect("a scene"), None).expect("an image");
    (image, observation[0].as_ref().f32().expect("numbers").to_vec())
}

/// Places of all pixels of exactly this colour, `y` upwards.
fn places(image: &Image, color: Rgb) -> Vec<[f64; 2]> {
    let place = |index: u32| {
        [f64::from(index % image.width) + 0.5, f64::from(image.height) - f64::from(index / image.width) - 0.5]
    };
    let found = image.pixels.iter().zip(0..).filter(|(pixel, _)| **pixel == color);
    found.map(|(_, index)| place(index)).collect()
}

fn mean(places: &[[f64; 2]]) -> [f64; 2] {
    [0, 1].map(|axis| places.iter().map(|place| place[axis]).sum::<f64>() / places.len() as f64)
}

/// Direction of the longest extent, in radians from the x axis.
fn direction(places: &[[f64; 2]]) -> f64 {
    let center = mean(places);
    let moment = |one: usize, other: usize| -> f64 {
        places.iter().map(|place| (place[one] - center[one]) * (place[other] - center[other])).sum()
    };
    0.5 * (2.0 * moment(0, 1)).atan2(moment(0, 0) - moment(1, 1))
}

#[test]
fn the_angle_of_the_pole_is_in_the_picture() {
    for seed in 0..20 {
        let (image, observation) = fresh("CartPole-v1", seed);
        let pole = places(&image, [202, 152, 101]);
        // Measured from the x axis; the environment's angle is from upright, to the right.
        let angle = std::f64::consts::FRAC_PI_2 - direction(&pole).rem_euclid(std::f64::consts::PI);
        // Half a degree: the pixels of exactly this colour have steps at their edges.
        assert!((angle - f64::from(observation[2])).abs() < 0.009, "{angle} in the picture, {observation:?}");
        // The cart below track and pole.
        let mut below = places(&image, [0, 0, 0]);
        below.retain(|place| place[1] < 97.0);
        let cart = mean(&below)[0];
        let expected = f64::from(observation[0]) * 125.0 + 300.0;
        assert!((cart - expected).abs() < 0.7, "cart at {cart}, expected {expected}");
    }
}

#[test]
fn the_rod_of_the_pendulum_points_where_the_state_says() {
    for seed in 0..20 {
        let (image, observation) = fresh("Pendulum-v1", seed);
        let [x, y] = mean(&places(&image, [204, 77, 77]));
        // Angle 0 is upright and grows to the left.
        let found = (-(x - 250.0)).atan2(y - 250.0);
        let expected = f64::from(observation[1]).atan2(f64::from(observation[0]));
        let difference = (found - expected + std::f64::consts::PI).rem_euclid(std::f64::consts::TAU)
            - std::f64::consts::PI;
        assert!(difference.abs() < 0.01, "{found} in the picture, {expected} in the state");
    }
}

#[test]
fn the_flag_stands_at_the_goal() {
    for (name, goal) in [("MountainCar-v0", 0.5), ("MountainCarContinuous-v0", 0.45)] {
        let (image, _) = fresh(name, 1);
        let [x, y] = mean(&places(&image, [204, 204, 0]));
        // A triangle of 25 pixels to the right, with its centre at a third; 45 pixels above the hill.
        let (expected_x, hill) =
            ((goal + 1.2) / 1.8 * 600.0 + 25.0 / 3.0, ((3.0f64 * goal).sin() * 0.45 + 0.55) / 1.8 * 600.0);
        assert!((x - expected_x).abs() < 1.0 && (y - hill - 45.0).abs() < 1.0, "{name}: {x}, {y}");
    }
}

#[test]
fn the_view_keeps_its_proportions_in_any_size() {
    let scene = Scene::new(VIEW, [400, 200], 30.0)
        .polygon(&[[1.0, 0.5], [3.0, 0.5], [3.0, 1.5], [1.0, 1.5]], [1, 2, 3]);
    for (size, area) in
        [([400, 200], 200 * 100), ([800, 400], 400 * 200), ([400, 400], 200 * 100), ([40, 40], 20 * 10)]
    {
        let image = Image::of_scene(&scene, Some(size)).expect("an image");
        assert_eq!([image.width, image.height], size);
        let found = places(&image, [1, 2, 3]);
        assert_eq!(found.len(), area, "{size:?}");
        assert_eq!(mean(&found), size.map(|side| f64::from(side) / 2.0), "{size:?}");
    }
    assert_eq!(Image::of_scene(&scene, None).expect("an image").at(0, 0), Some([255; 3]));
}

#[test]
fn edges_are_smooth() {
    let scene = Scene::new(VIEW, [400, 200], 30.0).line(&[[0.0, 0.0], [4.0, 2.0]], 0.1, [0, 0, 0]);
    let image = Image::of_scene(&scene, None).expect("an image");
    let greys = image.pixels.iter().filter(|pixel| pixel[0] > 0 && pixel[0] < 255).count();
    assert!(greys > 200, "{greys} pixels between black and white");
}

#[test]
fn pictures_that_cannot_be_are_refused_with_the_reason() {
    let flat = Scene::new(View { top: 0.0, ..VIEW }, [400, 200], 30.0);
    assert!(matches!(Image::of_scene(&flat, None), Err(DrawError::BadView { .. })));
    let huge = Image::of_scene(&Scene::new(VIEW, [400, 200], 30.0), Some([0, 9000]));
    let message = huge.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(message.contains("0 × 9000") && message.contains("8192"), "{message}");
    // Coordinates that are no numbers spoil their shape and nothing else.
    let odd =
        Scene::new(VIEW, [400, 200], 30.0).disc([f64::NAN, 1.0], 0.2, [9; 3]).disc([1.0, 1.0], 0.2, [7; 3]);
    let image = Image::of_scene(&odd, None).expect("an image");
    assert!(places(&image, [9; 3]).is_empty() && !places(&image, [7; 3]).is_empty());
}
