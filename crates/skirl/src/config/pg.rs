//! The configuration of PG.

use super::choices::StandardizeAdvantages;
use super::config_of::ConfigOf;
use super::training::{Training, UpdateOptions, training_options};

/// The configuration of PG, with the names and defaults of RLlib's last version that had it (2.7).
///
/// ```
/// use skirl::config::PgConfig;
///
/// let config = PgConfig::new().environment("CartPole-v1").training(|t| t.lr(4e-3).train_batch_size(2000));
/// assert!(config.validate().is_ok());
/// ```
pub type PgConfig = ConfigOf<PgTraining>;

training_options! {
    /// PG (REINFORCE, Williams, 1992): batch, loss and optimizer. Defaults are RLlib's.
    pub struct PgTraining {
        use gamma = 0.99;
        use lr = 4e-4;
        use train_batch_size = 200;
        use grad_clip = None;
        use standardize_advantages = StandardizeAdvantages::Off;
    }
}

impl Training for PgTraining {
    const ALGORITHM: &'static str = "PG";
    const SUMMARY: &'static str =
        "Policy gradient (REINFORCE, Williams, 1992): on-policy, returns without a value function";

    fn update(&self) -> UpdateOptions {
        UpdateOptions {
            standardize_advantages: self.standardize_advantages,
            grad_clip: self.grad_clip,
            grad_clip_by: self.grad_clip_by,
            ..UpdateOptions::one_step(self.gamma, &self.lr, self.train_batch_size)
        }
    }
}
