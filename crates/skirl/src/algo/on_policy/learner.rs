//! An update over a batch: epochs of minibatches, or one step over all rows.

use skirl_math::rng::Stream;
use skirl_math::stats::{Denominator, explained_variance, standardize};

use super::UpdateRule;
use crate::config::{StandardizeAdvantages, UpdateOptions};
use crate::contract::{Herald, Observations};
use crate::error::Error;
use crate::learn::{Batch, Learner, Loss};

/// RLlib's floor of the deviation that advantages are divided by.
const STD_MIN: f64 = 1e-4;
/// SB3's and CleanRL's addend to it.
const STD_EPSILON: f64 = 1e-8;

/// Buffers of a rule's loss.
type ScratchOf<R> = <<R as UpdateRule>::Loss as Loss>::Scratch;

/// The learner of one module together with what is kept from iteration to iteration.
#[derive(Debug)]
pub struct BatchLearner<R: UpdateRule> {
    /// Weights, optimizer, gradients.
    pub learner: Learner<ScratchOf<R>>,
    /// How the batch is gone through.
    pub options: UpdateOptions,
    /// The algorithm's own part.
    pub rule: R,
    /// Order of the rows in each epoch.
    pub shuffle: Stream,
    /// Rows trained on since the start of the run, each epoch counted.
    pub rows_trained: u64,
    order: Vec<u32>,
    gathered: Option<Batch>,
    spent: Observations,
    kept: Option<(R, Stream, u64)>,
    herald: Option<Herald>,
}

/// Sums over the minibatches of one epoch.
#[derive(Debug, Clone, Default)]
pub struct EpochSums {
    /// In the order of the loss's statistics.
    pub sums: Vec<f64>,
    /// Rows summed over.
    pub rows: f64,
}

/// What does not change within an epoch.
#[derive(Debug)]
struct Iteration<L> {
    loss: L,
    lr: f64,
    env_steps: u64,
    is_last_epoch: bool,
}

/// Sums over the minibatches of an iteration.
#[derive(Debug, Default)]
struct Totals {
    all: EpochSums,
    last_epoch: EpochSums,
    norm: f64,
    updates: f64,
}

impl<R: UpdateRule> BatchLearner<R> {
    /// Starts with the rule's first state.
    pub fn new(learner: Learner<ScratchOf<R>>, options: UpdateOptions, rule: R, shuffle: Stream) -> Self {
        let (order, gathered, spent) = (Vec::new(), None, Observations::default());
        let (kept, herald) = (None, None);
        Self { learner, options, rule, shuffle, rows_trained: 0, order, gathered, spent, kept, herald }
    }

    /// Has `herald` called before the last minibatch of every update.
    pub fn set_herald(&mut self, herald: Herald) {
        self.herald = Some(herald);
    }

    /// Remembers the whole state for [`roll_back`](Self::roll_back).
    pub fn keep(&mut self) {
        self.learner.keep();
        self.kept = Some((self.rule.clone(), self.shuffle, self.rows_trained));
    }

    /// Goes back to what [`keep`](Self::keep) remembered last.
    pub fn roll_back(&mut self) {
        let Some((rule, shuffle, rows_trained)) = self.kept.take() else { return };
        self.learner.roll_back();
        self.rule = rule;
        self.shuffle = shuffle;
        self.rows_trained = rows_trained;
    }

    /// Trains on `batch` and reports metrics under RLlib's names.
    pub fn update(&mut self, mut batch: Batch, env_steps: u64) -> Result<Vec<(&'static str, f64)>, Error> {
        let explained = match self.learner.policy().has_value() {
            true => explained_variance(&batch.value_targets, &batch.values),
            false => None,
        };
        if self.options.standardize_advantages == StandardizeAdvantages::Batch {
            standardize(&mut batch.advantages, Denominator::Floor(STD_MIN));
        }
        let lr = self.options.lr.value_at(env_steps);
        let mut iteration =
            Iteration { loss: self.rule.loss(env_steps), lr, env_steps, is_last_epoch: false };
        let mut totals = Totals::default();
        totals.all.sums.resize(iteration.loss.stats().len(), 0.0);
        for epoch in 1..=self.options.num_epochs {
            iteration.is_last_epoch = epoch == self.options.num_epochs;
            if !self.epoch(&mut batch, &iteration, &mut totals)? {
                break;
            }
        }
        self.learner.check_weights()?;
        let metrics = self.metrics(&totals, &iteration, explained);
        self.rule.adapt(&totals.last_epoch);
        self.spent = batch.obs;
        Ok(metrics)
    }

    /// The memory of the last batch's observations. What is in it is of no use any more.
    pub fn take_spent(&mut self) -> Observations {
        std::mem::take(&mut self.spent)
    }

    /// One pass; `false` when the rule ended the iteration.
    fn epoch(
        &mut self,
        batch: &mut Batch,
        iteration: &Iteration<R::Loss>,
        totals: &mut Totals,
    ) -> Result<bool, Error> {
        let zeros = EpochSums { sums: vec![0.0; totals.all.sums.len()], rows: 0.0 };
        let before = std::mem::replace(&mut totals.last_epoch, zeros);
        let goes_on = match (self.options.shuffle, self.options.num_epochs) {
            // A single pass in the order of collection needs no copy of the rows.
            (false, 1) => self.minibatches(batch, iteration, totals),
            _ => {
                let mut epoch = self.gather(batch);
                let goes_on = self.minibatches(&mut epoch, iteration, totals);
                self.gathered = Some(epoch);
                goes_on
            }
        };
        if totals.last_epoch.rows == 0.0 {
            // The epoch was stopped before its first step: the one before it was the last.
            totals.last_epoch = before;
        }
        goes_on
    }

    /// The rows in the order of the next epoch.
    fn gather(&mut self, batch: &Batch) -> Batch {
        let kept = self.gathered.take().filter(|kept| kept.rows() == batch.rows());
        let mut epoch = kept.unwrap_or_else(|| Batch::like(batch, batch.rows()));
        if self.options.shuffle {
            self.shuffle.permutation(batch.rows() as u32, &mut self.order);
        } else {
            self.order.clear();
            self.order.extend(0..batch.rows() as u32);
        }
        epoch.gather(batch, &self.order);
        epoch
    }

    fn minibatches(
        &mut self,
        epoch: &mut Batch,
        iteration: &Iteration<R::Loss>,
        totals: &mut Totals,
    ) -> Result<bool, Error> {
        let size = self.options.minibatch_size.unwrap_or(epoch.rows());
        for start in (0..epoch.rows()).step_by(size.max(1)) {
            let rows = start..(start + size).min(epoch.rows());
            if iteration.is_last_epoch && rows.end == epoch.rows() {
                self.herald.iter().for_each(Herald::call);
            }
            if self.options.standardize_advantages == StandardizeAdvantages::Minibatch {
                standardize(&mut epoch.advantages[rows.clone()], Denominator::Add(STD_EPSILON));
            }
            let stats = match self.options.microbatch_size {
                None => self.learner.gradients(&iteration.loss, epoch, rows.clone())?,
                Some(part) => self.learner.gradients_in_parts(&iteration.loss, epoch, rows.clone(), part)?,
            };
            if self.rule.is_enough(&stats) {
                return Ok(false);
            }
            let norm = self.learner.apply(iteration.lr)?;
            totals.add(&stats.sums, rows.len(), norm);
            self.rows_trained += rows.len() as u64;
        }
        Ok(true)
    }

    fn metrics(
        &self,
        totals: &Totals,
        iteration: &Iteration<R::Loss>,
        explained: Option<f64>,
    ) -> Vec<(&'static str, f64)> {
        let loss = &iteration.loss;
        let mut metrics = Vec::new();
        if totals.all.rows > 0.0 {
            let means: Vec<f64> = totals.all.sums.iter().map(|sum| sum / totals.all.rows).collect();
            metrics.push(("total_loss", loss.total(&means)));
            metrics.extend(loss.stats().iter().copied().zip(means));
        }
        if let Some(explained) = explained {
            metrics.push(("vf_explained_var", explained));
        }
        metrics.extend(self.rule.coefficients(loss, iteration.env_steps));
        metrics.push(("default_optimizer_learning_rate", iteration.lr));
        if totals.norm > 0.0 {
            metrics.push(("gradients_default_optimizer_global_norm", totals.norm / totals.updates));
        }
        metrics.push(("num_grad_updates_lifetime", self.learner.updates() as f64));
        metrics.push(("num_module_steps_trained", totals.all.rows));
        metrics.push(("num_module_steps_trained_lifetime", self.rows_trained as f64));
        metrics
    }
}

impl Totals {
    fn add(&mut self, sums: &[f64], rows: usize, norm: Option<f64>) {
        for totals in [&mut self.all, &mut self.last_epoch] {
            totals.sums.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
            totals.rows += rows as f64;
        }
        self.norm += norm.unwrap_or(0.0);
        self.updates += 1.0;
    }
}
