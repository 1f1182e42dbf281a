//! Section `training` of PPO: the loss and the optimizer.

use super::choices::{GradClipBy, OptimizerType, StandardizeAdvantages};
use super::declare::options;
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

options! {
    /// PPO (Schulman et al., 2017): batch, loss and optimizer. Defaults are RLlib's.
    pub struct PpoTraining in "training" {
        /// Discount factor γ per environment step.
        gamma: f64 = 0.99 => between(0.0, 1.0), called(&[("Tianshou", "discount_factor"), ("burn", "discount")]);
        /// Learning rate, or a schedule over environment steps.
        lr: ScheduleSpec = 5e-5 => min(0.0), called(&[("SB3 and CleanRL", "learning_rate")]);
        /// λ of generalised advantage estimation (Schulman et al., 2016). 1 is the Monte-Carlo return minus the value; 0.95 is the usual choice elsewhere.
        lambda_: f64 = 1.0 => between(0.0, 1.0), synonyms(&["lambda"]), called(&[("SB3, CleanRL and Tianshou", "gae_lambda")]);
        /// Steps collected for one iteration, of all environments together. Rounded up to a multiple of the number of environments.
        train_batch_size: usize = 4000 => between(1.0, 1_073_741_824.0), unit("environment steps"), synonyms(&["train_batch_size_per_learner"]);
        /// Rows of one gradient step. When it does not divide the batch, the last minibatch of an epoch is short and averaged over its own rows.
        minibatch_size: usize = 128 => min(1.0), unit("rows"), synonyms(&["sgd_minibatch_size"]), called(&[("SB3 and Tianshou", "batch_size")]);
        /// Passes over the batch in one iteration.
        num_epochs: usize = 30 => between(1.0, 100_000.0), synonyms(&["num_sgd_iter"]), called(&[("SB3", "n_epochs"), ("CleanRL", "update_epochs"), ("Tianshou", "repeat_per_collect"), ("Tianshou", "update_step_num_repetitions")]);
        /// Draw the rows of each epoch's minibatches anew. `false` keeps the order of collection.
        shuffle_batch_per_epoch: bool = true;
        /// Learn a value function and use it as a baseline.
        use_critic: bool = true;
        /// Estimate advantages with GAE. `false` uses the discounted return minus the value.
        use_gae: bool = true;
        /// Add the penalty `kl_coeff` × KL(old policy ‖ new policy) to the loss.
        use_kl_loss: bool = true;
        /// First weight of the KL penalty; it adapts to `kl_target` after every iteration: × 1.5 when KL > 2 × target, × 0.5 when KL < 0.5 × target.
        kl_coeff: f64 = 0.2 => min(0.0);
        /// KL divergence that the penalty's weight aims at.
        kl_target: f64 = 0.01 => above(0.0), unit("nats");
        /// Stop an iteration's updates early once the KL divergence exceeds 1.5 × this value (SB3's `target_kl`). `none` never stops early.
        target_kl: Option<f64> = None => above(0.0), unit("nats");
        /// Weight of the value loss.
        vf_loss_coeff: f64 = 1.0 => min(0.0), called(&[("SB3, CleanRL and Tianshou", "vf_coef")]);
        /// Weight of the entropy bonus, or a schedule over environment steps.
        entropy_coeff: ScheduleSpec = 0.0 => min(0.0), called(&[("SB3, CleanRL and Tianshou", "ent_coef")]);
        /// Bound ε on the probability ratio: clipped to [1 − ε, 1 + ε]. A schedule over environment steps is accepted.
        clip_param: ScheduleSpec = 0.3 => above(0.0), called(&[("SB3", "clip_range"), ("CleanRL", "clip_coef"), ("Tianshou", "eps_clip")]);
        /// Bound on the squared value error of a row, RLlib's meaning. `none` switches it off.
        vf_clip_param: Option<f64> = 10.0 => above(0.0);
        /// Bound on how far the value may move from the old one: the loss is the greater of the plain and the bounded squared error, as in the PPO authors' code and CleanRL. `none` switches it off.
        clip_range_vf: Option<f64> = None => above(0.0), called(&[("CleanRL", "clip_vloss"), ("Tianshou", "value_clip")]);
        /// Bound on gradients; see `grad_clip_by`. `none` does not clip.
        grad_clip: Option<f64> = None => above(0.0), called(&[("SB3, CleanRL and Tianshou", "max_grad_norm")]);
        /// What `grad_clip` bounds.
        grad_clip_by: GradClipBy = GradClipBy::GlobalNorm;
        /// Over which rows advantages are brought to mean 0 and standard deviation 1.
        standardize_advantages: StandardizeAdvantages = StandardizeAdvantages::Batch => called(&[("SB3", "normalize_advantage"), ("CleanRL", "norm_adv"), ("Tianshou", "advantage_normalization")]);
        groups {
            /// The optimizer of every module.
            optimizer: OptimizerOptions;
        }
    }
}
