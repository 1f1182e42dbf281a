//! PPO's part of an update: the coefficients of its loss, the adaptive KL coefficient, early stopping.

use serde_json::{Map, Value, json};

use super::loss::{APPROX_KL, MEAN_KL, PpoLoss};
use crate::algo::on_policy::group::missing;
use crate::algo::on_policy::{COLLECT, EpochSums, GAE, PUBLISH, UpdateRule};
use crate::config::PpoTraining;
use crate::error::Error;
use crate::learn::gradient::GradientStats;

/// An iteration's updates stop when the estimated KL passes this multiple of `target_kl` (SB3).
const TARGET_KL_FACTOR: f64 = 1.5;

/// PPO with the options of one module.
#[derive(Debug, Clone)]
pub struct PpoRule {
    /// Options of this module.
    pub options: PpoTraining,
    /// β of the KL penalty, adapted after each iteration.
    pub kl_coeff: f64,
}

impl UpdateRule for PpoRule {
    type Training = PpoTraining;
    type Loss = PpoLoss;

    const STAGE: &'static str = "ppo_update";
    const STAGES: [&'static str; 4] = [
        COLLECT,
        GAE,
        "ppo_update   epochs of clipped minibatch updates              train_batch → new_weights, learner_results",
        PUBLISH,
    ];

    fn new(options: &PpoTraining) -> Self {
        Self { options: options.clone(), kl_coeff: options.kl_coeff }
    }

    fn loss(&self, env_steps: u64) -> PpoLoss {
        let options = &self.options;
        PpoLoss {
            clip_param: options.clip_param.value_at(env_steps) as f32,
            vf_loss_coeff: options.vf_loss_coeff as f32,
            vf_clip_param: options.vf_clip_param.map_or(f32::INFINITY, |bound| bound as f32),
            clip_range_vf: options.clip_range_vf.map_or(f32::INFINITY, |bound| bound as f32),
            entropy_coeff: options.entropy_coeff.value_at(env_steps) as f32,
            kl_coeff: if options.use_kl_loss { self.kl_coeff as f32 } else { 0.0 },
            measure_kl: options.use_kl_loss,
            use_critic: options.use_critic,
        }
    }

    fn coefficients(&self, loss: &PpoLoss, env_steps: u64) -> Vec<(&'static str, f64)> {
        vec![
            ("curr_kl_coeff", f64::from(loss.kl_coeff)),
            ("curr_entropy_coeff", f64::from(loss.entropy_coeff)),
            ("curr_clip_param", self.options.clip_param.value_at(env_steps)),
        ]
    }

    fn is_enough(&self, minibatch: &GradientStats) -> bool {
        let approx_kl = minibatch.sums[APPROX_KL] / minibatch.rows as f64;
        self.options.target_kl.is_some_and(|target| approx_kl > TARGET_KL_FACTOR * target)
    }

    /// Raises β when the last epoch's mean KL is above twice the target, lowers it below half (Schulman et al. 2017, section 4).
    fn adapt(&mut self, last_epoch: &EpochSums) {
        if !self.options.use_kl_loss || last_epoch.rows == 0.0 {
            return;
        }
        let kl = last_epoch.sums[MEAN_KL] / last_epoch.rows;
        if kl > 2.0 * self.options.kl_target {
            self.kl_coeff *= 1.5;
        } else if kl < 0.5 * self.options.kl_target {
            self.kl_coeff *= 0.5;
        }
    }

    fn save(&self) -> Map<String, Value> {
        Map::from_iter([("kl_coeff".to_owned(), json!(self.kl_coeff))])
    }

    fn restore(&mut self, state: &Value) -> Result<(), Error> {
        let kl_coeff = state.get("kl_coeff").and_then(Value::as_f64);
        self.kl_coeff = kl_coeff.ok_or_else(|| missing("kl_coeff"))?;
        Ok(())
    }
}
