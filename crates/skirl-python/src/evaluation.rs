//! Evaluation functions of the user's own, written in Python, by the name that a configuration holds.

use std::sync::Arc;

use pyo3::prelude::*;
use skirl::algorithm::{CustomEvaluation, register_evaluation_function as register};
use skirl::collect::EnvRunner;
use skirl::{Algorithm, Error};
use skirl_math::rng::StreamKey;

use crate::callbacks::results;
use crate::env::with_python;
use crate::lent::{self, Loan};
use crate::parts::NativeEnvRunner;

/// Registers `function(algorithm, runner)` under a name; it returns `(metrics, env_steps, agent_steps)`. One of the same
/// name is replaced; algorithms that were built keep theirs.
#[pyfunction]
pub(crate) fn register_evaluation_function(name: String, function: Py<PyAny>) {
    let key = name.clone();
    register(&key, move |algorithm, runner| {
        call(&function, algorithm, runner)
            .map_err(|error| Error::OwnEvaluation { name: name.clone(), source: error.into() })
    });
}

fn call(
    function: &Py<PyAny>,
    algorithm: &mut Algorithm,
    runner: &mut EnvRunner,
) -> PyResult<CustomEvaluation> {
    // As the engine seeded this evaluation.
    let root = StreamKey::root(algorithm.seed()).child("evaluation").index(algorithm.training_iteration());
    lent::lend(algorithm, |owner| {
        Loan::lend(runner, |loan| {
            with_python(|py| {
                let algorithm = lent::resolve(py, owner.as_deref())?;
                let runner = NativeEnvRunner::lent(Arc::clone(loan), root);
                let found = function.bind(py).call1((algorithm, runner))?;
                let (metrics, env_steps, agent_steps): (Bound<'_, PyAny>, u64, u64) = found.extract()?;
                results::expect_dict(&metrics, "the evaluation function")?;
                Ok(CustomEvaluation { results: results::from_dict(&metrics)?, env_steps, agent_steps })
            })
        })
    })
}
