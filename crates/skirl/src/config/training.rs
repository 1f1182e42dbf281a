//! Section `training`: what the algorithms' training options have in common, and the optimizer.

use super::choices::{GradClipBy, OptimizerType, StandardizeAdvantages};
use super::common_config::CommonConfig;
use super::declare::{Section, options};
use super::mixed::ScheduleSpec;

options! {
    /// The optimizer of every module. Defaults are PyTorch's.
    pub struct OptimizerOptions in "training.optimizer" {
        /// Which optimizer.
        kind as "type": OptimizerType = OptimizerType::Adam;
        /// Decay rates of Adam's first and second moments.
        betas: [f64; 2] = [0.9, 0.999] => min(0.0), below(1.0);
        /// Added to the denominator for numerical stability (adam, adamw, rmsprop). CleanRL and SB3 use 1e-5 for PPO.
        eps: f64 = 1e-8 => above(0.0), synonyms(&["epsilon"]), called(&[("Tianshou", "adam_eps")]);
        /// Weight decay: added to the gradient as an L2 penalty, or decoupled with `adamw`.
        weight_decay: f64 = 0.0 => min(0.0);
        /// Momentum (sgd, rmsprop).
        momentum: f64 = 0.0 => min(0.0), below(1.0);
        /// Decay rate of the squared-gradient average (rmsprop).
        alpha: f64 = 0.99 => min(0.0), below(1.0), synonyms(&["decay"]);
    }
}

/// The section `training` of an algorithm, and what else belongs to its configuration.
pub trait Training: HasOptimizer + Section + Clone + PartialEq + Default + Send + Sync + 'static {
    /// Name of the algorithm, for example `PPO`.
    const ALGORITHM: &'static str;
    /// What it is, in one line.
    const SUMMARY: &'static str;

    /// Changes the defaults of other sections in which the algorithm differs.
    fn other_defaults(_common: &mut CommonConfig) {}

    /// The options as the parts that the algorithms share understand them.
    fn update(&self) -> UpdateOptions;
}

/// A section with the group `optimizer` inside.
pub trait HasOptimizer {
    /// The group.
    fn optimizer_options(&self) -> &OptimizerOptions;

    /// The group, to change.
    fn optimizer_options_mut(&mut self) -> &mut OptimizerOptions;
}

/// How an on-policy algorithm learns from what it collected in one iteration.
#[derive(Debug, Clone, PartialEq)]
pub struct UpdateOptions {
    /// Discount γ.
    pub gamma: f64,
    /// Learning rate.
    pub lr: ScheduleSpec,
    /// Environment steps of one iteration.
    pub train_batch_size: usize,
    /// Rows of one optimizer step; `None`: all rows of the batch.
    pub minibatch_size: Option<usize>,
    /// Rows of one part of a minibatch, the gradients of which add up; `None`: one part.
    pub microbatch_size: Option<usize>,
    /// Passes over the batch.
    pub num_epochs: usize,
    /// A new order of the rows for each pass.
    pub shuffle: bool,
    /// Over which rows advantages are standardised.
    pub standardize_advantages: StandardizeAdvantages,
    /// Bound on gradients.
    pub grad_clip: Option<f64>,
    /// What it bounds.
    pub grad_clip_by: GradClipBy,
    /// The value function's part in the estimate; `None`: the algorithm has no value function.
    pub critic: Option<CriticOptions>,
    /// Whether a value network is built.
    pub value_network: bool,
}

impl UpdateOptions {
    /// One step over the whole batch, without a value function.
    pub fn one_step(gamma: f64, lr: &ScheduleSpec, train_batch_size: usize) -> Self {
        Self {
            gamma,
            lr: lr.clone(),
            train_batch_size,
            minibatch_size: None,
            microbatch_size: None,
            num_epochs: 1,
            shuffle: false,
            standardize_advantages: StandardizeAdvantages::Off,
            grad_clip: None,
            grad_clip_by: GradClipBy::GlobalNorm,
            critic: None,
            value_network: false,
        }
    }
}

/// The value function's part in the estimate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CriticOptions {
    /// Values count; otherwise all are 0.
    pub use_critic: bool,
    /// GAE; otherwise λ = 1.
    pub use_gae: bool,
    /// λ.
    pub lambda: f64,
}

/// Declares an algorithm's section `training`. `use gamma = 0.99;` takes over an option that several algorithms have, each
/// defined once, here; the other options are written as in `options!`. The group `optimizer` is added at the end.
macro_rules! training_options {
    ($(#[doc = $doc:literal])+ pub struct $section:ident { $($body:tt)* }) => {
        training_options! { @ { $(#[doc = $doc])+ pub struct $section in "training" } [] $($body)* }

        impl $crate::config::HasOptimizer for $section {
            fn optimizer_options(&self) -> &$crate::config::OptimizerOptions {
                &self.optimizer
            }

            fn optimizer_options_mut(&mut self) -> &mut $crate::config::OptimizerOptions {
                &mut self.optimizer
            }
        }
    };
    (@ { $($head:tt)* } [$($out:tt)*]) => {
        $crate::config::declare::options! { $($head)* {
            $($out)*
            groups {
                /// The optimizer of every module.
                optimizer: $crate::config::OptimizerOptions;
            }
        } }
    };
    (@ $head:tt [$($out:tt)*] use gamma = $default:expr; $($rest:tt)*) => { training_options! { @ $head [$($out)*
        /// Discount factor γ per environment step.
        gamma: f64 = $default => between(0.0, 1.0), called(&[("Tianshou", "discount_factor"), ("burn", "discount")]);
    ] $($rest)* } };
    (@ $head:tt [$($out:tt)*] use lr = $default:expr; $($rest:tt)*) => { training_options! { @ $head [$($out)*
        /// Learning rate, or a schedule over environment steps.
        lr: $crate::config::ScheduleSpec = $default => min(0.0), called(&[("SB3 and CleanRL", "learning_rate")]);
    ] $($rest)* } };
    (@ $head:tt [$($out:tt)*] use lambda_ = $default:expr; $($rest:tt)*) => { training_options! { @ $head [$($out)*
        /// λ of generalised advantage estimation (Schulman et al., 2016). 1 is the Monte-Carlo return minus the value; 0.95 is the usual choice elsewhere.
        lambda_: f64 = $default => between(0.0, 1.0), synonyms(&["lambda"]), called(&[("SB3, CleanRL and Tianshou", "gae_lambda")]);
    ] $($rest)* } };
    (@ $head:tt [$($out:tt)*] use train_batch_size = $default:expr; $($rest:tt)*) => { training_options! { @ $head [$($out)*
        /// Steps collected for one iteration, of all environments together. Rounded up to a multiple of the number of environments.
        train_batch_size: usize = $default => between(1.0, 1_073_741_824.0), unit("environment steps"), synonyms(&["train_batch_size_per_learner"]);
    ] $($rest)* } };
    (@ $head:tt [$($out:tt)*] use use_critic = $default:expr; $($rest:tt)*) => { training_options! { @ $head [$($out)*
        /// Learn a value function and use it as a baseline.
        use_critic: bool = $default;
    ] $($rest)* } };
    (@ $head:tt [$($out:tt)*] use use_gae = $default:expr; $($rest:tt)*) => { training_options! { @ $head [$($out)*
        /// Estimate advantages with GAE. `false` uses the discounted return minus the value.
        use_gae: bool = $default;
    ] $($rest)* } };
    (@ $head:tt [$($out:tt)*] use vf_loss_coeff = $default:expr; $($rest:tt)*) => { training_options! { @ $head [$($out)*
        /// Weight of the value loss.
        vf_loss_coeff: f64 = $default => min(0.0), called(&[("SB3, CleanRL and Tianshou", "vf_coef")]);
    ] $($rest)* } };
    (@ $head:tt [$($out:tt)*] use entropy_coeff = $default:expr; $($rest:tt)*) => { training_options! { @ $head [$($out)*
        /// Weight of the entropy bonus, or a schedule over environment steps.
        entropy_coeff: $crate::config::ScheduleSpec = $default => min(0.0), called(&[("SB3, CleanRL and Tianshou", "ent_coef")]);
    ] $($rest)* } };
    (@ $head:tt [$($out:tt)*] use grad_clip = $default:expr; $($rest:tt)*) => { training_options! { @ $head [$($out)*
        /// Bound on gradients; see `grad_clip_by`. `none` does not clip.
        grad_clip: Option<f64> = $default => above(0.0), called(&[("SB3, CleanRL and Tianshou", "max_grad_norm")]);
        /// What `grad_clip` bounds.
        grad_clip_by: $crate::config::GradClipBy = $crate::config::GradClipBy::GlobalNorm;
    ] $($rest)* } };
    (@ $head:tt [$($out:tt)*] use standardize_advantages = $default:expr; $($rest:tt)*) => { training_options! { @ $head [$($out)*
        /// Over which rows advantages are brought to mean 0 and standard deviation 1.
        standardize_advantages: $crate::config::StandardizeAdvantages = $default => called(&[("SB3", "normalize_advantage"), ("CleanRL", "norm_adv"), ("Tianshou", "advantage_normalization")]);
    ] $($rest)* } };
    (@ $head:tt [$($out:tt)*]
        $(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr $(=> $($meta:ident($($argument:expr),*)),+)?;
        $($rest:tt)*
    ) => { training_options! { @ $head [$($out)*
        $(#[doc = $doc])+ $name: $type = $default $(=> $($meta($($argument),*)),+)?;
    ] $($rest)* } };
}
pub(super) use training_options;
