//! The configuration of A2C.

use super::choices::StandardizeAdvantages;
use super::common_config::CommonConfig;
use super::config_of::ConfigOf;
use super::training::{CriticOptions, Training, UpdateOptions, training_options};

/// The configuration of A2C, with the names and defaults of RLlib's last version that had it (2.7).
///
/// ```
/// use skirl::config::A2cConfig;
///
/// let config = A2cConfig::new().environment("CartPole-v1").training(|t| t.lr(1e-3).lambda_(0.95));
/// assert!(config.validate().is_ok());
/// ```
pub type A2cConfig = ConfigOf<A2cTraining>;

training_options! {
    /// A2C (Mnih et al., 2016, synchronous): batch, loss and optimizer. Defaults are RLlib's.
    pub struct A2cTraining {
        use gamma = 0.99;
        use lr = 1e-4;
        use lambda_ = 1.0;
        use train_batch_size = 32;
        /// Rows of one gradient computation: the gradients of the parts of a batch add up to that of the whole, and one step follows. `none` does it at once. The result is the same up to rounding, and so is the memory here, where gradients are always computed in chunks of 64 rows.
        microbatch_size: Option<usize> = None => min(1.0), unit("rows");
        use use_critic = true;
        use use_gae = true;
        use vf_loss_coeff = 0.5;
        use entropy_coeff = 0.01;
        use grad_clip = 40.0;
        use standardize_advantages = StandardizeAdvantages::Off;
    }
}

impl Training for A2cTraining {
    const ALGORITHM: &'static str = "A2C";
    const SUMMARY: &'static str =
        "Advantage actor-critic (Mnih et al., 2016, synchronous): on-policy, one step per batch";

    fn other_defaults(common: &mut CommonConfig) {
        common.env_runners.num_env_runners = 2;
    }

    fn update(&self) -> UpdateOptions {
        UpdateOptions {
            microbatch_size: self.microbatch_size,
            standardize_advantages: self.standardize_advantages,
            grad_clip: self.grad_clip,
            grad_clip_by: self.grad_clip_by,
            critic: Some(CriticOptions {
                use_critic: self.use_critic,
                use_gae: self.use_gae,
                lambda: self.lambda_,
            }),
            value_network: self.use_critic,
            ..UpdateOptions::one_step(self.gamma, &self.lr, self.train_batch_size)
        }
    }
}
