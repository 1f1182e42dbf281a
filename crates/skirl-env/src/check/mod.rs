//! A checker for environments: runs one for many steps and reports, in plain words, what would hurt a learner.

mod rules;
mod trace;

use crate::env::Env;
use crate::error::EnvError;

/// How much to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckOptions {
    /// Steps of the random rollouts.
    pub steps: usize,
    /// Seed of the rollouts and their actions.
    pub seed: u64,
}

impl Default for CheckOptions {
    fn default() -> CheckOptions {
        CheckOptions { steps: 2000, seed: 0 }
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Suspicious, but legal.
    Warning,
    /// Against the contract of [`Env`].
    Error,
}

/// What the checker looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Check {
    /// Spaces make sense and stay the same.
    Spaces,
    /// `reset` and `step` succeed on legal input.
    Runs,
    /// Observations belong to their space.
    Observations,
    /// Every element of an observation is written.
    Unwritten,
    /// Rewards are finite.
    Rewards,
    /// The same seed and actions give the same episode.
    Determinism,
    /// Seeds make a difference.
    Seeds,
    /// `reset` without a seed goes on with the generator.
    UnseededReset,
    /// Episodes end.
    Ends,
    /// Steps after the end are refused.
    StepAfterEnd,
    /// Actions outside the space are refused.
    InvalidActions,
    /// `save_state` and `restore_state` resume exactly.
    Resume,
}

/// One thing the checker found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at.
    pub check: Check,
    /// What was expected, what was found, where, and what to do.
    pub message: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(formatter, "{severity}: {}", self.message)
    }
}

impl Finding {
    fn error(check: Check, message: impl Into<String>) -> Finding {
        Finding { severity: Severity::Error, check, message: message.into() }
    }

    fn warning(check: Check, message: impl Into<String>) -> Finding {
        Finding { severity: Severity::Warning, check, message: message.into() }
    }

    fn failed(what: &str, error: &EnvError) -> Finding {
        Finding::error(Check::Runs, format!("{what} failed: {error}"))
    }
}

/// Runs the environment and reports what it finds; an empty list is a clean bill.
///
/// ```
/// use skirl_env::check::{CheckOptions, check_env};
/// let mut env = skirl_env::make("CartPole-v1")?;
/// assert_eq!(check_env(&mut env, CheckOptions::default()), []);
/// # Ok::<(), skirl_env::EnvError>(())
/// ```
pub fn check_env(env: &mut dyn Env, options: CheckOptions) -> Vec<Finding> {
    let findings = rules::spaces(env);
    // Nothing can be run, or sampled, with senseless spaces.
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return findings;
    }
    let mut findings = findings;
    for rule in rules::ALL {
        match rule(env, options) {
            Ok(found) => findings.extend(found),
            Err(finding) => {
                findings.push(finding);
                // What cannot run gives every other rule the same error.
                return findings;
            }
        }
    }
    findings
}
