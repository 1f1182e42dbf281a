//! The classic environments look as in Gymnasium: areas of the same size and colour, at the same places.
//!
//! `gymnasium/pictures.json` was recorded from Gymnasium 1.2 by `gymnasium/record.py`. Edges differ, as Gymnasium rounds
//! corners to whole pixels and draws outlines besides.
#![allow(clippy::expect_used, reason = "a test helper may fail the test")]

use serde_json::Value;
use skirl_draw::Image;
use skirl_env::column::{column_muts, column_refs};
use skirl_env::scene::Rgb;
use skirl_env::{Column, Env, Row, RowRef, Space, make};

/// Discrete: each three times in turn. Continuous: -1, -1/2, 0, 1/2, 1 of the range in turn.
fn action(space: &Space, step: u64) -> Column {
    match space {
        Space::Discrete(discrete) => Column::I64(vec![(step as i64 / 3) % discrete.n]),
        _ if space.to_string().contains('2') => Column::F32(vec![(step % 5) as f32 - 2.0]),
        _ => Column::F32(vec![((step % 5) as f32 - 2.0) / 2.0]),
    }
}

/// The picture after `steps` steps.
fn picture(name: &str, seed: u64, steps: u64) -> Image {
    let mut env: Box<dyn Env> = make(name).expect("environment");
    let space = env.action_space();
    let mut observation = env.observation_space().columns(1);
    env.reset(Some(seed), &mut Row::new(column_muts(&mut observation))).expect("reset");
    for step in 0..steps {
        let columns = [action(&space, step)];
        let action = RowRef::new(column_refs(&columns));
        env.step(&action, &mut Row::new(column_muts(&mut observation))).expect("step");
    }
    Image::of_scene(&env.draw().expect("a scene"), None).expect("an image")
}

/// How many pixels are nearest to each colour.
fn pixels(image: &Image, palette: &[Rgb]) -> Vec<f64> {
    let distance = |one: Rgb, other: Rgb| -> u32 {
        one.iter().zip(other).map(|(one, other)| u32::from(one.abs_diff(other)).pow(2)).sum()
    };
    let mut counts = vec![0.0; palette.len()];
    for pixel in &image.pixels {
        let nearest = (0..palette.len()).min_by_key(|index| distance(*pixel, palette[*index]));
        counts[nearest.expect("a colour")] += 1.0;
    }
    counts
}

/// Mean of the colour parts over blocks of 20 × 20 pixels, row by row.
fn blocks(image: &Image) -> Vec<f64> {
    let across = image.width / 20;
    let mut means = vec![0.0; (across * image.height / 20) as usize];
    for (index, pixel) in image.pixels.iter().enumerate() {
        let (x, y) = (index as u32 % image.width, index as u32 / image.width);
        let sum: f64 = pixel.iter().map(|part| f64::from(*part)).sum();
        means[(y / 20 * across + x / 20) as usize] += sum / 1200.0;
    }
    means
}

#[test]
fn pictures_are_gymnasiums() {
    let recorded: Value = serde_json::from_str(include_str!("gymnasium/pictures.json")).expect("JSON");
    let cases = recorded.as_array().expect("cases");
    assert!(cases.len() >= 30, "{} cases", cases.len());
    for case in cases {
        let (name, seed) = (case["env"].as_str().expect("name"), case["seed"].as_u64().expect("seed"));
        let steps = case["steps"].as_u64().expect("steps");
        let image = picture(name, seed, steps);
        assert_eq!(serde_json::json!([image.width, image.height]), case["size"], "{name}");
        if let Some(directory) = std::env::var_os("SKIRL_PICTURES") {
            let path = std::path::Path::new(&directory).join(format!("{name}_{seed}_{steps}_skirl.png"));
            std::fs::write(path, image.to_png().expect("PNG")).expect("written");
        }
        let what = format!("{name}, seed {seed}, step {steps}");
        let areas: Vec<(Rgb, f64)> = serde_json::from_value(case["pixels"].clone()).expect("areas");
        let palette: Vec<Rgb> = areas.iter().map(|(color, _)| *color).collect();
        for ((color, expected), found) in areas.iter().zip(pixels(&image, &palette)) {
            // An outline of a pixel around the area, and shades of others' edges that happen to be near to this colour.
            let outline = 3.5 * expected.sqrt() + 90.0;
            assert!((found - expected).abs() < outline, "{what}, {color:?}: {found} pixels, not {expected}");
        }
        let coarse = case["blocks"].as_str().expect("hexadecimal digits");
        let expected = (0..coarse.len() / 2).map(|at| u8::from_str_radix(&coarse[2 * at..2 * at + 2], 16));
        let differences = expected
            .zip(blocks(&image))
            .map(|(expected, found)| (f64::from(expected.expect("a number")) - found).abs());
        let (sum, most) = differences.fold((0.0, 0.0), |(sum, most), one| (sum + one, f64::max(most, one)));
        // A corner that is off by a pixel changes a block by 5 % of the contrast, 13; an outline by as much again.
        assert!(most < 26.0, "{what}: a block of 20 × 20 pixels differs by {most} of 255");
        assert!(sum < 250.0, "{what}: the blocks differ by {sum} of 255 in all");
    }
}
