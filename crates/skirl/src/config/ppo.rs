//! The configuration of PPO.

use super::choices::StandardizeAdvantages;
use super::common_config::CommonConfig;
use super::config_of::ConfigOf;
use super::mixed::ScheduleSpec;
use super::training::{CriticOptions, Training, UpdateOptions, training_options};

/// The configuration of PPO, with RLlib's names and defaults.
///
/// ```
/// use skirl::config::PpoConfig;
///
/// let config = PpoConfig::new()
///     .environment("CartPole-v1")
///     .env_runners(|o| o.num_envs_per_env_runner(8))
///     .training(|t| t.lr(1e-3).train_batch_size(4000).optimizer(|o| o.eps(1e-5)))
///     .rl_module(|m| m.fcnet_hiddens([64, 64]))
///     .stop("env_runners/episode_return_mean", 475.0);
/// assert!(config.validate().is_ok());
/// ```
pub type PpoConfig = ConfigOf<PpoTraining>;

training_options! {
    /// PPO (Schulman et al., 2017): batch, loss and optimizer. Defaults are RLlib's.
    pub struct PpoTraining {
        use gamma = 0.99;
        use lr = 5e-5;
        use lambda_ = 1.0;
        use train_batch_size = 4000;
        /// Rows of one gradient step. When it does not divide the batch, the last minibatch of an epoch is short and averaged over its own rows.
        minibatch_size: usize = 128 => min(1.0), unit("rows"), synonyms(&["sgd_minibatch_size"]), called(&[("SB3 and Tianshou", "batch_size")]);
        /// Passes over the batch in one iteration.
        num_epochs: usize = 30 => between(1.0, 100_000.0), synonyms(&["num_sgd_iter"]), called(&[("SB3", "n_epochs"), ("CleanRL", "update_epochs"), ("Tianshou", "repeat_per_collect"), ("Tianshou", "update_step_num_repetitions")]);
        /// Draw the rows of each epoch's minibatches anew. `false` keeps the order of collection.
        shuffle_batch_per_epoch: bool = true;
        use use_critic = true;
        use use_gae = true;
        /// Add the penalty `kl_coeff` × KL(old policy ‖ new policy) to the loss.
        use_kl_loss: bool = true;
        /// First weight of the KL penalty; it adapts to `kl_target` after every iteration: × 1.5 when KL > 2 × target, × 0.5 when KL < 0.5 × target.
        kl_coeff: f64 = 0.2 => min(0.0);
        /// KL divergence that the penalty's weight aims at.
        kl_target: f64 = 0.01 => above(0.0), unit("nats");
        /// Stop an iteration's updates early once the KL divergence exceeds 1.5 × this value (SB3's `target_kl`). `none` never stops early.
        target_kl: Option<f64> = None => above(0.0), unit("nats");
        use vf_loss_coeff = 1.0;
        use entropy_coeff = 0.0;
        /// Bound ε on the probability ratio: clipped to [1 − ε, 1 + ε]. A schedule over environment steps is accepted.
        clip_param: ScheduleSpec = 0.3 => above(0.0), called(&[("SB3", "clip_range"), ("CleanRL", "clip_coef"), ("Tianshou", "eps_clip")]);
        /// Bound on the squared value error of a row, RLlib's meaning. `none` switches it off.
        vf_clip_param: Option<f64> = 10.0 => above(0.0);
        /// Bound on how far the value may move from the old one: the loss is the greater of the plain and the bounded squared error, as in the PPO authors' code and CleanRL. `none` switches it off.
        clip_range_vf: Option<f64> = None => above(0.0), called(&[("CleanRL", "clip_vloss"), ("Tianshou", "value_clip")]);
        use grad_clip = None;
        use standardize_advantages = StandardizeAdvantages::Batch;
    }
}

impl Training for PpoTraining {
    const ALGORITHM: &'static str = "PPO";
    const SUMMARY: &'static str =
        "Proximal policy optimization (Schulman et al., 2017): on-policy, discrete and continuous actions";

    fn other_defaults(common: &mut CommonConfig) {
        common.env_runners.num_env_runners = 2;
    }

    fn update(&self) -> UpdateOptions {
        UpdateOptions {
            gamma: self.gamma,
            lr: self.lr.clone(),
            train_batch_size: self.train_batch_size,
            minibatch_size: Some(self.minibatch_size),
            microbatch_size: None,
            num_epochs: self.num_epochs,
            shuffle: self.shuffle_batch_per_epoch,
            standardize_advantages: self.standardize_advantages,
            grad_clip: self.grad_clip,
            grad_clip_by: self.grad_clip_by,
            critic: Some(CriticOptions {
                use_critic: self.use_critic,
                use_gae: self.use_gae,
                lambda: self.lambda_,
            }),
            value_network: true,
        }
    }
}
