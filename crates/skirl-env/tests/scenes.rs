//! Environments as pictures: one and many draw the same, wrappers pass pictures on.
#![allow(clippy::expect_used, reason = "a test helper may fail the test")]

use skirl_env::column::{column_muts, column_refs};
use skirl_env::wrappers::{OrderEnforcing, TimeLimit, TransformReward};
use skirl_env::{
    AgentStep, EnvContext, MultiAgentEnv, Outcomes, Row, RowRef, Scene, Shape, make, make_multi, make_vec,
};

const DRAWN: [&str; 6] =
    ["CartPole-v0", "CartPole-v1", "Pendulum-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Acrobot-v1"];

fn sound(scene: &Scene) {
    let [width, height] = scene.extent();
    let [across, up] = scene.size.map(f64::from);
    assert!((width / height - across / up).abs() < 1e-9, "the view has the proportions of the picture");
    for shape in &scene.shapes {
        let (Shape::Polygon { corners: points, .. } | Shape::Line { points, .. }) = shape else { continue };
        assert!(
            points.len() > 1 && points.iter().flatten().all(|coordinate| coordinate.is_finite()),
            "{shape:?}"
        );
    }
}

#[test]
fn one_environment_and_many_draw_the_same() {
    for name in DRAWN {
        let mut one = make(name).expect("environment");
        let mut many = make_vec(name, 3, &EnvContext::default()).expect("environments");
        let mut observation = one.observation_space().columns(1);
        let mut observations = many.observation_space().columns(3);
        one.reset(Some(7), &mut Row::new(column_muts(&mut observation))).expect("reset");
        for env in 0..3 {
            many.reset(env, Some(5 + env as u64), &mut column_muts(&mut observations)).expect("reset");
        }
        let start = one.draw();
        let (action, actions) = (one.action_space().columns(1), many.action_space().columns(3));
        for _ in 0..5 {
            let action = RowRef::new(column_refs(&action));
            one.step(&action, &mut Row::new(column_muts(&mut observation))).expect("step");
            many.step(&column_refs(&actions), &mut column_muts(&mut observations), &mut Outcomes::default())
                .expect("step");
        }
        let scene = one.draw().expect("a scene");
        sound(&scene);
        assert_ne!(start.as_ref(), Some(&scene), "{name} has moved");
        assert_eq!(Some(&scene), many.draw(2).as_ref(), "{name}");
        assert_ne!(many.draw(0), many.draw(2), "{name}");
        assert_eq!(many.draw(3), None, "{name}");
        let wrapped = TransformReward::new(TimeLimit::new(OrderEnforcing::new(one), 9), |reward| reward);
        assert_eq!(skirl_env::Env::draw(&wrapped), Some(scene), "{name}");
    }
}

#[test]
fn the_torque_of_a_pendulum_is_an_arrow() {
    let shapes = |torque: f32| {
        let mut env = make("Pendulum-v1").expect("environment");
        let mut observation = env.observation_space().columns(1);
        env.reset(Some(1), &mut Row::new(column_muts(&mut observation))).expect("reset");
        let columns = [skirl_env::Column::F32(vec![torque])];
        let action = RowRef::new(column_refs(&columns));
        env.step(&action, &mut Row::new(column_muts(&mut observation))).expect("step");
        env.draw().expect("a scene").shapes
    };
    let arc = |torque: f32| match shapes(torque).into_iter().find(|shape| matches!(shape, Shape::Line { .. }))
    {
        Some(Shape::Line { points, .. }) => points,
        _ => Vec::new(),
    };
    assert!(arc(0.0).is_empty(), "no torque, no arrow");
    let turn = |points: &[[f64; 2]]| points[0][0] * points[1][1] - points[0][1] * points[1][0];
    assert!(turn(&arc(2.0)) > 0.0, "a positive torque turns counter-clockwise");
    assert!(turn(&arc(-2.0)) < 0.0, "a negative torque turns clockwise");
    let width = |torque: f32| arc(torque).iter().map(|point| point[0].abs()).fold(0.0, f64::max);
    assert!((width(2.0) / width(1.0) - 2.0).abs() < 1e-9, "twice the torque, twice the arrow");
}

#[test]
fn two_cart_poles_are_one_above_the_other() {
    let mut env: Box<dyn MultiAgentEnv> =
        make_multi("TwoCartPole-v0", 1, &EnvContext::default()).expect("environment").remove(0);
    let mut out = AgentStep::for_env(&*env);
    env.reset(Some(1), &mut out).expect("reset");
    let scene = env.draw().expect("a scene");
    sound(&scene);
    assert_eq!(scene.size, [600, 800]);
    let mut upper = make("CartPole-v1").expect("environment");
    let mut observation = upper.observation_space().columns(1);
    upper.reset(Some(1), &mut Row::new(column_muts(&mut observation))).expect("reset");
    let upper = upper.draw().expect("a scene");
    let half = scene.shapes.len() / 2;
    let up = [0.0, upper.extent()[1]];
    let moved: Vec<Shape> = upper.shapes.into_iter().map(|shape| shape.moved(up)).collect();
    assert_eq!(scene.shapes[half..], moved, "the upper half is the first cart");
}

#[test]
fn what_does_not_draw_itself_says_so() {
    assert_eq!(make("probe/Constant-v0").expect("environment").draw(), None);
    let probes = make_vec("probe/Constant-v0", 2, &EnvContext::default()).expect("environments");
    assert_eq!(probes.draw(0), None);
}
