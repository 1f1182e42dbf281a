//! Collecting: environments are stepped by the current policy and a rollout table comes out.
//!
//! Flows in: policies (weights, versioned), environments. Flows out: [`Rollout`](crate::contract::Rollout) and episode
//! statistics. Two runners fill the same table: [`vector_runner`] for environments in which one agent decides at every
//! step (the fast path, `[T, B]`), and [`agent_runner`] for everything else.

pub mod action_codec;
pub mod agent_runner;
pub mod environments;
pub mod episodes;
pub mod launch;
pub mod live;
pub mod normalizer;
pub mod observations;
pub mod rewards;
pub mod runner;
pub mod runner_options;
pub mod runner_state;
pub mod shard;
pub mod shared_table;
pub mod stage;
pub mod vector_runner;
pub mod whole_episodes;

pub use environments::{AgentSpaces, EnvironmentSpec, Environments};
pub(crate) use environments::{difference, told_apart};
pub use runner::EnvRunner;
pub use runner_options::RunnerOptions;
pub use shard::{RemoteShard, Shard, ShardFaults};
pub use shared_table::{RemoteEnvironments, SharedTable};
