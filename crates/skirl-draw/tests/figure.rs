//! Figures: an SVG that parses, holds its labels as text and its data to scale; a PNG of it.
#![allow(clippy::expect_used, reason = "a test helper may fail the test")]

use skirl_draw::{Axis, Curve, DrawError, Figure, Panel, Sample};

fn axis(label: &str) -> Axis {
    Axis { label: label.to_owned(), log: false }
}

fn curve(label: usize, value: impl Fn(f64) -> f64) -> Curve {
    let sample = |x: f64| Sample { x, middle: value(x), low: value(x) - 10.0, high: value(x) + 5.0 };
    Curve { label, samples: (0..=20).map(|index| sample(f64::from(index) * 5_000.0)).collect() }
}

fn figure() -> Figure {
    let panel = |label: &str| Panel {
        y: axis(label),
        curves: vec![curve(0, |x| (x / 9_000.0).sin() * 100.0), curve(1, |x| x / 1_000.0)],
    };
    Figure {
        panels: vec![panel("Episode return"), panel("a < b & c")],
        x: axis("Environment steps"),
        labels: vec!["PPO, CartPole-v1 (5 runs)".to_owned(), "<tag> & \"quotes\"".to_owned()],
        panel_size: [480, 320],
    }
}

/// Points of all curves (lines of full opacity with many points), in units of the SVG.
fn curves(document: &roxmltree::Document<'_>) -> Vec<Vec<(f64, f64)>> {
    let lines = document.descendants().filter(|node| node.has_tag_name("polyline"));
    let points = |text: &str| -> Vec<(f64, f64)> {
        let pair =
            |pair: &str| pair.split_once(',').map(|(x, y)| (x.parse().expect("x"), y.parse().expect("y")));
        text.split_whitespace().filter_map(pair).collect()
    };
    lines
        .map(|node| points(node.attribute("points").unwrap_or("")))
        .filter(|points| points.len() > 2)
        .collect()
}

#[test]
fn every_label_is_text_in_the_svg() {
    let svg = figure().to_svg().expect("an SVG");
    let document = roxmltree::Document::parse(&svg).expect("XML");
    let texts: Vec<&str> = document
        .descendants()
        .filter(roxmltree::Node::is_text)
        .filter_map(|node| node.text())
        .map(str::trim)
        .collect();
    for label in [
        "PPO, CartPole-v1 (5 runs)",
        "<tag> & \"quotes\"",
        "Episode return",
        "a < b & c",
        "20k",
        "100k",
        "−50",
    ] {
        assert!(texts.contains(&label), "{label} in {texts:?}");
    }
    assert_eq!(texts.iter().filter(|text| **text == "Environment steps").count(), 2, "one for each panel");
    let root = document.root_element();
    assert_eq!((root.attribute("width"), root.attribute("height")), (Some("960"), Some("348")));
}

#[test]
fn curves_are_to_scale() {
    let figure = figure();
    let svg = figure.to_svg().expect("an SVG");
    let document = roxmltree::Document::parse(&svg).expect("XML");
    let drawn = curves(&document);
    assert_eq!(drawn.len(), 4, "two curves in two panels");
    for (drawn, curve) in drawn.iter().zip(figure.panels.iter().flat_map(|panel| &panel.curves)) {
        let (first, last) = (curve.samples[0], curve.samples[20]);
        let other =
            curve.samples.iter().max_by(|one, other| one.middle.total_cmp(&other.middle)).expect("a sample");
        let at = |x: f64| drawn[(x / 5_000.0) as usize];
        let x_scale = (drawn[20].0 - drawn[0].0) / (last.x - first.x);
        let y_scale = (at(other.x).1 - drawn[0].1) / (other.middle - first.middle);
        assert!(x_scale > 0.0 && y_scale < 0.0, "right and up");
        for (point, sample) in drawn.iter().zip(&curve.samples) {
            let expected = (
                drawn[0].0 + x_scale * (sample.x - first.x),
                drawn[0].1 + y_scale * (sample.middle - first.middle),
            );
            // Whole units, ten of them to a pixel.
            assert!(
                (point.0 - expected.0).abs() < 2.5 && (point.1 - expected.1).abs() < 2.5,
                "{point:?} {expected:?}"
            );
        }
    }
}

#[test]
fn a_logarithmic_axis_gives_equal_factors_equal_lengths() {
    let samples = [1.0, 10.0, 100.0, 1_000.0].map(|y| Sample { x: y, middle: y, low: y, high: y }).to_vec();
    let log = |label: &str| Axis { label: label.to_owned(), log: true };
    let panels = vec![Panel { y: log("y"), curves: vec![Curve { label: 0, samples }] }];
    let figure = Figure { panels, x: log("x"), labels: vec!["a".to_owned()], panel_size: [480, 320] };
    let svg = figure.to_svg().expect("an SVG");
    let points = curves(&roxmltree::Document::parse(&svg).expect("XML")).remove(0);
    let steps: Vec<(f64, f64)> =
        points.windows(2).map(|pair| (pair[1].0 - pair[0].0, pair[0].1 - pair[1].1)).collect();
    assert!(
        steps.iter().all(|step| (step.0 - steps[0].0).abs() < 3.0 && (step.1 - steps[0].1).abs() < 3.0),
        "{steps:?}"
    );
    assert!(steps[0].0 > 500.0 && steps[0].1 > 500.0, "{steps:?}");
}

#[test]
fn a_png_has_the_colours_of_the_curves() {
    let png = figure().to_png(2.0).expect("a PNG");
    let image = tiny_skia::Pixmap::decode_png(&png).expect("a PNG");
    assert_eq!((image.width(), image.height()), (1920, 696));
    let count = |rgb: [u8; 3]| {
        image.pixels().iter().filter(|pixel| [pixel.red(), pixel.green(), pixel.blue()] == rgb).count()
    };
    for color in [[0, 114, 178], [213, 94, 0]] {
        assert!(count(color) > 1_000, "{color:?}: {}", count(color));
    }
    // Text is there: the legend's row holds dark pixels beside its samples of lines.
    let dark =
        image.pixels()[..1920 * 56].iter().filter(|pixel| pixel.red() < 90 && pixel.blue() < 90).count();
    assert!(dark > 300, "{dark} dark pixels in the legend");
    assert_eq!(png, figure().to_png(2.0).expect("a PNG"), "the same bytes again");
}

#[test]
fn single_points_and_empty_panels_are_drawn() {
    let sample = Sample { x: 5.0, middle: 2.0, low: 2.0, high: 2.0 };
    let panels = vec![
        Panel { y: axis("y"), curves: vec![Curve { label: 0, samples: vec![sample] }] },
        Panel { y: axis("none"), curves: Vec::new() },
    ];
    let figure = Figure { panels, x: axis("x"), labels: vec!["one".to_owned()], panel_size: [300, 200] };
    let svg = figure.to_svg().expect("an SVG");
    assert!(svg.contains("<circle"), "a dot for a curve of one point");
}

#[test]
fn sizes_that_hold_nothing_are_refused() {
    for size in [[100, 320], [480, 50], [9_000, 320]] {
        let refused = Figure { panel_size: size, ..figure() }.to_svg();
        assert!(matches!(refused, Err(DrawError::BadSize { .. })), "{size:?}");
    }
}
