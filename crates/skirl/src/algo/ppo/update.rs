//! One PPO update: epochs of minibatches over a batch, the adaptive KL coefficient, early stopping.

use skirl_math::rng::Stream;
use skirl_math::stats::{Denominator, explained_variance, standardize};

use super::loss::{APPROX_KL, PpoLoss, PpoScratch, STATS};
use crate::config::{PpoTraining, StandardizeAdvantages};
use crate::error::Error;
use crate::learn::{Batch, Learner};

/// RLlib's floor of the deviation that advantages are divided by.
const STD_MIN: f64 = 1e-4;
/// SB3's and CleanRL's addend to it.
const STD_EPSILON: f64 = 1e-8;
/// An iteration's updates stop when the estimated KL passes this multiple of `target_kl` (SB3).
const TARGET_KL_FACTOR: f64 = 1.5;

/// The learner of one module together with what PPO keeps from iteration to iteration.
#[derive(Debug)]
pub struct PpoLearner {
    /// Weights, optimizer, gradients.
    pub learner: Learner<PpoScratch>,
    /// Options of this module.
    pub options: PpoTraining,
    /// β of the KL penalty, adapted after each iteration.
    pub kl_coeff: f64,
    /// Order of the rows in each epoch.
    pub shuffle: Stream,
    /// Rows trained on since the start of the run, each epoch counted.
    pub rows_trained: u64,
    order: Vec<u32>,
    gathered: Option<Batch>,
    kept: Option<(f64, Stream, u64)>,
}

/// What changes with the environment steps: schedules at their present value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coefficients {
    lr: f64,
    loss: PpoLoss,
}

/// Sums over the minibatches of an iteration.
#[derive(Debug, Default)]
struct Totals {
    all: Vec<f64>,
    rows: f64,
    last_epoch_kl: f64,
    last_epoch_rows: f64,
    norm: f64,
    updates: f64,
}

impl PpoLearner {
    /// Starts with the configured KL coefficient.
    pub fn new(learner: Learner<PpoScratch>, options: PpoTraining, shuffle: Stream) -> Self {
        let kl_coeff = options.kl_coeff;
        Self {
            learner,
            options,
            kl_coeff,
            shuffle,
            rows_trained: 0,
            order: Vec::new(),
            gathered: None,
            kept: None,
        }
    }

    /// Remembers the whole state for [`roll_back`](Self::roll_back).
    pub fn keep(&mut self) {
        self.learner.keep();
        self.kept = Some((self.kl_coeff, self.shuffle, self.rows_trained));
    }

    /// Goes back to what [`keep`](Self::keep) remembered last.
    pub fn roll_back(&mut self) {
        let Some((kl_coeff, shuffle, rows_trained)) = self.kept.take() else { return };
        self.learner.roll_back();
        self.kl_coeff = kl_coeff;
        self.shuffle = shuffle;
        self.rows_trained = rows_trained;
    }

    /// Trains on `batch` and reports metrics under RLlib's names.
    pub fn update(&mut self, mut batch: Batch, env_steps: u64) -> Result<Vec<(&'static str, f64)>, Error> {
        let explained = explained_variance(&batch.value_targets, &batch.values);
        if self.options.standardize_advantages == StandardizeAdvantages::Batch {
            standardize(&mut batch.advantages, Denominator::Floor(STD_MIN));
        }
        let coefficients = self.coefficients(env_steps);
        let mut totals = Totals { all: vec![0.0; STATS.len()], ..Totals::default() };
        for _ in 0..self.options.num_epochs {
            if !self.epoch(&batch, coefficients, &mut totals)? {
                break;
            }
        }
        self.learner.check_weights()?;
        let metrics = self.metrics(&totals, coefficients, explained, env_steps);
        self.adapt_kl(&totals);
        Ok(metrics)
    }

    /// One pass; `false` when the KL divergence ended the iteration.
    fn epoch(
        &mut self,
        batch: &Batch,
        coefficients: Coefficients,
        totals: &mut Totals,
    ) -> Result<bool, Error> {
        let kept = self.gathered.take().filter(|kept| kept.rows() == batch.rows());
        let mut epoch = kept.unwrap_or_else(|| Batch::like(batch, batch.rows()));
        if self.options.shuffle_batch_per_epoch {
            self.shuffle.permutation(batch.rows() as u32, &mut self.order);
        } else {
            self.order.clear();
            self.order.extend(0..batch.rows() as u32);
        }
        epoch.gather(batch, &self.order);
        let before = (totals.last_epoch_kl, totals.last_epoch_rows);
        (totals.last_epoch_kl, totals.last_epoch_rows) = (0.0, 0.0);
        let goes_on = self.minibatches(&mut epoch, coefficients, totals);
        if totals.last_epoch_rows == 0.0 {
            // The epoch was stopped before its first step: the one before it was the last.
            (totals.last_epoch_kl, totals.last_epoch_rows) = before;
        }
        self.gathered = Some(epoch);
        goes_on
    }

    fn minibatches(
        &mut self,
        epoch: &mut Batch,
        coefficients: Coefficients,
        totals: &mut Totals,
    ) -> Result<bool, Error> {
        for start in (0..epoch.rows()).step_by(self.options.minibatch_size) {
            let rows = start..(start + self.options.minibatch_size).min(epoch.rows());
            if self.options.standardize_advantages == StandardizeAdvantages::Minibatch {
                standardize(&mut epoch.advantages[rows.clone()], Denominator::Add(STD_EPSILON));
            }
            let stats = self.learner.gradients(&coefficients.loss, epoch, rows.clone())?;
            let approx_kl = stats.sums[APPROX_KL] / rows.len() as f64;
            if self.options.target_kl.is_some_and(|target| approx_kl > TARGET_KL_FACTOR * target) {
                return Ok(false);
            }
            let norm = self.learner.apply(coefficients.lr)?;
            totals.add(&stats.sums, rows.len(), norm);
            self.rows_trained += rows.len() as u64;
        }
        Ok(true)
    }

    fn coefficients(&self, env_steps: u64) -> Coefficients {
        let options = &self.options;
        let loss = PpoLoss {
            clip_param: options.clip_param.value_at(env_steps) as f32,
            vf_loss_coeff: options.vf_loss_coeff as f32,
            vf_clip_param: options.vf_clip_param.map_or(f32::INFINITY, |bound| bound as f32),
            clip_range_vf: options.clip_range_vf.map_or(f32::INFINITY, |bound| bound as f32),
            entropy_coeff: options.entropy_coeff.value_at(env_steps) as f32,
            kl_coeff: if options.use_kl_loss { self.kl_coeff as f32 } else { 0.0 },
            measure_kl: options.use_kl_loss,
            use_critic: options.use_critic,
        };
        Coefficients { lr: options.lr.value_at(env_steps), loss }
    }

    /// Raises β when the last epoch's mean KL is above twice the target, lowers it below half (Schulman et al. 2017, section 4).
    fn adapt_kl(&mut self, totals: &Totals) {
        if !self.options.use_kl_loss || totals.last_epoch_rows == 0.0 {
            return;
        }
        let kl = totals.last_epoch_kl / totals.last_epoch_rows;
        if kl > 2.0 * self.options.kl_target {
            self.kl_coeff *= 1.5;
        } else if kl < 0.5 * self.options.kl_target {
            self.kl_coeff *= 0.5;
        }
    }

    fn metrics(
        &self,
        totals: &Totals,
        coefficients: Coefficients,
        explained: Option<f64>,
        env_steps: u64,
    ) -> Vec<(&'static str, f64)> {
        let loss = coefficients.loss;
        let mut metrics = Vec::new();
        if totals.rows > 0.0 {
            let mean = |index: usize| totals.all[index] / totals.rows;
            let vf_loss_coeff = if loss.use_critic { f64::from(loss.vf_loss_coeff) } else { 0.0 };
            let total = mean(0) + vf_loss_coeff * mean(1) - f64::from(loss.entropy_coeff) * mean(3)
                + f64::from(loss.kl_coeff) * mean(4);
            metrics.push(("total_loss", total));
            metrics.extend(STATS.iter().enumerate().map(|(index, &name)| (name, mean(index))));
        }
        if let Some(explained) = explained {
            metrics.push(("vf_explained_var", explained));
        }
        metrics.push(("curr_kl_coeff", f64::from(loss.kl_coeff)));
        metrics.push(("curr_entropy_coeff", f64::from(loss.entropy_coeff)));
        metrics.push(("curr_clip_param", self.options.clip_param.value_at(env_steps)));
        metrics.push(("default_optimizer_learning_rate", coefficients.lr));
        if totals.norm > 0.0 {
            metrics.push(("gradients_default_optimizer_global_norm", totals.norm / totals.updates));
        }
        metrics.push(("num_grad_updates_lifetime", self.learner.updates() as f64));
        metrics.push(("num_module_steps_trained", totals.rows));
        metrics.push(("num_module_steps_trained_lifetime", self.rows_trained as f64));
        metrics
    }
}

impl Totals {
    fn add(&mut self, sums: &[f64], rows: usize, norm: Option<f64>) {
        self.all.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
        self.rows += rows as f64;
        self.last_epoch_kl += sums[4];
        self.last_epoch_rows += rows as f64;
        self.norm += norm.unwrap_or(0.0);
        self.updates += 1.0;
    }
}
