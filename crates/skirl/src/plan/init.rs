//! Initial weights: each tensor from a stream of its own name, so that adding a layer changes no other.

use skirl_math::rng::StreamKey;
use skirl_nn::init::Init;
use skirl_nn::{ActorCriticSpec, ParamStore, TensorInfo};

use crate::config::{Initializer, RlModuleOptions};

/// Which part of the network a tensor belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Hidden,
    PolicyHead,
    ValueHead,
}

/// Fills every weight and bias; layer-norm gains and free log-stds keep what the network starts with.
pub(super) fn initialize(
    params: &mut ParamStore,
    network: &ActorCriticSpec,
    options: &RlModuleOptions,
    seed: StreamKey,
) {
    params.init_tensors(|tensor, values| {
        let name = tensor.name();
        let part = part_of(name, network, options);
        let is_norm = name.contains(".norm.");
        match name.rsplit('.').next() {
            Some("weight") if !is_norm => weight(tensor, part, options, seed, values),
            Some("bias") if !is_norm => bias(tensor, part, network, options, seed, values),
            _ => {}
        }
    });
}

fn part_of(name: &str, network: &ActorCriticSpec, options: &RlModuleOptions) -> Part {
    let (policy, value) = match network.vf_share_layers {
        true => (0, 0),
        false => (network.hidden.len(), options.value_hiddens().len()),
    };
    if name.starts_with(&format!("pi.{policy}.")) {
        Part::PolicyHead
    } else if name.starts_with(&format!("vf.{value}.")) {
        Part::ValueHead
    } else {
        Part::Hidden
    }
}

fn weight(tensor: &TensorInfo, part: Part, options: &RlModuleOptions, seed: StreamKey, values: &mut [f32]) {
    let gain = match part {
        Part::Hidden => options.fcnet_kernel_gain,
        Part::PolicyHead => options.policy_head_gain,
        Part::ValueHead => options.vf_head_gain,
    };
    init(options.fcnet_kernel_initializer, gain as f32).fill(
        seed.child(tensor.name()),
        tensor.shape(),
        tensor.fan_in(),
        values,
    );
}

/// Biases are zero, but for PyTorch's default, which draws them like the weights of their layer.
fn bias(
    tensor: &TensorInfo,
    part: Part,
    network: &ActorCriticSpec,
    options: &RlModuleOptions,
    seed: StreamKey,
    values: &mut [f32],
) {
    if options.fcnet_kernel_initializer == Initializer::TorchDefault {
        let fan_in = match (part, network.vf_share_layers) {
            (Part::ValueHead, false) => options.value_hiddens().last(),
            (Part::Hidden, _) => None,
            _ => network.hidden.last(),
        };
        let fan_in = fan_in.copied().unwrap_or_else(|| hidden_fan_in(tensor.name(), network, options));
        init(Initializer::TorchDefault, 1.0).fill(seed.child(tensor.name()), tensor.shape(), fan_in, values);
    }
    // A state-dependent log standard deviation starts where the configuration says, through its bias.
    if part == Part::PolicyHead && network.log_std_clip.is_some() && network.free_log_std.is_none() {
        let half = values.len() / 2;
        values[half..].iter_mut().for_each(|value| *value += options.log_std_init as f32);
    }
}

/// Inputs of hidden layer `i` of the network that `name` (`pi.i.bias`) belongs to.
fn hidden_fan_in(name: &str, network: &ActorCriticSpec, options: &RlModuleOptions) -> usize {
    let mut parts = name.split('.');
    let own = if parts.next() == Some("vf") { options.value_hiddens() } else { &network.hidden };
    let layer: usize = parts.next().and_then(|index| index.parse().ok()).unwrap_or(0);
    if layer == 0 { network.obs_width } else { own.get(layer - 1).copied().unwrap_or(network.obs_width) }
}

fn init(initializer: Initializer, gain: f32) -> Init {
    match initializer {
        Initializer::TorchDefault => Init::LinearDefault,
        Initializer::Orthogonal => Init::Orthogonal { gain },
        Initializer::XavierUniform => Init::XavierUniform { gain },
        Initializer::XavierNormal => Init::XavierNormal { gain },
        Initializer::KaimingUniform => Init::KaimingUniform { gain: std::f32::consts::SQRT_2 },
        Initializer::KaimingNormal => Init::KaimingNormal { gain: std::f32::consts::SQRT_2 },
        Initializer::Normc => Init::Normc { std: gain },
    }
}
