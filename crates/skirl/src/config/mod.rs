//! What users write: RLlib's sections and option names, one definition per option.
//!
//! Each option is defined once, by the `options!` macro of `declare.rs`: name, type, default, range, unit, names elsewhere and
//! documentation. From that come the struct fields and fluent setters, the reading of TOML, YAML, JSON and `--set`, the error
//! messages, the help text, the JSON schema and `docs/configuration.md`.
//!
//! The way of a value: file or flag → [`load_file`], [`AlgorithmConfig::apply_json`] or [`AlgorithmConfig::apply_set`] →
//! typed fields → [`AlgorithmConfig::validate`] → the plan. Everything that is wrong is reported at once ([`ConfigErrors`]).

mod a2c;
mod algorithm;
mod apply;
mod choices;
mod common_config;
mod config_of;
mod declare;
mod env_runners;
mod environment;
mod error;
mod evaluation;
mod fault_tolerance;
mod file;
mod file_toml;
mod file_yaml;
mod metric_names;
mod mixed;
mod multi_agent;
mod names;
mod not_served;
mod pg;
mod ppo;
mod reference;
mod rl_module;
mod rules;
mod run_sections;
mod schema;
mod spec;
mod stop;
mod training;
mod value;

pub use a2c::{A2cConfig, A2cTraining};
pub use algorithm::{AlgorithmConfig, AlgorithmInfo, algorithms, for_algorithm, from_value};
pub use choices::{
    Activation, BatchMode, CountStepsBy, DurationUnit, GradClipBy, Initializer, LogLevel, ObservationFilter,
    OptimizerType, ScoreOrder, StandardizeAdvantages,
};
pub use common_config::CommonConfig;
pub use config_of::ConfigOf;
pub use declare::Section;
pub use env_runners::EnvRunnersOptions;
pub use environment::EnvironmentOptions;
pub use error::{ConfigError, ConfigErrors, Origin, Problem};
pub use evaluation::{EvaluationOptions, EvaluationOverrides};
pub use fault_tolerance::FaultToleranceOptions;
pub use file::{FileFormat, load_file, load_text};
pub(crate) use metric_names::check_unaided;
pub use mixed::{ClipRewards, RolloutFragmentLength, ScheduleSpec};
pub use multi_agent::{DEFAULT_POLICY, MultiAgentOptions, Policies, PolicyMapping};
pub use pg::{PgConfig, PgTraining};
pub use ppo::{PpoConfig, PpoTraining};
pub use reference::{help, markdown, reference};
pub use rl_module::RlModuleOptions;
pub use run_sections::{
    CallbacksOptions, CheckpointingOptions, DebuggingOptions, LearnersOptions, ReportingOptions,
    ResourcesOptions,
};
pub use schema::json_schema;
pub use spec::{Bounds, OptionSpec};
pub use stop::{StopCriteria, StopReason};
pub use training::{CriticOptions, HasOptimizer, OptimizerOptions, Training, UpdateOptions};
pub use value::{OptionValue, Setting};
