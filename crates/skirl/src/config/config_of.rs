//! The configuration of an algorithm: the common sections around its own section `training`.

use std::any::Any;

use serde_json::{Map, Value};

use super::algorithm::{AlgorithmConfig, from_value};
use super::common_config::CommonConfig;
use super::declare::Section;
use super::env_runners::EnvRunnersOptions;
use super::environment::EnvironmentOptions;
use super::error::{ConfigErrors, Problem};
use super::evaluation::EvaluationOptions;
use super::fault_tolerance::FaultToleranceOptions;
use super::multi_agent::MultiAgentOptions;
use super::rl_module::RlModuleOptions;
use super::rules;
use super::run_sections::{
    CheckpointingOptions, DebuggingOptions, LearnersOptions, ReportingOptions, ResourcesOptions,
};
use super::stop::StopCriteria;
use super::training::Training;
use super::value::Setting;

/// The configuration of the algorithm with the training options `T`, for example [`PpoConfig`](super::PpoConfig).
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigOf<T> {
    /// The sections that all algorithms have.
    pub common: CommonConfig,
    /// The loss and the optimizer.
    pub training: T,
    /// When the run stops.
    pub stop: StopCriteria,
}

impl<T: Training> Default for ConfigOf<T> {
    fn default() -> Self {
        let mut common = CommonConfig::default();
        T::other_defaults(&mut common);
        Self { common, training: T::default(), stop: StopCriteria::default() }
    }
}

/// One fluent method per section.
macro_rules! section_methods {
    ($($(#[doc = $doc:literal])+ $section:ident: $type:ty;)+) => {$(
        $(#[doc = $doc])+
        pub fn $section(mut self, edit: impl FnOnce($type) -> $type) -> Self {
            self.common.$section = edit(self.common.$section);
            self
        }
    )+};
}

impl<T: Training> ConfigOf<T> {
    /// RLlib's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The environment by name.
    pub fn environment(mut self, env: impl Into<String>) -> Self {
        self.common.environment.env = Some(env.into());
        self
    }

    /// Arguments for the environment's constructor.
    pub fn env_config(mut self, env_config: impl Setting<Map<String, Value>>) -> Self {
        self.common.environment.env_config = env_config.into_setting();
        self
    }

    /// Rewards and actions on their way, and the environment itself.
    pub fn environment_options(
        mut self,
        edit: impl FnOnce(EnvironmentOptions) -> EnvironmentOptions,
    ) -> Self {
        self.common.environment = edit(self.common.environment);
        self
    }

    section_methods! {
        /// How experience is collected.
        env_runners: EnvRunnersOptions;
        /// What happens when an environment runner fails.
        fault_tolerance: FaultToleranceOptions;
        /// Who learns.
        learners: LearnersOptions;
        /// Measuring the policy aside from training.
        evaluation: EvaluationOptions;
        /// Which policy acts for which agent.
        multi_agent: MultiAgentOptions;
        /// The networks.
        rl_module: RlModuleOptions;
        /// What one result covers.
        reporting: ReportingOptions;
        /// When the state is saved, and where.
        checkpointing: CheckpointingOptions;
        /// Seed and logging.
        debugging: DebuggingOptions;
        /// Threads.
        resources: ResourcesOptions;
    }

    /// The loss and the optimizer.
    pub fn training(mut self, edit: impl FnOnce(T) -> T) -> Self {
        self.training = edit(self.training);
        self
    }

    /// Stops the run once the metric is at least the threshold; may be called several times.
    pub fn stop(mut self, metric: &str, threshold: impl Into<f64>) -> Self {
        self.stop.set(metric, threshold.into());
        self
    }

    /// Checks every range and every rule between options.
    ///
    /// # Errors
    /// All that is wrong, at once.
    pub fn validate(&self) -> Result<(), ConfigErrors> {
        rules::check(self)
    }

    /// The whole configuration as JSON.
    pub fn to_value(&self) -> Value {
        AlgorithmConfig::to_value(self)
    }

    /// Reads what [`to_value`](Self::to_value) writes.
    ///
    /// # Errors
    /// Everything that cannot be read, and a configuration of another algorithm.
    pub fn from_value(value: &Value) -> Result<Self, ConfigErrors> {
        let config = from_value(value)?;
        let found = config.algorithm();
        let own = config.as_any().downcast_ref::<Self>().cloned();
        let problem = || {
            let expected = T::ALGORITHM;
            Problem::new(format!("this is a configuration of {found}, expected {expected}")).at("run", None)
        };
        own.ok_or_else(|| problem().into())
    }

    /// The configuration of one policy: this one with the policy's own options laid over it.
    ///
    /// # Errors
    /// Options that do not exist, are refused, or may not differ between policies.
    pub fn for_policy(&self, policy: &str) -> Result<Self, ConfigErrors> {
        let mut own = self.clone();
        let Some(overrides) = self.common.multi_agent.policies.0.get(policy) else {
            return Ok(own);
        };
        own.apply_json(&Value::Object(overrides.clone()), "")?;
        Ok(own)
    }
}

impl<T: Training> AlgorithmConfig for ConfigOf<T> {
    fn algorithm(&self) -> &'static str {
        T::ALGORITHM
    }

    fn common(&self) -> &CommonConfig {
        &self.common
    }

    fn common_mut(&mut self) -> &mut CommonConfig {
        &mut self.common
    }

    fn stop(&self) -> &StopCriteria {
        &self.stop
    }

    fn stop_mut(&mut self) -> &mut StopCriteria {
        &mut self.stop
    }

    fn sections(&self) -> Vec<&dyn Section> {
        let mut sections = self.common.sections();
        sections.insert(2, &self.training);
        sections.insert(3, self.training.optimizer_options());
        sections
    }

    fn section_mut(&mut self, path: &str) -> Option<&mut dyn Section> {
        match path {
            "training" => Some(&mut self.training),
            "training.optimizer" => Some(self.training.optimizer_options_mut()),
            _ => self.common.section_mut(path),
        }
    }

    fn validate(&self) -> Result<(), ConfigErrors> {
        rules::check(self)
    }

    fn clone_box(&self) -> Box<dyn AlgorithmConfig> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_dyn_mut(&mut self) -> &mut dyn AlgorithmConfig {
        self
    }
}
