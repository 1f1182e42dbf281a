//! The wrappers that `gymnasium.make` puts around an environment: what they do in a step is done here, and the environment inside
//! is called directly. `python/skirl/env/_layers.py` says of which wrappers that is true.
//!
//! Everything else about them stays as it is: resets, rendering and closing go through them, and their counters are right
//! for whoever can look at them, so an environment is found as if all calls had gone through.

use std::cell::Cell;

use pyo3::exceptions::PyAttributeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use super::method::call_method_with;
use super::object::references;

/// Observation, reward, two flags, info.
const STEP_VALUES: usize = 5;

/// Gymnasium's wrappers, where their `step` does what is done here.
pub(super) struct KnownWrappers {
    limit: Known,
    order: Known,
    checker: Known,
}

/// A class and its `step`; none where it is another than we know.
type Known = Option<(Py<PyType>, Py<PyAny>)>;

/// References to a wrapper that only what is around it refers to: that one, and the look at it.
const PRIVATE: isize = 2;

/// A `TimeLimit` that is not called.
struct Limit {
    /// The wrapper's attributes.
    attributes: Py<PyDict>,
    max: i64,
    /// The steps of the episode, of which the wrapper learns when the environment is handed on: while nobody else can reach
    /// it. None where others may look at it, or set it, at any time.
    private: Option<Cell<i64>>,
}

/// How an environment is stepped: what is called, and what is done in place of the wrappers around that.
pub(super) struct Way {
    env: Py<PyAny>,
    /// From the inside to the outside.
    limits: Vec<Limit>,
    /// A checker waits for its first step, so there is more to leave out after that.
    unsettled: bool,
}

impl KnownWrappers {
    /// Asks Python.
    pub(super) fn ask(py: Python<'_>) -> PyResult<Self> {
        let known = py.import("skirl.env._layers")?.call_method0("known")?;
        let (limit, order, checker) = known.extract::<[Known; 3]>()?.into();
        Ok(Self { limit, order, checker })
    }
}

fn is(layer: &Bound<'_, PyAny>, known: &Known) -> PyResult<bool> {
    let py = layer.py();
    let Some((class, step)) = known else { return Ok(false) };
    if !layer.get_type().is(class) {
        return Ok(false);
    }
    // Neither the class nor this object was given another one since.
    let bound = layer.getattr(intern!(py, "step"))?;
    let function = bound.getattr_opt(intern!(py, "__func__"))?;
    let owner = bound.getattr_opt(intern!(py, "__self__"))?;
    Ok(function.is_some_and(|function| function.is(step)) && owner.is_some_and(|owner| owner.is(layer)))
}

impl Way {
    /// Goes through all wrappers.
    pub(super) fn whole(env: &Bound<'_, PyAny>) -> Self {
        Self { env: env.clone().unbind(), limits: Vec::new(), unsettled: false }
    }

    /// Leaves out as many wrappers as can be; for an environment whose episode has begun. The caller holds one reference to
    /// it.
    pub(super) fn shortest(env: &Bound<'_, PyAny>, known: &KnownWrappers) -> PyResult<Self> {
        let py = env.py();
        let (mut layer, mut limits, mut unsettled) = (env.clone(), Vec::new(), false);
        let mut private = true;
        loop {
            // Who holds a wrapper reaches those inside of it, but not those around it.
            private &= references(&layer) == PRIVATE;
            let passed = if is(&layer, &known.limit)? {
                let limit = Limit::of(&layer, private)?;
                let counts = limit.is_some();
                limits.extend(limit);
                counts
            } else if is(&layer, &known.order)? {
                is_true(&layer.getattr(intern!(py, "_has_reset"))?)
            } else if is(&layer, &known.checker)? {
                unsettled = !is_true(&layer.getattr(intern!(py, "checked_step"))?);
                !unsettled
            } else {
                false
            };
            if !passed {
                break;
            }
            layer = layer.getattr(intern!(py, "env"))?;
        }
        limits.reverse();
        Ok(Self { env: layer.unbind(), limits, unsettled })
    }

    /// Takes a step; what the outermost wrapper that is called returned. [`count`](Self::count) must follow if that is a
    /// step's five values.
    pub(super) fn step<'py>(&self, action: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = action.py();
        let returned = call_method_with(self.env.bind(py), intern!(py, "step"), action)?;
        // `TimeLimit` makes a tuple of whatever holds five values.
        if self.limits.is_empty() || returned.is_exact_instance_of::<PyTuple>() {
            return Ok(returned);
        }
        let values = returned.try_iter().and_then(Iterator::collect::<PyResult<Vec<_>>>);
        match values {
            Ok(values) if values.len() == STEP_VALUES => Ok(PyTuple::new(py, values)?.into_any()),
            _ => Ok(returned),
        }
    }

    /// Counts a step that succeeded; whether a time limit ends the episode with it.
    pub(super) fn count(&self, py: Python<'_>) -> PyResult<bool> {
        let mut reached = false;
        for limit in &self.limits {
            reached |= limit.count(py)?;
        }
        Ok(reached)
    }

    /// Tells the wrappers what was counted, before others get hold of the environment. Another way must be looked for then:
    /// they may count on.
    pub(super) fn settle(&self, py: Python<'_>) {
        for limit in &self.limits {
            if let Err(error) = limit.settle(py) {
                error.write_unraisable(py, Some(self.env.bind(py)));
            }
        }
    }

    /// Whether there may be a shorter way after this step.
    pub(super) fn is_unsettled(&self) -> bool {
        self.unsettled
    }
}

impl Limit {
    /// `None` where the wrapper is in no episode, or was given strange limits.
    fn of(wrapper: &Bound<'_, PyAny>, private: bool) -> PyResult<Option<Self>> {
        let py = wrapper.py();
        let attributes = wrapper.getattr(intern!(py, "__dict__"))?.cast_into::<PyDict>()?;
        let max = wrapper.getattr(intern!(py, "_max_episode_steps"))?.extract();
        let elapsed = attributes.get_item(intern!(py, "_elapsed_steps"))?.map(|elapsed| elapsed.extract());
        let (Ok(max), Some(Ok(elapsed))) = (max, elapsed) else { return Ok(None) };
        let private = private.then(|| Cell::new(elapsed));
        Ok(Some(Self { attributes: attributes.unbind(), max, private }))
    }

    fn count(&self, py: Python<'_>) -> PyResult<bool> {
        let elapsed = match &self.private {
            Some(elapsed) => {
                elapsed.set(elapsed.get() + 1);
                elapsed.get()
            }
            None => self.count_openly(py)?,
        };
        Ok(elapsed >= self.max)
    }

    /// Counts in the wrapper itself: whoever holds it may step it, or set its counter.
    fn count_openly(&self, py: Python<'_>) -> PyResult<i64> {
        let (attributes, name) = (self.attributes.bind(py), intern!(py, "_elapsed_steps"));
        let before = attributes.get_item(name)?.ok_or_else(|| PyAttributeError::new_err("_elapsed_steps"))?;
        let elapsed = before.extract::<i64>()? + 1;
        attributes.set_item(name, elapsed)?;
        Ok(elapsed)
    }

    fn settle(&self, py: Python<'_>) -> PyResult<()> {
        let Some(elapsed) = &self.private else { return Ok(()) };
        self.attributes.bind(py).set_item(intern!(py, "_elapsed_steps"), elapsed.get())
    }
}

fn is_true(value: &Bound<'_, PyAny>) -> bool {
    value.is(pyo3::types::PyBool::new(value.py(), true))
}
