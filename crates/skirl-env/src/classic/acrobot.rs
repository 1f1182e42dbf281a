//! `Acrobot-v1`: swing the lower of two links above a bar by torque on the joint between them.
//!
//! R. Sutton, "Generalization in reinforcement learning: successful examples using sparse coarse coding", 1996, with the
//! equations of Sutton and Barto's book; as in Gymnasium's `acrobot.py`, one Runge-Kutta step of 0.2 s.
//!
//! Observation: cos θ1, sin θ1, cos θ2, sin θ2, angular velocities. Action: torque -1, 0 or 1 (0, 1, 2). Reward: -1 for
//! each step, 0 at the goal. Terminates when `-cos θ1 - cos(θ1 + θ2) > 1`.

use std::f64::consts::PI;

use super::native::{Lanes, Physics, Results, split};
use super::numpy::{cos_f32, power2, sin_f32};
use crate::dtype::DType;
use crate::scene::{Scene, View, turned, turned_box};
use crate::seeding::Generator;
use crate::space::Space;

const TIME_STEP: f64 = 0.2;
const MAX_SPEED: [f64; 2] = [4.0 * PI, 9.0 * PI];
const GRAVITY: f64 = 9.8;

/// Physics of the two links: length 1 m, mass 1 kg, centre of mass at 0.5 m, moment of inertia 1 kg m².
#[derive(Debug, Clone, Copy, Default)]
pub struct Acrobot;

/// Two angles and their velocities.
type State = [f64; 4];

impl Physics for Acrobot {
    const STATE: &'static [&'static str] = &["theta1", "theta2", "theta1_dot", "theta2_dot"];
    const WIDTH: usize = 6;
    type Action = i64;

    fn observation_space(&self) -> Space {
        let high = [1.0, 1.0, 1.0, 1.0, MAX_SPEED[0], MAX_SPEED[1]];
        Space::box_bounds(&high.map(|bound| -bound), &high, &[6], DType::F32)
    }

    fn action_space(&self) -> Space {
        Space::discrete(3)
    }

    /// The initial state is `float32`, so Gymnasium's first observation uses NumPy's `float32` sine and cosine.
    fn start(&self, generator: &mut Generator, state: &mut Lanes, lane: usize, observation: &mut [f32]) {
        let drawn: [f32; 4] = std::array::from_fn(|_| generator.uniform(-0.1, 0.1) as f32);
        for (variable, value) in state.iter_mut().zip(drawn) {
            variable[lane] = f64::from(value);
        }
        let [theta1, theta2, speed1, speed2] = drawn;
        let angles = [cos_f32(theta1), sin_f32(theta1), cos_f32(theta2), sin_f32(theta2)];
        observation[..4].copy_from_slice(&angles);
        observation[4..].copy_from_slice(&[speed1, speed2]);
    }

    fn bad_action(&self, actions: &[i64]) -> Option<usize> {
        actions.iter().position(|action| !(0..3).contains(action))
    }

    fn advance(&self, actions: &[i64], state: &mut Lanes, out: Results<'_>) {
        let mut lanes: [&mut [f64]; 4] = split(state);
        let (observations, _) = out.observations.as_chunks_mut::<6>();
        for (lane, &action) in actions.iter().enumerate() {
            let before: State = std::array::from_fn(|variable| lanes[variable][lane]);
            let after = bounded(runge_kutta(before, (action - 1) as f64));
            for (variable, value) in lanes.iter_mut().zip(after) {
                variable[lane] = value;
            }
            let [theta1, theta2, speed1, speed2] = after;
            let cosine1 = theta1.cos();
            let terminated = -cosine1 - (theta2 + theta1).cos() > 1.0;
            observations[lane] =
                [cosine1, theta1.sin(), theta2.cos(), theta2.sin(), speed1, speed2].map(|value| value as f32);
            out.terminated[lane] = terminated;
            out.rewards[lane] = if terminated { 0.0 } else { -1.0 };
        }
    }

    fn draw(&self, state: &Lanes, lane: usize) -> Option<Scene> {
        Some(picture(state[0][lane], state[1][lane]))
    }
}

/// Gymnasium's picture: 500 × 500 pixels, 4.4 m wide, two links of 1 × 0.2 m and the bar at height 1.
fn picture(theta1: f64, theta2: f64) -> Scene {
    let view = View { left: -2.2, right: 2.2, bottom: -2.2, top: 2.2 };
    let pixel = 4.4 / 500.0;
    let (link, joint) = ([0, 204, 204], [204, 204, 0]);
    // Angles are measured from hanging down; the boxes lie along x.
    let (first, second) = (theta1 - PI / 2.0, theta1 + theta2 - PI / 2.0);
    let (shoulder, elbow) = ([0.0, 0.0], turned([1.0, 0.0], first, [0.0, 0.0]));
    let size = [0.0, 1.0, -0.1, 0.1];
    Scene::new(view, [500, 500], 15.0)
        .line(&[[view.left, 1.0], [view.right, 1.0]], pixel, [0, 0, 0])
        .polygon(&turned_box(size, first, shoulder), link)
        .disc(shoulder, 0.1, joint)
        .polygon(&turned_box(size, second, elbow), link)
        .disc(elbow, 0.1, joint)
}

fn bounded([theta1, theta2, speed1, speed2]: State) -> State {
    [
        wrap(theta1),
        wrap(theta2),
        speed1.clamp(-MAX_SPEED[0], MAX_SPEED[0]),
        speed2.clamp(-MAX_SPEED[1], MAX_SPEED[1]),
    ]
}

/// Brings an angle into [-π, π] by whole turns, one subtraction each as in Gymnasium.
fn wrap(mut angle: f64) -> f64 {
    while angle > PI {
        angle -= 2.0 * PI;
    }
    while angle < -PI {
        angle += 2.0 * PI;
    }
    angle
}

/// One classical fourth-order step.
fn runge_kutta(state: State, torque: f64) -> State {
    let at = |slope: State, time: f64| -> State { std::array::from_fn(|i| state[i] + time * slope[i]) };
    let half = TIME_STEP / 2.0;
    let k1 = derivative(state, torque);
    let k2 = derivative(at(k1, half), torque);
    let k3 = derivative(at(k2, half), torque);
    let k4 = derivative(at(k3, TIME_STEP), torque);
    at(std::array::from_fn(|i| k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]), TIME_STEP / 6.0)
}

/// Time derivative of the state. Products of the constants (masses and lengths of 1, centres at 0.5) are folded in
/// Gymnasium's order of operations.
fn derivative([theta1, theta2, speed1, speed2]: State, torque: f64) -> State {
    let (cosine2, sine2) = (theta2.cos(), theta2.sin());
    let d1 = 0.25 + (1.25 + cosine2) + 1.0 + 1.0;
    let d2 = (0.25 + 0.5 * cosine2) + 1.0;
    let phi2 = 0.5 * GRAVITY * (theta1 + theta2 - PI / 2.0).cos();
    let phi1 = -0.5 * power2(speed2) * sine2 - speed2 * speed1 * sine2
        + 1.5 * GRAVITY * (theta1 - PI / 2.0).cos()
        + phi2;
    let acceleration2 =
        (torque + d2 / d1 * phi1 - 0.5 * power2(speed1) * sine2 - phi2) / (0.25 + 1.0 - power2(d2) / d1);
    let acceleration1 = -(d2 * acceleration2 + phi1) / d1;
    [speed1, speed2, acceleration1, acceleration2]
}
