//! The algorithms: each a folder with its options, loss, plan and pipeline. The only place that may use many rooms.

pub mod ppo;
