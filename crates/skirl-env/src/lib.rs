//! Environments for skirl: the contract for their authors, spaces, a registry, and native environments that equal
//! Gymnasium's bit for bit.
//!
//! **In** flow actions, as columns of one of eleven element types (one column for each leaf of the action space, one row
//! for each environment). **Out** flow observations (written into the caller's columns), rewards, and the flags
//! `terminated` and `truncated`, which are never merged. Nothing is reset behind the caller's back.
//!
//! ```
//! use skirl_env::column::{column_muts, column_refs};
//! use skirl_env::{EnvContext, Outcomes, make_vec};
//!
//! # fn main() -> Result<(), skirl_env::EnvError> {
//! let mut envs = make_vec("CartPole-v1", 2, &EnvContext::default())?;
//! let mut observations = envs.observation_space().columns(2);
//! let mut actions = envs.action_space().columns(2);
//! let mut outcomes = Outcomes::default();
//! for env in 0..2 {
//!     envs.reset(env, Some(env as u64), &mut column_muts(&mut observations))?;
//! }
//! actions[0] = vec![0_i64, 1].into();
//! envs.step(&column_refs(&actions), &mut column_muts(&mut observations), &mut outcomes)?;
//! assert_eq!(outcomes.rewards, [1.0, 1.0]);
//! # Ok(())
//! # }
//! ```

mod builtin;
pub mod check;
pub mod classic;
pub mod column;
mod dtype;
mod env;
pub mod env_config;
mod episode_clock;
mod error;
mod live;
mod multi_agent;
pub mod probe;
pub mod registry;
mod row;
pub mod scene;
pub mod seeding;
pub mod shared_state;
pub mod space;
pub mod state;
mod suggest;
pub mod testing;
mod two_cart_poles;
mod vector;
mod vector_of_one;
pub mod wrappers;

pub use column::{Column, ColumnMut, ColumnRef, Element};
pub use dtype::DType;
pub use env::{Env, EnvState, Step};
pub use episode_clock::EpisodeClock;
pub use error::{EnvError, ForeignError, Place};
pub use live::{LiveEnv, TaskChange};
pub use multi_agent::{AgentActions, AgentIndex, AgentStep, DEFAULT_AGENT, MultiAgentEnv, SingleAsMulti};
pub use registry::{
    AnyEnv, EnvContext, EnvInfo, EnvSpec, info, make, make_any, make_multi, make_vec, make_with, names,
    register, register_env, register_env_with, register_multi_agent_env,
};
pub use row::{Row, RowRef};
pub use scene::{Scene, Shape, View};
pub use seeding::Generator;
pub use shared_state::SharedState;
pub use space::{BoxSpace, Discrete, Leaf, MultiDiscrete, Space, SpaceError};
pub use two_cart_poles::TwoCartPoles;
pub use vector::{Outcomes, VectorEnv, Vectorized};
