//! Configurations: read, checked and written by the engine; Python's classes are a face of this.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Map, Value, json};
use skirl::config::{self, AlgorithmConfig, ConfigError as Problem, ConfigErrors, OptionSpec};

use crate::call::detached;
use crate::errors::ConfigError;
use crate::value::{from_python, map_to_python, to_python};

/// What is wrong with a configuration: path of the option and message.
type Problems = Vec<(String, String)>;

/// One configuration of one algorithm.
#[pyclass(module = "skirl._native", frozen)]
pub(crate) struct NativeConfig {
    pub(crate) inner: Box<dyn AlgorithmConfig>,
}

#[pymethods]
impl NativeConfig {
    /// The defaults of an algorithm.
    #[new]
    fn new(algorithm: &str) -> PyResult<Self> {
        Ok(Self { inner: config::for_algorithm(algorithm).map_err(raise)? })
    }

    /// A whole configuration as `to_dict` gives it.
    #[staticmethod]
    fn from_dict(document: &Bound<'_, PyAny>) -> PyResult<Self> {
        let document = from_python(document, "config")?;
        Ok(Self { inner: config::from_value(&document).map_err(raise)? })
    }

    /// The configuration in a file of TOML, YAML or JSON; errors name line and column.
    #[staticmethod]
    fn from_file(path: PathBuf) -> PyResult<Self> {
        Ok(Self { inner: config::load_file(&path).map_err(raise)? })
    }

    /// A copy with these options set, and the problems that arose: `(path, message)` each. `section` is where they belong;
    /// without one they are sections with options, or flat names. Options without a problem are taken.
    fn with_options(&self, section: Option<&str>, options: &Bound<'_, PyDict>) -> PyResult<(Self, Problems)> {
        let (mut document, mut problems) = (Map::new(), Vec::new());
        for (name, value) in options {
            let name: String = name.str()?.extract()?;
            let path = section.map_or_else(|| name.clone(), |section| format!("{section}.{name}"));
            match from_python(&value, &path) {
                Ok(value) => drop(document.insert(name, value)),
                // What cannot be converted is one problem among the others.
                Err(error) => problems.push((path, error.value(options.py()).to_string())),
            }
        }
        let document = match section {
            Some(section) => json!({ section: document }),
            None => Value::Object(document),
        };
        let mut inner = self.inner.clone_box();
        let refused = inner.apply_json(&document, "").err().map_or_else(Vec::new, |errors| errors.0);
        problems.extend(refused.iter().map(problem));
        Ok((Self { inner }, problems))
    }

    /// A copy with the option at a dotted path set, and the problems that arose.
    fn with_value(&self, path: &str, value: &Bound<'_, PyAny>) -> (Self, Problems) {
        let mut inner = self.inner.clone_box();
        let problems = match from_python(value, path) {
            Ok(value) => inner.apply(path, &value).err().map_or_else(Vec::new, |errors| errors.0),
            Err(error) => {
                return (Self { inner }, vec![(path.to_owned(), error.value(value.py()).to_string())]);
            }
        };
        (Self { inner }, problems.iter().map(problem).collect())
    }

    /// The plan in words: builds one environment to learn its spaces.
    fn explain(&self, py: Python<'_>) -> PyResult<String> {
        let config = self.inner.clone_box();
        detached(py, move || Ok(skirl::plan::explain(&*config)?.to_string()))
    }

    /// For `pickle` and `copy`.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyDict>,))> {
        Ok((py.get_type::<Self>().getattr("from_dict")?, (self.to_dict(py)?,)))
    }

    /// What is wrong between options: `(path, message)` each.
    fn problems(&self) -> Problems {
        self.inner.validate().err().map_or_else(Vec::new, |errors| errors.0.iter().map(problem).collect())
    }

    /// The value of an option by its dotted path, `None` where there is no such option.
    fn get<'py>(&self, py: Python<'py>, path: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.inner.get(path).map(|value| to_python(py, &value)).transpose()
    }

    /// All options by section.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        match self.inner.to_value() {
            Value::Object(map) => map_to_python(py, &map),
            _ => Ok(PyDict::new(py)),
        }
    }

    /// The algorithm's name.
    #[getter]
    fn algorithm(&self) -> &'static str {
        self.inner.algorithm()
    }
}

fn problem(error: &Problem) -> (String, String) {
    (error.path.clone(), error.to_string())
}

/// The errors of a configuration as one exception.
pub(crate) fn raise(errors: ConfigErrors) -> PyErr {
    ConfigError::new_err(errors.to_string())
}

/// Every algorithm that can be run: `(name, summary)`.
#[pyfunction]
pub(crate) fn algorithms() -> Vec<(&'static str, &'static str)> {
    config::algorithms().iter().map(|info| (info.name, info.summary)).collect()
}

/// Every option of an algorithm, in order: section, name, documentation, type, default, range.
#[pyfunction]
pub(crate) fn options<'py>(py: Python<'py>, algorithm: &str) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let config = config::for_algorithm(algorithm).map_err(raise)?;
    config.specs().iter().map(|spec| to_python(py, &describe(spec, &*config))).collect()
}

fn describe(spec: &OptionSpec, config: &dyn AlgorithmConfig) -> Value {
    json!({
        "section": spec.section,
        "name": spec.name,
        "doc": spec.doc.trim(),
        "type": spec.type_name(),
        "accepts": spec.accepts(),
        "choices": spec.choices,
        "synonyms": spec.synonyms,
        "unit": spec.unit,
        "default": config.get(&spec.path()),
    })
}

/// JSON schema of an algorithm's configuration files.
#[pyfunction]
pub(crate) fn json_schema<'py>(py: Python<'py>, algorithm: &str) -> PyResult<Bound<'py, PyAny>> {
    to_python(py, &config::json_schema(algorithm).map_err(raise)?)
}
