//! One module without its run: from its directory in a checkpoint to a policy that is proved to compute what it computed
//! when it was saved.

use std::path::Path;

use serde_json::Value;
use skirl_env::Space;
use skirl_math::rng::StreamKey;
use skirl_nn::{Mat, NamedTensor};

use super::tensors::named_under;
use crate::checkpoint::{
    self, Component, MODULE_EXAMPLE, MODULE_SPEC, MODULE_STATE, Tensor, TensorData, TensorFile, Tensors,
};
use crate::collect::AgentSpaces;
use crate::config::{RlModuleOptions, Section};
use crate::contract::Policy;
use crate::contract::policy::{DIST_INPUTS, VALUE};
use crate::error::Error;
use crate::plan::{ModulePlan, NetworkOptions, build_policy};

/// Rows of the stored example that proves a loaded module.
const EXAMPLE_ROWS: usize = 4;
/// Relative difference that another instruction set or version may make.
const TOLERANCE: f32 = 1e-4;

/// Outputs of the example, and their place among the outputs of the network.
fn outputs(policy: &Policy) -> impl Iterator<Item = (&'static str, usize)> {
    [("action_dist_inputs", DIST_INPUTS)].into_iter().chain(policy.has_value().then_some(("vf_preds", VALUE)))
}

impl Policy {
    /// The policy in a module's directory of a checkpoint
    /// (`…/learner_group/learner/rl_module/default_policy`, or a copy of it), and what the user should be told about it.
    ///
    /// The stored example proves it: with the version and the instruction set that wrote it the outputs must be equal bit
    /// by bit, else within 10⁻⁴, which is said. Observations are what the network saw: a run with an
    /// `observation_filter` keeps its statistics beside its environments, not here.
    ///
    /// # Errors
    /// A damaged directory, weights that do not fit the network that `module.json` describes, or outputs that differ.
    pub fn from_checkpoint(path: &Path) -> Result<(Self, Vec<String>), Error> {
        Self::from_component(&checkpoint::load_component(path)?)
    }

    /// As [`from_checkpoint`](Self::from_checkpoint), from a component in memory.
    ///
    /// # Errors
    /// As [`from_checkpoint`](Self::from_checkpoint).
    pub fn from_component(component: &Component) -> Result<(Self, Vec<String>), Error> {
        let spec = component.json(MODULE_SPEC)?;
        let id = spec.get("module_id").and_then(Value::as_str).unwrap_or_default();
        let weights = named_under(component.tensors(MODULE_STATE)?.all(), "");
        let plan = plan_of(id, spec, &weights)?;
        let mut policy = build_policy(&plan, StreamKey::root(0))?;
        policy.net.params_mut().import(&weights).map_err(|error| {
            mismatch(id, "the tensors of the network that module.json describes", error.to_string())
        })?;
        policy.net.refresh();
        let written_by = &component.skirl_version;
        let example = Example {
            stored: component.tensors(MODULE_EXAMPLE)?,
            same_build: component.manifest.isa == skirl_nn::isa().to_string()
                && *written_by == env!("CARGO_PKG_VERSION"),
        };
        let warning = check_example(id, &policy, &example)?;
        Ok((policy, warning.into_iter().collect()))
    }
}

fn mismatch(id: &str, expected: &str, found: String) -> Error {
    Error::Mismatch {
        what: format!("the files of module '{id}'"),
        expected: expected.to_owned(),
        found,
        remedy: "They are not of one module: copy the whole directory from the checkpoint again".to_owned(),
    }
}

/// The network that `module.json` describes; refused before memory is taken where the weights are too few for it.
fn plan_of(id: &str, spec: &Value, weights: &[NamedTensor]) -> Result<ModulePlan, Error> {
    let space = |name: &str| {
        Space::from_json(spec.get(name).unwrap_or(&Value::Null)).map_err(|error| {
            mismatch(id, &format!("a space under `{name}` of module.json"), error.to_string())
        })
    };
    let agent = AgentSpaces {
        agent: id.to_owned(),
        observation: space("observation_space")?,
        action: space("action_space")?,
    };
    let mut options = RlModuleOptions::default();
    for (name, value) in spec.get("rl_module").and_then(Value::as_object).into_iter().flatten() {
        options.set(name, value).map_err(|problem| {
            let found = problem.at(format!("rl_module.{name}"), Some(value.clone())).to_string();
            mismatch(id, "options of this version in module.json", found)
        })?;
    }
    check_size(id, &options, &agent, weights)?;
    // An algorithm without a value function saves a network without one.
    let critic = weights.iter().any(|tensor| tensor.name.starts_with("vf."));
    ModulePlan::new(&NetworkOptions { rl_module: options, critic }, &agent, false)
}

/// Every layer has at least `inputs × outputs` weights, so that a few bytes cannot ask for a network of gigabytes.
fn check_size(
    id: &str,
    options: &RlModuleOptions,
    agent: &AgentSpaces,
    weights: &[NamedTensor],
) -> Result<(), Error> {
    let stored: usize = weights.iter().map(|tensor| tensor.data.len()).sum();
    let inputs = agent.observation.flat_width();
    let paths = [Some(&options.fcnet_hiddens), options.vf_hiddens.as_ref()];
    for hiddens in paths.into_iter().flatten() {
        let mut needed = hiddens.len();
        let mut width = inputs;
        for &next in hiddens {
            needed = needed.saturating_add(width.saturating_mul(next));
            width = next;
        }
        if needed > stored {
            return Err(mismatch(
                id,
                &format!("at least {needed} weights for its layers"),
                format!("{stored}"),
            ));
        }
    }
    let action = agent.action.flat_width();
    if action > stored {
        return Err(mismatch(id, &format!("at least {action} weights for its actions"), format!("{stored}")));
    }
    Ok(())
}

/// The stored example of a module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Example<'a> {
    /// What the checkpoint holds.
    pub(super) stored: TensorFile<'a>,
    /// Whether the version and the instruction set that wrote it are those of this process: then every bit counts.
    pub(super) same_build: bool,
}

/// An input and what the network makes of it: whoever loads the module can prove that it computes the same.
pub(super) fn example(policy: &Policy) -> Result<Tensors, Error> {
    let width = policy.obs_width();
    let obs: Vec<f32> = (0..EXAMPLE_ROWS * width).map(|index| ((index % 7) as f32 - 3.0) * 0.25).collect();
    let mut tensors = outputs_for(policy, &obs, EXAMPLE_ROWS)?;
    tensors.insert("obs".to_owned(), Tensor::new(vec![EXAMPLE_ROWS, width], obs)?);
    Ok(tensors)
}

fn outputs_for(policy: &Policy, obs: &[f32], num_rows: usize) -> Result<Tensors, Error> {
    let mut tape = policy.net.tape(num_rows);
    policy.net.forward(&[Mat::new(obs, num_rows, policy.obs_width())], None, &mut tape)?;
    let mut tensors = Tensors::new();
    for (name, output) in outputs(policy) {
        let output = tape.output(output);
        let rows: Vec<f32> = (0..num_rows).flat_map(|row| output.row(row).to_vec()).collect();
        tensors.insert(name.to_owned(), Tensor::new(vec![num_rows, output.num_cols()], rows)?);
    }
    Ok(tensors)
}

/// The restored network must make the stored outputs of the stored input. The warning tells of a difference that is small
/// enough.
pub(super) fn check_example(
    id: &str,
    policy: &Policy,
    example: &Example<'_>,
) -> Result<Option<String>, Error> {
    let obs = example.stored.f32("obs", &[EXAMPLE_ROWS, policy.obs_width()])?;
    let computed = outputs_for(policy, obs, EXAMPLE_ROWS)?;
    let mut worst = 0.0_f32;
    for (name, _) in outputs(policy) {
        let TensorData::F32(found) = computed[name].data() else { continue };
        let expected = example.stored.f32(name, computed[name].shape())?;
        let difference = largest_difference(expected, found);
        if difference.is_nan() || difference > if example.same_build { 0.0 } else { TOLERANCE } {
            return Err(Error::Mismatch {
                what: format!("module '{id}': output '{name}' of its stored example"),
                expected: format!(
                    "the stored values{}",
                    if example.same_build { ", bit by bit" } else { "" }
                ),
                found: format!("values that differ by up to {difference}"),
                remedy: "The weights are not the ones that were saved; take an older checkpoint".to_owned(),
            });
        }
        worst = worst.max(difference);
    }
    Ok((worst > 0.0).then(|| {
        format!(
            "module '{id}' computes its stored example up to {worst:.1e}, not bit by bit: another version or instruction \
             set wrote it"
        )
    }))
}

/// Largest difference relative to values above 1; 0 means equal bits, NaN is kept.
fn largest_difference(expected: &[f32], found: &[f32]) -> f32 {
    let differences = expected.iter().zip(found).map(|(a, b)| match a.to_bits() == b.to_bits() {
        true => 0.0,
        // Zeros of two signs are different bits, too.
        false => ((a - b).abs() / a.abs().max(1.0)).max(f32::MIN_POSITIVE),
    });
    // Not `f32::max`, which would pass over a NaN.
    differences.fold(0.0, |worst, next| if next > worst || next.is_nan() { next } else { worst })
}
