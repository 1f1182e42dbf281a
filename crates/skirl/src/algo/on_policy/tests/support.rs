//! Stored goldens, and networks and learners for them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use safetensors::SafeTensors;
use skirl_env::{DType, Space};
use skirl_math::rng::StreamKey;
use skirl_nn::NamedTensor;
use skirl_nn::optim::GradClip;

use crate::algo::on_policy::{BatchLearner, UpdateRule};
use crate::collect::AgentSpaces;
use crate::config::{HasOptimizer, RlModuleOptions, Training};
use crate::contract::{Actions, Policy};
use crate::learn::{Batch, Learner, LearnerOptions};
use crate::plan::{ModulePlan, NetworkOptions, build_optimizer, build_policy};
use crate::workers::Workers;

/// Distributions of the goldens with the action space that each serves.
pub(in crate::algo) fn action_spaces() -> [(&'static str, Space); 4] {
    [
        ("categorical", Space::discrete(4)),
        ("gaussian", Space::boxed(-1.0, 1.0, &[2], DType::F32)),
        ("multi_categorical", Space::multi_discrete(&[3, 2])),
        ("bernoulli", Space::multi_binary(&[3])),
    ]
}

/// Five inputs, two hidden layers of 16, as in the goldens.
fn policy(action: &Space, critic: bool) -> Policy {
    let options = RlModuleOptions { fcnet_hiddens: vec![16, 16], ..RlModuleOptions::default() };
    let observation = Space::boxed(-10.0, 10.0, &[5], DType::F32);
    let agent = AgentSpaces { agent: "agent".to_owned(), observation, action: action.clone() };
    let options = NetworkOptions { rl_module: options, critic };
    build_policy(&ModulePlan::new(&options, &agent, true).unwrap(), StreamKey::root(7)).unwrap()
}

/// A learner with these options.
pub(in crate::algo) fn learner<R: UpdateRule>(policy: Policy, options: &R::Training) -> BatchLearner<R> {
    let update = options.update();
    let learner = Learner::new(LearnerOptions {
        module: "module".to_owned(),
        optimizer: build_optimizer(options.optimizer_options(), &policy).unwrap(),
        policy,
        clip: update.grad_clip.map(|bound| GradClip::GlobalNorm(bound as f32)),
        log_norm: false,
        workers: Arc::new(Workers::new(1).unwrap()),
    });
    BatchLearner::new(learner, update, R::new(options), StreamKey::root(3).stream())
}

pub(in crate::algo) fn weights<R: UpdateRule>(learner: &BatchLearner<R>) -> BTreeMap<String, Vec<f32>> {
    let tensors = learner.learner.policy().net.params().export();
    tensors.into_iter().map(|tensor| (tensor.name, tensor.data)).collect()
}

/// The stored goldens.
pub(in crate::algo) struct Goldens(Vec<u8>);

impl Goldens {
    pub(in crate::algo) fn load(file: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(file);
        Self(std::fs::read(path).unwrap())
    }

    pub(in crate::algo) fn bytes<const N: usize>(&self, name: &str) -> Vec<[u8; N]> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        view.data().as_chunks::<N>().0.to_vec()
    }

    pub(in crate::algo) fn f32(&self, name: &str) -> Vec<f32> {
        self.bytes(name).into_iter().map(f32::from_le_bytes).collect()
    }

    pub(in crate::algo) fn f64(&self, name: &str) -> Vec<f64> {
        self.bytes(name).into_iter().map(f64::from_le_bytes).collect()
    }

    /// Names and shapes under `prefix`.
    fn under(&self, prefix: &str) -> Vec<(String, Vec<usize>)> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensors = file.tensors();
        let own = tensors.iter().filter_map(|(name, view)| Some((name.strip_prefix(prefix)?, view.shape())));
        own.map(|(name, shape)| (name.to_owned(), shape.to_vec())).collect()
    }

    pub(in crate::algo) fn policy(&self, prefix: &str, action: &Space) -> Policy {
        let critic = self.under(prefix).iter().any(|(name, _)| name.starts_with("vf."));
        self.policy_with(prefix, action, critic)
    }

    /// The policy alone where `critic` is false, whatever the goldens hold.
    pub(in crate::algo) fn policy_with(&self, prefix: &str, action: &Space, critic: bool) -> Policy {
        let mut policy = policy(action, critic);
        let tensor = |(name, shape): (String, Vec<usize>)| {
            let data = self.f32(&format!("{prefix}{name}"));
            NamedTensor { name, shape, data }
        };
        let tensors: Vec<NamedTensor> = self
            .under(prefix)
            .into_iter()
            .filter(|(name, _)| critic || !name.starts_with("vf."))
            .map(tensor)
            .collect();
        policy.net.params_mut().import(&tensors).unwrap();
        policy.net.refresh();
        policy
    }

    pub(in crate::algo) fn batch(&self, prefix: &str, policy: &Policy) -> Batch {
        let column = |name: &str| self.f32(&format!("{prefix}{name}"));
        let width = policy.dist.action_width();
        let actions = match policy.dist.is_discrete() {
            true => {
                let bytes = self.bytes(&format!("{prefix}actions"));
                Actions::Discrete { data: bytes.into_iter().map(i64::from_le_bytes).collect(), width }
            }
            false => Actions::Continuous { data: column("actions"), width },
        };
        Batch {
            obs_width: policy.obs_width(),
            dist_width: policy.dist.num_inputs(),
            obs: column("obs").into(),
            actions,
            logp: column("logp"),
            dist_inputs: column("dist_inputs"),
            values: column("values"),
            advantages: column("advantages"),
            value_targets: column("value_targets"),
        }
    }
}

/// ‖a − b‖ / ‖b‖.
pub(in crate::algo) fn relative_distance(a: &[f64], b: &[f64]) -> f64 {
    let difference: f64 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
    let norm: f64 = b.iter().map(|b| b * b).sum();
    (difference / norm.max(f64::MIN_POSITIVE)).sqrt()
}
