//! Section `rl_module`: the networks.

use super::choices::{Activation, Initializer};
use super::declare::options;

options! {
    /// The networks: hidden layers, value network, log standard deviations, initial weights. RLlib's `model` and `model_config` maps are read as this section.
    pub struct RlModuleOptions in "rl_module" {
        /// Sizes of the hidden layers of the policy network.
        fcnet_hiddens: Vec<usize> = [256, 256] => between(1.0, 65_536.0), unit("neurons"), called(&[("SB3", "net_arch"), ("Tianshou", "hidden_sizes")]);
        /// Activation of the hidden layers.
        fcnet_activation: Activation = Activation::Tanh => called(&[("SB3", "activation_fn")]);
        /// Layer normalisation before each activation.
        fcnet_use_layernorm: bool = false;
        /// Sizes of the hidden layers of the value network. `none` takes those of the policy network.
        vf_hiddens: Option<Vec<usize>> = None => between(1.0, 65_536.0), unit("neurons");
        /// The policy and the value function share their hidden layers. RLlib's PPO has `false`, and nothing here flips it.
        vf_share_layers: bool = false => called(&[("SB3", "share_features_extractor")]);
        /// Log standard deviations of continuous actions are parameters of their own. `false` makes them outputs of the network.
        free_log_std: bool = false;
        /// First log standard deviation: of the parameters with `free_log_std`, else the bias of those outputs.
        log_std_init: f64 = 0.0 => between(-20.0, 10.0), unit("natural logarithm");
        /// Log standard deviations are clipped to ± this.
        log_std_clip_param: f64 = 20.0 => above(0.0), unit("natural logarithm");
        /// How hidden layers and heads start. `torch_default` is what RLlib's default network has: PyTorch's `nn.Linear`, weights and biases uniform in ±1/√fan_in.
        fcnet_kernel_initializer: Initializer = Initializer::TorchDefault => synonyms(&["fcnet_weights_initializer"]), called(&[("SB3", "ortho_init")]);
        /// Gain of the hidden layers' weights (orthogonal, xavier, normc).
        fcnet_kernel_gain: f64 = std::f64::consts::SQRT_2 => above(0.0);
        /// Gain of the policy head's weights (orthogonal, xavier, normc).
        policy_head_gain: f64 = 0.01 => above(0.0);
        /// Gain of the value head's weights (orthogonal, xavier, normc).
        vf_head_gain: f64 = 1.0 => above(0.0);
    }
}

impl RlModuleOptions {
    /// Sizes of the hidden layers of the value network.
    pub fn value_hiddens(&self) -> &[usize] {
        self.vf_hiddens.as_ref().unwrap_or(&self.fcnet_hiddens)
    }
}
