//! `CartPole-v0` and `CartPole-v1`: balance a pole on a cart that is pushed left or right.
//!
//! Barto, Sutton and Anderson, "Neuronlike adaptive elements that can solve difficult learning control problems", 1983;
//! equations of motion as in Gymnasium's `cartpole.py`, explicit Euler steps of 0.02 s.
//!
//! Observation: cart position (m), cart velocity (m/s), pole angle (rad), pole angular velocity (rad/s). Action: 0 pushes
//! left, 1 right. Reward: 1 for each step. Terminates when the cart leaves ±2.4 m or the pole ±12°.

use std::f64::consts::PI;

use super::native::{Lanes, Physics, Results, split};
use crate::dtype::DType;
use crate::scene::{Scene, View, turned_box};
use crate::seeding::Generator;
use crate::space::Space;

const GRAVITY: f64 = 9.8;
const POLE_MASS: f64 = 0.1;
const TOTAL_MASS: f64 = POLE_MASS + 1.0;
/// Half the pole's length.
const LENGTH: f64 = 0.5;
const POLE_MOMENT: f64 = POLE_MASS * LENGTH;
const FORCE: f64 = 10.0;
const TAU: f64 = 0.02;
const ANGLE_LIMIT: f64 = 12.0 * 2.0 * PI / 360.0;
const POSITION_LIMIT: f64 = 2.4;
/// Lanes whose sines and cosines are computed before their arithmetic: enough for vector registers, few enough for L1.
const BLOCK: usize = 64;

/// Physics of the cart and pole.
#[derive(Debug, Clone, Copy, Default)]
pub struct CartPole {
    /// Reward 0 for each step and -1 at the fall, as in the original paper, instead of 1 for each step.
    pub sutton_barto_reward: bool,
}

impl Physics for CartPole {
    const STATE: &'static [&'static str] = &["x", "x_dot", "theta", "theta_dot"];
    const WIDTH: usize = 4;
    type Action = i64;

    fn observation_space(&self) -> Space {
        let high = [POSITION_LIMIT * 2.0, f64::INFINITY, ANGLE_LIMIT * 2.0, f64::INFINITY];
        Space::box_bounds(&high.map(|bound| -bound), &high, &[4], DType::F32)
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn start(&self, generator: &mut Generator, state: &mut Lanes, lane: usize, observation: &mut [f32]) {
        for (variable, observed) in state.iter_mut().zip(observation) {
            variable[lane] = generator.uniform(-0.05, 0.05);
            *observed = variable[lane] as f32;
        }
    }

    fn bad_action(&self, actions: &[i64]) -> Option<usize> {
        // Combining all bits vectorises; the search is for the error only.
        if actions.iter().fold(0, |all, action| all | action) as u64 <= 1 {
            return None;
        }
        actions.iter().position(|action| !(0..=1).contains(action))
    }

    fn advance(&self, actions: &[i64], state: &mut Lanes, out: Results<'_>) {
        let variables: [&mut [f64]; 4] = split(state);
        let [x, x_dot, theta, theta_dot] = variables.map(|variable| variable.chunks_mut(BLOCK));
        let (observations, _) = out.observations.as_chunks_mut::<4>();
        let results = observations.chunks_mut(BLOCK).zip(out.terminated.chunks_mut(BLOCK));
        let state = x.zip(x_dot).zip(theta.zip(theta_dot));
        for ((actions, ((x, x_dot), (theta, theta_dot))), (observations, terminated)) in
            actions.chunks(BLOCK).zip(state).zip(results)
        {
            advance_block(actions, [x, x_dot, theta, theta_dot], observations, terminated);
        }
        self.reward(out.terminated, out.rewards);
    }

    fn draw(&self, state: &Lanes, lane: usize) -> Option<Scene> {
        Some(picture(state[0][lane], state[2][lane]))
    }
}

/// Gymnasium's picture: 600 × 400 pixels, 125 of them to the metre, cart of 50 × 30, pole as long as the physics says.
fn picture(x: f64, theta: f64) -> Scene {
    let width = 2.0 * POSITION_LIMIT;
    let pixel = width / 600.0;
    let view = View { left: -POSITION_LIMIT, right: POSITION_LIMIT, bottom: 0.0, top: 400.0 * pixel };
    let track = 100.0 * pixel;
    let axle = [x, track + 7.5 * pixel];
    let cart = [-25.0, 25.0, -15.0, 15.0].map(|side| side * pixel);
    let thin = 5.0 * pixel;
    // The track goes through the middle of a row of pixels: a crisp line.
    let rail = track + 0.5 * pixel;
    Scene::new(view, [600, 400], 1.0 / TAU)
        .polygon(&turned_box(cart, 0.0, [x, track]), [0, 0, 0])
        .polygon(&turned_box([-thin, thin, -thin, 2.0 * LENGTH - thin], -theta, axle), [202, 152, 101])
        .disc(axle, thin, [129, 132, 203])
        .line(&[[view.left, rail], [view.right, rail]], pixel, [0, 0, 0])
}

impl CartPole {
    fn reward(self, terminated: &[bool], rewards: &mut [f64]) {
        if !self.sutton_barto_reward {
            return rewards.fill(1.0);
        }
        for (reward, &terminated) in rewards.iter_mut().zip(terminated) {
            *reward = if terminated { -1.0 } else { 0.0 };
        }
    }
}

/// One Euler step of at most [`BLOCK`] lanes. Sines and cosines first, so that the rest vectorises.
fn advance_block(
    actions: &[i64],
    [x, x_dot, theta, theta_dot]: [&mut [f64]; 4],
    observations: &mut [[f32; 4]],
    terminated: &mut [bool],
) {
    let lanes = actions.len();
    let (mut sines, mut cosines) = ([0.0; BLOCK], [0.0; BLOCK]);
    for ((sine, cosine), theta) in sines.iter_mut().zip(&mut cosines).zip(theta.iter()) {
        (*sine, *cosine) = theta.sin_cos();
    }
    // Equal lengths, known to the compiler, leave no bounds checks in the loop.
    let (sines, cosines) = (&sines[..lanes], &cosines[..lanes]);
    let (x, x_dot) = (&mut x[..lanes], &mut x_dot[..lanes]);
    let (theta, theta_dot) = (&mut theta[..lanes], &mut theta_dot[..lanes]);
    let (observations, terminated) = (&mut observations[..lanes], &mut terminated[..lanes]);
    for lane in 0..lanes {
        let (sine, cosine) = (sines[lane], cosines[lane]);
        let force = if actions[lane] == 1 { FORCE } else { -FORCE };
        let push = (force + POLE_MOMENT * (theta_dot[lane] * theta_dot[lane]) * sine) / TOTAL_MASS;
        let angular = (GRAVITY * sine - cosine * push)
            / (LENGTH * (4.0 / 3.0 - POLE_MASS * (cosine * cosine) / TOTAL_MASS));
        let linear = push - POLE_MOMENT * angular * cosine / TOTAL_MASS;
        x[lane] += TAU * x_dot[lane];
        x_dot[lane] += TAU * linear;
        theta[lane] += TAU * theta_dot[lane];
        theta_dot[lane] += TAU * angular;
        // Symmetric limits: the same comparisons as Gymnasium's four, without branches.
        let fallen = u8::from(x[lane].abs() > POSITION_LIMIT) | u8::from(theta[lane].abs() > ANGLE_LIMIT);
        terminated[lane] = fallen != 0;
        observations[lane] = [x[lane] as f32, x_dot[lane] as f32, theta[lane] as f32, theta_dot[lane] as f32];
    }
}
