//! An animation is decoded and compared with its scenes, frame by frame.
#![allow(clippy::expect_used, reason = "a test helper may fail the test")]

use skirl_draw::{Animation, DrawError, Image};
use skirl_env::scene::{Rgb, Scene, View};

const VIEW: View = View { left: 0.0, right: 4.0, bottom: 0.0, top: 2.0 };

/// A box that moves, stands still twice, and moves again.
fn scenes() -> Vec<Scene> {
    let at = |x: f64| {
        Scene::new(VIEW, [80, 40], 30.0)
            .polygon(&[[x, 0.5], [x + 1.0, 0.5], [x + 1.0, 1.5], [x, 1.5]], [200, 30, 40])
            .disc([x, 1.0], 0.3, [20, 30, 240])
    };
    [0.5, 0.93, 1.1, 1.1, 1.1, 2.0, 2.61].into_iter().map(at).collect()
}

fn gif(animation: &Animation) -> Vec<u8> {
    let mut bytes = Vec::new();
    animation.write_gif(&mut bytes).expect("a GIF");
    bytes
}

/// The pictures that a viewer shows, each with its time in hundredths of a second.
fn shown(bytes: &[u8]) -> Vec<(Vec<Rgb>, u16)> {
    let mut decoder = gif::DecodeOptions::new().read_info(bytes).expect("a GIF");
    let width = usize::from(decoder.width());
    let palette: Vec<u8> = decoder.global_palette().expect("a palette").to_vec();
    let mut screen = vec![[0; 3]; width * usize::from(decoder.height())];
    let mut pictures = Vec::new();
    while let Some(frame) = decoder.read_next_frame().expect("a frame") {
        for (row, indices) in frame.buffer.chunks(usize::from(frame.width)).enumerate() {
            let start = (row + usize::from(frame.top)) * width + usize::from(frame.left);
            for (pixel, index) in screen[start..].iter_mut().zip(indices) {
                if Some(*index) != frame.transparent {
                    let color = usize::from(*index) * 3;
                    *pixel = [palette[color], palette[color + 1], palette[color + 2]];
                }
            }
        }
        pictures.push((screen.clone(), frame.delay));
    }
    pictures
}

#[test]
fn a_gif_shows_every_scene_for_its_time() {
    let scenes = scenes();
    let mut animation = Animation::default();
    animation.push_episode(&scenes, 30.0, 1.0);
    animation.push_episode(&scenes[..2], 30.0, 0.0);
    let shown = shown(&gif(&animation));
    assert_eq!(shown.len(), 9);
    for ((picture, _), scene) in shown.iter().zip(scenes.iter().chain(&scenes[..2])) {
        assert_eq!(*picture, Image::of_scene(scene, None).expect("an image").pixels);
    }
    let times: Vec<u16> = shown.iter().map(|(_, time)| *time).collect();
    // Thirtieths of a second, rounded so that they do not drift; the end of the first episode stands for a second.
    assert_eq!(times, [3, 4, 3, 3, 4, 3, 100, 3, 4]);
}

#[test]
fn a_gif_of_many_colours_stays_close() {
    let stripes = |shift: f64| {
        let mut scene = Scene::new(VIEW, [64, 32], 25.0);
        for index in 0..64_u8 {
            let x = f64::from(index) / 16.0 + shift;
            let color = [index * 4, 255 - index * 4, index.wrapping_mul(37)];
            scene = scene.polygon(&[[x, 0.0], [x + 0.07, 0.0], [x + 0.07, 2.0], [x, 2.0]], color);
        }
        scene
    };
    let scenes: Vec<Scene> = (0..12).map(|step| stripes(f64::from(step) * 0.011)).collect();
    let mut animation = Animation::default();
    animation.push_episode(&scenes, 25.0, 0.0);
    for ((picture, _), scene) in shown(&gif(&animation)).iter().zip(&scenes) {
        let image = Image::of_scene(scene, None).expect("an image");
        let off = picture
            .iter()
            .flatten()
            .zip(image.pixels.iter().flatten())
            .map(|(one, other)| one.abs_diff(*other));
        assert!(off.max() <= Some(70), "a colour of 255 that are chosen is near");
    }
}

#[test]
fn the_same_scenes_give_the_same_bytes_and_still_ones_cost_little() {
    let scene = scenes().remove(0);
    let of = |count: usize| {
        let mut animation = Animation { size: Some([160, 80]), ..Animation::default() };
        animation.push_episode(&vec![scene.clone(); count], 50.0, 0.0);
        gif(&animation)
    };
    assert_eq!(of(3), of(3));
    assert!(of(101).len() - of(1).len() < 100 * 40, "{} and {} bytes", of(101).len(), of(1).len());
}

#[test]
fn frames_that_viewers_slow_down_are_refused() {
    let mut animation = Animation::default();
    animation.push_episode(&scenes(), 60.0, 0.0);
    let refused = animation.write_gif(Vec::new());
    assert!(matches!(refused, Err(DrawError::BadFps { .. })), "{refused:?}");
    assert!(Animation::default().write_gif(Vec::new()).is_err(), "no frames");
}
