//! The state of Python environments as columns.

use numpy::PyUntypedArray;
use pyo3::prelude::*;
use skirl_env::state::{nest, nested};
use skirl_env::{Column, EnvError, EnvState};

use super::array;
use super::fault::describe;

/// The entry with the JSON; arrays stand beside it under their numbers.
const JSON: &str = "json";

/// Adds what every environment saves of itself; `false` if one of them cannot.
pub(super) fn save<'a>(
    py: Python<'_>,
    envs: impl Iterator<Item = &'a Py<PyAny>>,
    state: &mut EnvState,
) -> bool {
    for (index, env) in envs.enumerate() {
        match save_one(env.bind(py)) {
            Ok(Some(own)) => nest(state, &index.to_string(), own),
            Ok(None) => return false,
            Err(error) => {
                // A checkpoint is written nevertheless, and says that episodes restart.
                error.write_unraisable(py, Some(env.bind(py)));
                return false;
            }
        }
    }
    true
}

fn save_one(env: &Bound<'_, PyAny>) -> PyResult<Option<EnvState>> {
    let saved = env.py().import("skirl.env._state")?.call_method1("save", (env,))?;
    let Some((text, arrays)): Option<(String, Vec<Bound<'_, PyAny>>)> = saved.extract()? else {
        return Ok(None);
    };
    let mut state = EnvState::from([(JSON.to_owned(), Column::U8(text.into_bytes()))]);
    for (number, array) in arrays.iter().enumerate() {
        let Some(column) = array::to_column(array.cast::<PyUntypedArray>()?)? else { return Ok(None) };
        state.insert(number.to_string(), column);
    }
    Ok(Some(state))
}

/// Gives environment `index` its part of the state.
pub(super) fn restore(env: &Bound<'_, PyAny>, state: &EnvState, index: usize) -> Result<(), EnvError> {
    let own = nested(state, &index.to_string());
    let bad = |found: &str| EnvError::BadState {
        field: format!("{index}/{JSON}"),
        expected: "the state of a Python environment".to_owned(),
        found: found.to_owned(),
    };
    let Some(Column::U8(bytes)) = own.get(JSON) else { return Err(bad("absent")) };
    let text = std::str::from_utf8(bytes).map_err(|_| bad("no text"))?;
    let py = env.py();
    let restored = || -> PyResult<()> {
        let mut arrays = Vec::new();
        while let Some(column) = own.get(&arrays.len().to_string()) {
            arrays.push(array::fresh(py, &column.as_ref(), &[column.len()])?);
        }
        py.import("skirl.env._state")?.call_method1("restore", (env, text, arrays))?;
        Ok(())
    };
    restored().map_err(|error| {
        EnvError::foreign(format!("the saved state was not accepted: {}", describe(py, &error)), error)
    })
}
