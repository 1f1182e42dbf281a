//! Evaluation functions of the user's own, by name (RLlib: `custom_evaluation_function`).

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use super::steps_by_name::StepsByName;
use super::{Algorithm, EvaluateRequest};
use crate::collect::EnvRunner;
use crate::error::Error;
use crate::evaluate::Evaluation;
use crate::report::TrainResult;

/// What an own evaluation function gives back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CustomEvaluation {
    /// Metrics, which land under `evaluation/` in the iteration's result.
    pub results: TrainResult,
    /// Environment steps taken.
    pub env_steps: u64,
    /// Decisions of all agents; with one agent as many as environment steps.
    pub agent_steps: u64,
}

type Function = dyn Fn(&mut Algorithm, &mut EnvRunner) -> Result<CustomEvaluation, Error> + Send + Sync;

/// A registered evaluation function.
#[derive(Clone)]
pub(super) struct OwnEvaluation {
    name: String,
    function: Arc<Function>,
}

impl fmt::Debug for OwnEvaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnEvaluation({})", self.name)
    }
}

static FUNCTIONS: RwLock<BTreeMap<String, OwnEvaluation>> = RwLock::new(BTreeMap::new());

/// Registers an evaluation function under the name that `custom_evaluation_function` gives in a configuration, replacing
/// one of the same name.
///
/// The function is called with the algorithm and with the runner of the evaluation environments: fresh episodes, the
/// newest weights and observation statistics, streams that follow from the run's seed and iteration, `explore` as
/// `evaluation_config` says. It plays as it likes ([`EnvRunner::sample`], [`crate::evaluate::play`]), and says what it found.
pub fn register_evaluation_function(
    name: &str,
    function: impl Fn(&mut Algorithm, &mut EnvRunner) -> Result<CustomEvaluation, Error> + Send + Sync + 'static,
) {
    let own = OwnEvaluation { name: name.to_owned(), function: Arc::new(function) };
    // A panic elsewhere cannot leave the map half changed: every change is one insertion.
    FUNCTIONS.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), own);
}

/// The function that the configuration names.
pub(super) fn find(name: Option<&str>) -> Result<Option<OwnEvaluation>, Error> {
    let Some(name) = name else { return Ok(None) };
    let functions = FUNCTIONS.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(own) = functions.get(name) {
        return Ok(Some(own.clone()));
    }
    let known: Vec<&str> = functions.keys().map(String::as_str).collect();
    Err(Error::Misfit {
        what: "evaluation.custom_evaluation_function".to_owned(),
        expected: match known.as_slice() {
            [] => "the name of a registered function (there are none)".to_owned(),
            _ => format!("one of {}", known.join(", ")),
        },
        found: format!("'{name}'"),
        remedy: "Call register_evaluation_function before the algorithm is built or loaded, or set the option to none"
            .to_owned(),
    })
}

impl Algorithm {
    pub(super) fn evaluate_by_own_function(
        &mut self,
        request: &EvaluateRequest,
    ) -> Result<Evaluation, Error> {
        // Taken out while it runs: it must not call itself.
        let Some(own) = self.own_evaluation.take() else {
            return Err(Error::Internal("no evaluation function".to_owned()));
        };
        // Put back also where a panic goes on to somebody who catches it.
        let evaluation = catch_unwind(AssertUnwindSafe(|| self.call(&own, request)));
        self.own_evaluation = Some(own);
        evaluation.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn call(&mut self, own: &OwnEvaluation, request: &EvaluateRequest) -> Result<Evaluation, Error> {
        if let Some(episodes) = request.episodes {
            return Err(Error::Argument {
                what: "the number of episodes of this evaluation".to_owned(),
                expected: format!("none: the evaluation function '{}' decides how long it plays", own.name),
                found: episodes.to_string(),
                remedy: "Leave it out, or set evaluation.custom_evaluation_function to none".to_owned(),
            });
        }
        let task = self.evaluation_task(request);
        let mut evaluator = self.take_evaluator(task.duration)?;
        let call = || {
            evaluator.prepare(task)?;
            let custom = (own.function)(self, evaluator.runner_mut())?;
            evaluator.commit()?;
            Ok::<_, Error>((custom, evaluator.faults()))
        };
        let called = catch_unwind(AssertUnwindSafe(call));
        self.keep_evaluator(evaluator);
        let called = called.unwrap_or_else(|panic| resume_unwind(panic));
        let (CustomEvaluation { mut results, env_steps, agent_steps }, faults) = called?;
        results.set("env_runners/num_env_steps_sampled", env_steps);
        if let [only] = self.plan.mapping.as_slice() {
            // With several agents the function tells their sum alone.
            StepsByName::of_one(only, agent_steps).report_into(&mut results, "env_runners", "");
        }
        Ok(Evaluation { env_steps, custom: Some(results), faults, ..Evaluation::default() })
    }
}
