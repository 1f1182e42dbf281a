//! `Pendulum-v1`: swing a pendulum up and hold it there with little torque.
//!
//! As in Gymnasium's `pendulum.py`: angle θ (0 is upright) and angular velocity, semi-implicit Euler steps of 0.05 s.
//!
//! Observation: cos θ, sin θ, angular velocity (rad/s, ±8). Action: torque (N m), clipped to ±2. Reward:
//! `-(θ² + 0.1 θ̇² + 0.001 torque²)` with θ in [-π, π). Never terminates.

use std::f64::consts::{PI, TAU};

use super::native::{Lanes, Physics, Results, split};
use super::numpy::{power2, power2_f32, remainder};
use crate::dtype::DType;
use crate::seeding::Generator;
use crate::space::Space;

const MAX_SPEED: f64 = 8.0;
const MAX_TORQUE: f32 = 2.0;
const TIME_STEP: f64 = 0.05;

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
    /// The sine is kept from the observation: the next step needs it.
    const STATE: &'static [&'static str] = &["theta", "theta_dot", "sin_theta"];
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
        for (variable, value) in state.iter_mut().zip([theta, speed, sine]) {
            variable[lane] = value;
        }
        observation.copy_from_slice(&[cosine as f32, sine as f32, speed as f32]);
    }

    fn bad_action(&self, actions: &[f32]) -> Option<usize> {
        actions.iter().position(|action| !action.is_finite())
    }

    fn advance(&self, actions: &[f32], state: &mut Lanes, out: Results<'_>) {
        let [theta, theta_dot, sin_theta]: [&mut [f64]; 3] = split(state);
        let (observations, _) = out.observations.as_chunks_mut::<3>();
        let pull = 3.0 * self.g / 2.0;
        for lane in 0..actions.len() {
            let torque = actions[lane].clamp(-MAX_TORQUE, MAX_TORQUE);
            let angle = remainder(theta[lane] + PI, TAU) - PI;
            let costs = power2(angle) + 0.1 * power2(theta_dot[lane]) + f64::from(0.001 * power2_f32(torque));
            let speed = theta_dot[lane] + (pull * sin_theta[lane] + f64::from(3.0 * torque)) * TIME_STEP;
            let speed = speed.clamp(-MAX_SPEED, MAX_SPEED);
            theta[lane] += speed * TIME_STEP;
            theta_dot[lane] = speed;
            let (sine, cosine) = theta[lane].sin_cos();
            sin_theta[lane] = sine;
            observations[lane] = [cosine as f32, sine as f32, speed as f32];
            out.rewards[lane] = -costs;
            out.terminated[lane] = false;
        }
    }
}
