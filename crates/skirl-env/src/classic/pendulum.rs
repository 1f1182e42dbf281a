//! `Pendulum-v1`: swing a pendulum up and hold it there with little torque.
//!
//! As in Gymnasium's `pendulum.py`: angle θ (0 is upright) and angular velocity, semi-implicit Euler steps of 0.05 s.
//!
//! Observation: cos θ, sin θ, angular velocity (rad/s, ±8). Action: torque (N m), clipped to ±2. Reward:
//! `-(θ² + 0.1 θ̇² + 0.001 torque²)` with θ in [-π, π). Never terminates.

use std::f64::consts::{PI, TAU};

use super::native::{Lanes, Physics, Results, first_non_finite, split};
use super::numpy::{
    Square, SquareF32, TURNS_LIMIT, power2, power2_f32, remainder_of_turn, remainder_of_turn_anywhere,
};
use crate::dtype::DType;
use crate::scene::{Point, Scene, View, turned, turned_box};
use crate::seeding::Generator;
use crate::space::Space;

const MAX_SPEED: f64 = 8.0;
const MAX_TORQUE: f32 = 2.0;
const TIME_STEP: f64 = 0.05;
/// Lanes that are worked on together: enough for vector registers, few enough for L1.
const BLOCK: usize = 64;

/// Physics of the pendulum.
#[derive(Debug, Clone, Copy)]
pub struct Pendulum {
    /// Gravity, m/s².
    pub g: f64,
}

impl Default for Pendulum {
    fn default() -> Pendulum {
        Pendulum { g: 10.0 }
    }
}

impl Physics for Pendulum {
    /// The sine is kept from the observation: the next step needs it. The torque is kept for pictures.
    const STATE: &'static [&'static str] = &["theta", "theta_dot", "sin_theta", "torque"];
    const WIDTH: usize = 3;
    type Action = f32;

    fn observation_space(&self) -> Space {
        let high = [1.0, 1.0, MAX_SPEED];
        Space::box_bounds(&high.map(|bound| -bound), &high, &[3], DType::F32)
    }

    fn action_space(&self) -> Space {
        Space::boxed(f64::from(-MAX_TORQUE), f64::from(MAX_TORQUE), &[1], DType::F32)
    }

    fn start(&self, generator: &mut Generator, state: &mut Lanes, lane: usize, observation: &mut [f32]) {
        let theta = generator.uniform(-PI, PI);
        let speed = generator.uniform(-1.0, 1.0);
        let (sine, cosine) = theta.sin_cos();
        for (variable, value) in state.iter_mut().zip([theta, speed, sine, 0.0]) {
            variable[lane] = value;
        }
        observation.copy_from_slice(&[cosine as f32, sine as f32, speed as f32]);
    }

    fn bad_action(&self, actions: &[f32]) -> Option<usize> {
        first_non_finite(actions)
    }

    fn advance(&self, actions: &[f32], state: &mut Lanes, out: Results<'_>) {
        let variables: [&mut [f64]; 4] = split(state);
        let [theta, theta_dot, sin_theta, torque] = variables.map(|variable| variable.chunks_mut(BLOCK));
        let (observations, _) = out.observations.as_chunks_mut::<3>();
        let results = observations.chunks_mut(BLOCK).zip(out.rewards.chunks_mut(BLOCK));
        let state = theta.zip(theta_dot).zip(sin_theta.zip(torque));
        for ((actions, ((theta, theta_dot), (sin_theta, torque))), (observations, rewards)) in
            actions.chunks(BLOCK).zip(state).zip(results)
        {
            penalise(actions, theta, theta_dot, rewards);
            self.swing(actions, [theta, theta_dot, sin_theta, torque], observations);
        }
        out.terminated.fill(false);
    }

    fn draw(&self, state: &Lanes, lane: usize) -> Option<Scene> {
        Some(picture(state[0][lane], state[3][lane]))
    }
}

/// Gymnasium's picture: 500 × 500 pixels, 4.4 m wide, a rod of 1 × 0.2 m with round ends, and an arrow as large as the
/// torque of the last step.
fn picture(theta: f64, torque: f64) -> Scene {
    let (red, upwards) = ([204, 77, 77], theta + PI / 2.0);
    let view = View { left: -2.2, right: 2.2, bottom: -2.2, top: 2.2 };
    let center = [0.0, 0.0];
    let rod = Scene::new(view, [500, 500], 30.0)
        .polygon(&turned_box([0.0, 1.0, -0.1, 0.1], upwards, center), red)
        .disc(center, 0.1, red)
        .disc(turned([1.0, 0.0], upwards, center), 0.1, red);
    with_arrow(rod, torque).disc(center, 0.05, [0, 0, 0])
}

/// Three quarters of a circle with a head, |torque| / 2 m wide, counter-clockwise for a positive torque.
fn with_arrow(scene: Scene, torque: f64) -> Scene {
    const PIECES: u32 = 48;
    let size = torque.abs() / 2.0;
    if size == 0.0 {
        return scene;
    }
    let place = |[x, y]: Point| [if torque > 0.0 { -x } else { x } * size, y * size];
    let arc = (0..=PIECES).map(|piece| {
        let angle = PI / 2.0 - 1.5 * PI * f64::from(piece) / f64::from(PIECES);
        place([0.47 * angle.cos() + 0.015, 0.47 * angle.sin()])
    });
    let head = [[-0.433, 0.143], [-0.5, -0.043], [-0.437, -0.007], [-0.365, -0.043]].map(place);
    let arc: Vec<Point> = arc.collect();
    scene.line(&arc, 0.03 * size, [0, 0, 0]).polygon(&head, [0, 0, 0])
}

/// The rewards of the states before the step, of at most [`BLOCK`] lanes.
fn penalise(actions: &[f32], theta: &[f64], theta_dot: &[f64], rewards: &mut [f64]) {
    let lanes = actions.len();
    let (theta, theta_dot, rewards) = (&theta[..lanes], &theta_dot[..lanes], &mut rewards[..lanes]);
    let mut angles = [0.0; BLOCK];
    let mut doubtful = [false; BLOCK];
    let far = theta.iter().fold(0, |any, theta| any | u64::from(theta.abs() > TURNS_LIMIT - TAU));
    for (angle, theta) in angles.iter_mut().zip(theta) {
        *angle = remainder_of_turn(theta + PI) - PI;
    }
    if far != 0 {
        for (angle, theta) in angles.iter_mut().zip(theta) {
            *angle = remainder_of_turn_anywhere(theta + PI) - PI;
        }
    }
    for lane in 0..lanes {
        let angle = Square::of(angles[lane]);
        let speed = Square::of(theta_dot[lane]);
        let torque = SquareF32::of(clip_torque(actions[lane]));
        rewards[lane] = reward(angle.rounded, speed.rounded, torque.rounded);
        doubtful[lane] = angle.doubtful | speed.doubtful | torque.doubtful;
    }
    for lane in (0..lanes).filter(|&lane| doubtful[lane]) {
        let torque = power2_f32(clip_torque(actions[lane]));
        rewards[lane] = reward(power2(angles[lane]), power2(theta_dot[lane]), torque);
    }
}

fn reward(angle_squared: f64, speed_squared: f64, torque_squared: f32) -> f64 {
    -(angle_squared + 0.1 * speed_squared + f64::from(0.001 * torque_squared))
}

fn clip_torque(torque: f32) -> f32 {
    torque.clamp(-MAX_TORQUE, MAX_TORQUE)
}

impl Pendulum {
    /// Moves at most [`BLOCK`] lanes and observes them.
    fn swing(
        self,
        actions: &[f32],
        [theta, theta_dot, sin_theta, torque]: [&mut [f64]; 4],
        observations: &mut [[f32; 3]],
    ) {
        let lanes = actions.len();
        let (theta, theta_dot) = (&mut theta[..lanes], &mut theta_dot[..lanes]);
        let (sin_theta, observations) = (&mut sin_theta[..lanes], &mut observations[..lanes]);
        let kept = &mut torque[..lanes];
        let pull = 3.0 * self.g / 2.0;
        for lane in 0..lanes {
            let torque = clip_torque(actions[lane]);
            kept[lane] = f64::from(torque);
            let speed = theta_dot[lane] + (pull * sin_theta[lane] + f64::from(3.0 * torque)) * TIME_STEP;
            theta_dot[lane] = speed.clamp(-MAX_SPEED, MAX_SPEED);
            theta[lane] += theta_dot[lane] * TIME_STEP;
        }
        for lane in 0..lanes {
            let (sine, cosine) = theta[lane].sin_cos();
            sin_theta[lane] = sine;
            observations[lane] = [cosine as f32, sine as f32, theta_dot[lane] as f32];
        }
    }
}
