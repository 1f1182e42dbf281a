//! `MountainCar-v0`: drive out of a valley with an engine too weak to climb.
//!
//! A. Moore, "Efficient memory-based learning for robot control", 1990; equations as in Gymnasium's `mountain_car.py`.
//!
//! Observation: position, velocity. Action: 0 accelerates left, 1 not, 2 right. Reward: -1 for each step. Terminates at
//! position 0.5.

use super::mountain_picture::picture;
use super::native::{Lanes, Physics, Results, split};
use crate::dtype::DType;
use crate::scene::Scene;
use crate::seeding::Generator;
use crate::space::Space;

const MIN_POSITION: f64 = -1.2;
const MAX_POSITION: f64 = 0.6;
const MAX_SPEED: f64 = 0.07;
const GOAL_POSITION: f64 = 0.5;
const FORCE: f64 = 0.001;
const GRAVITY: f64 = 0.0025;

/// Physics of the car with three gears.
#[derive(Debug, Clone, Copy, Default)]
pub struct MountainCar {
    /// Velocity needed at the goal.
    pub goal_velocity: f64,
}

impl Physics for MountainCar {
    const STATE: &'static [&'static str] = &["position", "velocity"];
    const WIDTH: usize = 2;
    type Action = i64;

    fn observation_space(&self) -> Space {
        Space::box_bounds(&[MIN_POSITION, -MAX_SPEED], &[MAX_POSITION, MAX_SPEED], &[2], DType::F32)
    }

    fn action_space(&self) -> Space {
        Space::discrete(3)
    }

    fn start(&self, generator: &mut Generator, state: &mut Lanes, lane: usize, observation: &mut [f32]) {
        let position = generator.uniform(-0.6, -0.4);
        for (variable, value) in state.iter_mut().zip([position, 0.0]) {
            variable[lane] = value;
        }
        observation.copy_from_slice(&[position as f32, 0.0]);
    }

    fn bad_action(&self, actions: &[i64]) -> Option<usize> {
        actions.iter().position(|action| !(0..3).contains(action))
    }

    fn advance(&self, actions: &[i64], state: &mut Lanes, out: Results<'_>) {
        let [position, velocity]: [&mut [f64]; 2] = split(state);
        let (observations, _) = out.observations.as_chunks_mut::<2>();
        let lanes = position.iter_mut().zip(velocity).zip(actions);
        for (((position, velocity), &action), (observation, terminated)) in
            lanes.zip(observations.iter_mut().zip(out.terminated))
        {
            (*position, *velocity) = drive(*position, *velocity, action);
            *terminated = *position >= GOAL_POSITION && *velocity >= self.goal_velocity;
            *observation = [*position as f32, *velocity as f32];
        }
        out.rewards.fill(-1.0);
    }

    fn draw(&self, state: &Lanes, lane: usize) -> Option<Scene> {
        Some(picture(state[0][lane], GOAL_POSITION))
    }
}

fn drive(position: f64, velocity: f64, action: i64) -> (f64, f64) {
    let velocity = velocity + ((action - 1) as f64 * FORCE + (3.0 * position).cos() * -GRAVITY);
    let velocity = velocity.clamp(-MAX_SPEED, MAX_SPEED);
    let position = (position + velocity).clamp(MIN_POSITION, MAX_POSITION);
    // The wall on the left stops the car.
    if position == MIN_POSITION && velocity < 0.0 { (position, 0.0) } else { (position, velocity) }
}
