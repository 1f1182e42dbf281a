//! Networks: from spaces and options to a policy.

use std::sync::Arc;

use skirl_env::{DType, Space};
use skirl_math::rng::StreamKey;
use skirl_nn::distributions::{Bernoulli, Categorical, DiagGaussian, Distribution, MultiCategorical};
use skirl_nn::optim::{AdamOptions, Optimizer, OptimizerSpec, RmsPropOptions, SgdOptions, WeightDecay};
use skirl_nn::{Activation as NnActivation, ActorCritic, ActorCriticSpec, Module};

use super::init::initialize;
use crate::collect::{AgentSpaces, told_apart};
use crate::config::{Activation, OptimizerOptions, OptimizerType, RlModuleOptions};
use crate::contract::Policy;
use crate::error::Error;

/// What a module's network is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkOptions {
    /// The module's own options.
    pub rl_module: RlModuleOptions,
    /// Whether the algorithm uses a value function.
    pub critic: bool,
}

/// One network with its sizes.
#[derive(Debug, Clone)]
pub struct ModulePlan {
    /// What it sees.
    pub observation_space: Space,
    /// What it can do.
    pub action_space: Space,
    /// Name of the action distribution.
    pub distribution: &'static str,
    /// The network.
    pub network: ActorCriticSpec,
    /// Options that shape the initial weights.
    pub options: RlModuleOptions,
    /// Number of parameters.
    pub num_parameters: usize,
    /// Numbers of one row in a rollout: observation, distribution inputs, action.
    pub row_width: usize,
    /// Whether it learns.
    pub trained: bool,
}

impl ModulePlan {
    /// Sizes for an agent with these spaces.
    pub fn new(options: &NetworkOptions, agent: &AgentSpaces, trained: bool) -> Result<Self, Error> {
        let (distribution, dist) = distribution_for(&agent.action)?;
        let network = network(options, agent.observation.flat_width(), &*dist, distribution);
        let (options, outputs) = (&options.rl_module, dist.num_inputs());
        let own_value = network.critic && !network.vf_share_layers && network.vf_hidden.is_none();
        let networks = 1 + usize::from(own_value);
        super::memory::check_network(network.obs_width, &network.hidden, outputs, networks)?;
        let num_parameters = ActorCritic::new(&network)?.params().num_trainable();
        let row_width = network.obs_width + outputs + dist.action_width();
        Ok(Self {
            observation_space: agent.observation.clone(),
            action_space: agent.action.clone(),
            distribution,
            network,
            options: options.clone(),
            num_parameters,
            row_width,
            trained,
        })
    }

    /// Bytes of the weights, which collection and learning have each, with `copies` more arrays of their size.
    pub fn bytes_of_weights(&self, copies: usize) -> usize {
        self.num_parameters.saturating_mul(4 * (2 + copies))
    }

    /// An error where an agent that shares this module sees or does something else.
    pub fn check_spaces(&self, id: &str, agent: &AgentSpaces) -> Result<(), Error> {
        for (name, mine, other) in [
            ("observation", &self.observation_space, &agent.observation),
            ("action", &self.action_space, &agent.action),
        ] {
            if mine != other {
                let (expected, found) = told_apart(mine, other);
                return Err(Error::Misfit {
                    what: format!(
                        "the {name} space of agent '{}', which policy '{id}' acts for",
                        agent.agent
                    ),
                    expected,
                    found,
                    remedy: "Give agents with different spaces policies of their own".to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// The distribution that serves an action space, with its name.
pub fn distribution_for(space: &Space) -> Result<(&'static str, Arc<dyn Distribution>), Error> {
    let unsupported = || Error::ActionSpace { found: space.to_string() };
    match space {
        Space::Discrete(discrete) => Ok(("Categorical", Arc::new(Categorical::new(discrete.n as usize)?))),
        Space::MultiDiscrete(multi) => {
            let sizes: Vec<usize> = multi.nvec.iter().map(|&n| n as usize).collect();
            Ok(("MultiCategorical", Arc::new(MultiCategorical::new(&sizes)?)))
        }
        Space::MultiBinary { shape } => Ok(("Bernoulli", Arc::new(Bernoulli::new(shape.iter().product())?))),
        Space::Box(bounds) if matches!(bounds.dtype, DType::F32 | DType::F64) => {
            Ok(("DiagGaussian", Arc::new(DiagGaussian::new(bounds.shape.iter().product())?)))
        }
        _ => Err(unsupported()),
    }
}

fn network(
    options: &NetworkOptions,
    obs_width: usize,
    dist: &dyn Distribution,
    distribution: &str,
) -> ActorCriticSpec {
    let (options, critic) = (&options.rl_module, options.critic);
    let gaussian = distribution == "DiagGaussian";
    ActorCriticSpec {
        obs_width,
        hidden: options.fcnet_hiddens.clone(),
        critic,
        vf_hidden: options.vf_hiddens.clone().filter(|_| !options.vf_share_layers),
        activation: activation(options.fcnet_activation),
        layer_norm: options.fcnet_use_layernorm,
        vf_share_layers: options.vf_share_layers,
        num_dist_inputs: dist.num_inputs(),
        free_log_std: (gaussian && options.free_log_std).then(|| dist.action_width()),
        log_std_init: options.log_std_init as f32,
        log_std_clip: gaussian.then_some(options.log_std_clip_param as f32),
    }
}

fn activation(activation: Activation) -> NnActivation {
    match activation {
        Activation::Tanh => NnActivation::Tanh,
        Activation::Relu => NnActivation::Relu,
        Activation::Silu => NnActivation::Silu,
        Activation::Gelu => NnActivation::Gelu,
        Activation::Elu => NnActivation::Elu,
        Activation::Linear => NnActivation::Linear,
    }
}

/// A policy with initial weights drawn from streams under `seed`.
pub fn build_policy(plan: &ModulePlan, seed: StreamKey) -> Result<Policy, Error> {
    let mut net = ActorCritic::new(&plan.network)?;
    initialize(net.params_mut(), &plan.network, &plan.options, seed);
    net.refresh();
    let (_, dist) = distribution_for(&plan.action_space)?;
    Ok(Policy {
        net: Box::new(net),
        dist,
        observation_space: plan.observation_space.clone(),
        action_space: plan.action_space.clone(),
        version: 0,
    })
}

/// The optimizer over a policy's parameters.
pub fn build_optimizer(options: &OptimizerOptions, policy: &Policy) -> Result<Box<dyn Optimizer>, Error> {
    let weight_decay = options.weight_decay;
    let adam = |decay| {
        let [beta1, beta2] = options.betas;
        OptimizerSpec::Adam(AdamOptions { beta1, beta2, eps: options.eps, weight_decay, decay })
    };
    let spec = match options.kind {
        OptimizerType::Adam => adam(WeightDecay::Coupled),
        OptimizerType::AdamW => adam(WeightDecay::Decoupled),
        OptimizerType::RmsProp => OptimizerSpec::RmsProp(RmsPropOptions {
            alpha: options.alpha,
            eps: options.eps,
            momentum: options.momentum,
            weight_decay,
        }),
        OptimizerType::Sgd => {
            OptimizerSpec::Sgd(SgdOptions { momentum: options.momentum, nesterov: false, weight_decay })
        }
    };
    Ok(spec.build(policy.net.params().values().len())?)
}
