//! `MountainCarContinuous-v0`: the mountain car with a throttle.
//!
//! Equations as in Gymnasium's `continuous_mountain_car.py`, with its mixture of precisions: the state is `float64`
//! after a reset and `float32` after every step, and Python numbers that meet a `float32` are rounded to it.
//!
//! Observation: position, velocity. Action: throttle, clipped to ±1. Reward: 100 at the goal, less 0.1 throttle².
//! Terminates at position 0.45.

use super::mountain_picture::picture;
use super::native::{Lanes, Physics, Results, first_non_finite, split};
use crate::dtype::DType;
use crate::scene::Scene;
use crate::seeding::Generator;
use crate::space::Space;

const MIN_POSITION: f64 = -1.2;
const MAX_POSITION: f64 = 0.6;
const MAX_SPEED: f64 = 0.07;
const GOAL_POSITION: f64 = 0.45;
const POWER: f64 = 0.0015;
const GRAVITY: f64 = 0.0025;

/// Physics of the car with a throttle.
#[derive(Debug, Clone, Copy, Default)]
pub struct MountainCarContinuous {
    /// Velocity needed at the goal.
    pub goal_velocity: f64,
}

impl Physics for MountainCarContinuous {
    /// `fresh` is 1 until the first step of an episode: Gymnasium's state is `float64` only then.
    const STATE: &'static [&'static str] = &["position", "velocity", "fresh"];
    const WIDTH: usize = 2;
    type Action = f32;

    fn observation_space(&self) -> Space {
        Space::box_bounds(&[MIN_POSITION, -MAX_SPEED], &[MAX_POSITION, MAX_SPEED], &[2], DType::F32)
    }

    fn action_space(&self) -> Space {
        Space::boxed(-1.0, 1.0, &[1], DType::F32)
    }

    fn start(&self, generator: &mut Generator, state: &mut Lanes, lane: usize, observation: &mut [f32]) {
        let position = generator.uniform(-0.6, -0.4);
        for (variable, value) in state.iter_mut().zip([position, 0.0, 1.0]) {
            variable[lane] = value;
        }
        observation.copy_from_slice(&[position as f32, 0.0]);
    }

    fn bad_action(&self, actions: &[f32]) -> Option<usize> {
        first_non_finite(actions)
    }

    fn advance(&self, actions: &[f32], state: &mut Lanes, out: Results<'_>) {
        let [position, velocity, fresh]: [&mut [f64]; 3] = split(state);
        let (observations, _) = out.observations.as_chunks_mut::<2>();
        for lane in 0..actions.len() {
            let (p, v) = (position[lane], velocity[lane]);
            let (p, v, at_goal) = if fresh[lane] == 0.0 {
                self.drive(p as f32, v as f32, actions[lane])
            } else {
                self.drive_first(p, v, actions[lane])
            };
            (position[lane], velocity[lane], fresh[lane]) = (f64::from(p), f64::from(v), 0.0);
            observations[lane] = [p, v];
            out.terminated[lane] = at_goal;
            let throttle = f64::from(actions[lane]);
            let bonus = if at_goal { 100.0 } else { 0.0 };
            out.rewards[lane] = bonus - throttle * throttle * 0.1;
        }
    }

    fn draw(&self, state: &Lanes, lane: usize) -> Option<Scene> {
        Some(picture(state[0][lane], GOAL_POSITION))
    }
}

impl MountainCarContinuous {
    /// A step from a `float32` state.
    fn drive(self, position: f32, velocity: f32, throttle: f32) -> (f32, f32, bool) {
        let velocity = velocity + change_of_speed(throttle, f64::from(3.0 * position)).rounded;
        // A clipped velocity is a Python number again, which matters where it meets the goal velocity.
        let (velocity, fast_enough) = if velocity > MAX_SPEED as f32 {
            (MAX_SPEED as f32, MAX_SPEED >= self.goal_velocity)
        } else if velocity < -MAX_SPEED as f32 {
            (-MAX_SPEED as f32, -MAX_SPEED >= self.goal_velocity)
        } else {
            (velocity, velocity >= self.goal_velocity as f32)
        };
        let position = (position + velocity).clamp(MIN_POSITION as f32, MAX_POSITION as f32);
        if position == MIN_POSITION as f32 && velocity < 0.0 {
            return (position, 0.0, false);
        }
        (position, velocity, position >= GOAL_POSITION as f32 && fast_enough)
    }

    /// The first step of an episode, from a `float64` state.
    fn drive_first(self, position: f64, velocity: f64, throttle: f32) -> (f32, f32, bool) {
        let velocity =
            (velocity + change_of_speed(throttle, 3.0 * position).exact).clamp(-MAX_SPEED, MAX_SPEED);
        let position = (position + velocity).clamp(MIN_POSITION, MAX_POSITION);
        if position == MIN_POSITION && velocity < 0.0 {
            return (position as f32, 0.0, false);
        }
        let at_goal = position >= GOAL_POSITION && velocity >= self.goal_velocity;
        (position as f32, velocity as f32, at_goal)
    }
}

/// A change of speed, as it meets a `float64` and a `float32`.
struct Change {
    exact: f64,
    rounded: f32,
}

/// `force * power - 0.0025 * cos(3 * position)`. Inside ±1 the throttle is a `float32`, which rounds each operation
/// to `float32`; a clipped throttle is a Python number, and the expression stays `float64`.
fn change_of_speed(throttle: f32, triple_position: f64) -> Change {
    let slope = GRAVITY * triple_position.cos();
    if !(-1.0..=1.0).contains(&throttle) {
        let exact = f64::from(throttle.signum()) * POWER - slope;
        return Change { exact, rounded: exact as f32 };
    }
    let rounded = throttle * POWER as f32 - slope as f32;
    Change { exact: f64::from(rounded), rounded }
}
