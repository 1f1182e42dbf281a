//! The sections that all algorithms have.

use super::declare::Section;
use super::env_runners::EnvRunnersOptions;
use super::environment::EnvironmentOptions;
use super::evaluation::EvaluationOptions;
use super::fault_tolerance::FaultToleranceOptions;
use super::multi_agent::MultiAgentOptions;
use super::rl_module::RlModuleOptions;
use super::run_sections::{
    CallbacksOptions, CheckpointingOptions, DebuggingOptions, LearnersOptions, ReportingOptions,
    ResourcesOptions,
};

/// The sections that all algorithms have.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CommonConfig {
    /// What the agent acts in.
    pub environment: EnvironmentOptions,
    /// How experience is collected.
    pub env_runners: EnvRunnersOptions,
    /// What happens when an environment runner fails.
    pub fault_tolerance: FaultToleranceOptions,
    /// Who learns.
    pub learners: LearnersOptions,
    /// Measuring the policy aside from training.
    pub evaluation: EvaluationOptions,
    /// Which policy acts for which agent.
    pub multi_agent: MultiAgentOptions,
    /// The networks.
    pub rl_module: RlModuleOptions,
    /// The user's own code in the run.
    pub callbacks: CallbacksOptions,
    /// What one result covers.
    pub reporting: ReportingOptions,
    /// When the state is saved, and where.
    pub checkpointing: CheckpointingOptions,
    /// Reproducibility and logging.
    pub debugging: DebuggingOptions,
    /// What the run may use of the machine.
    pub resources: ResourcesOptions,
}

impl CommonConfig {
    /// The sections in order.
    pub fn sections(&self) -> Vec<&dyn Section> {
        vec![
            &self.environment,
            &self.env_runners,
            &self.fault_tolerance,
            &self.learners,
            &self.evaluation,
            &self.evaluation.evaluation_config,
            &self.multi_agent,
            &self.rl_module,
            &self.callbacks,
            &self.reporting,
            &self.checkpointing,
            &self.debugging,
            &self.resources,
        ]
    }

    /// The section at a dotted path; `None` when there is no such section.
    pub(super) fn section_mut(&mut self, path: &str) -> Option<&mut dyn Section> {
        Some(match path {
            "environment" => &mut self.environment,
            "env_runners" => &mut self.env_runners,
            "fault_tolerance" => &mut self.fault_tolerance,
            "learners" => &mut self.learners,
            "evaluation" => &mut self.evaluation,
            "evaluation.evaluation_config" => &mut self.evaluation.evaluation_config,
            "multi_agent" => &mut self.multi_agent,
            "rl_module" => &mut self.rl_module,
            "callbacks" => &mut self.callbacks,
            "reporting" => &mut self.reporting,
            "checkpointing" => &mut self.checkpointing,
            "debugging" => &mut self.debugging,
            "resources" => &mut self.resources,
            _ => return None,
        })
    }
}
