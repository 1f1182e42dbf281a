//! The learner of one module: owns the weights being trained, the optimizer and the gradient buffers.

use std::ops::Range;
use std::sync::Arc;

use skirl_nn::optim::{GradClip, Optimizer, global_norm};
use skirl_nn::{Grads, NamedTensor, SeparateOutputs};

use super::Batch;
use super::gradient::{GradientEngine, GradientStats};
use super::loss::{Loss, LossContext};
use crate::contract::{ModuleId, Policy};
use crate::error::Error;
use crate::workers::{Gate, Workers};

/// What a learner is made of.
#[derive(Debug)]
pub struct LearnerOptions {
    /// Module id, for messages.
    pub module: ModuleId,
    /// The policy with its initial weights.
    pub policy: Policy,
    /// Optimizer over the policy's parameters.
    pub optimizer: Box<dyn Optimizer>,
    /// Gradient clipping, if any.
    pub clip: Option<GradClip>,
    /// Report the gradient's global norm also where nothing is clipped.
    pub log_norm: bool,
    /// Threads.
    pub workers: Arc<Workers>,
}

/// Trains one module.
pub struct Learner<S> {
    module: ModuleId,
    policy: Policy,
    optimizer: Box<dyn Optimizer>,
    clip: Option<GradClip>,
    log_norm: bool,
    tensors: Vec<Range<usize>>,
    workers: Arc<Workers>,
    engine: GradientEngine<S>,
    /// Whether several threads take part in a step of the optimizer.
    gate: Gate,
    grads: Grads,
    updates: u64,
    kept: Kept,
}

/// Weights and optimizer state to go back to.
#[derive(Debug, Default)]
struct Kept {
    values: Vec<f32>,
    buffers: Vec<Vec<f32>>,
    optimizer_steps: u64,
    updates: u64,
}

impl<S: Send> Learner<S> {
    /// Ready to train.
    pub fn new(options: LearnerOptions) -> Self {
        let params = options.policy.net.params();
        let grads = Grads::new(params);
        let tensors = params.layout().tensors().iter();
        let tensors = tensors.map(|tensor| tensor.offset()..tensor.offset() + tensor.flat_len()).collect();
        Self {
            module: options.module,
            policy: options.policy,
            optimizer: options.optimizer,
            clip: options.clip,
            log_norm: options.log_norm,
            tensors,
            workers: options.workers,
            engine: GradientEngine::new(),
            gate: Gate::default(),
            grads,
            updates: 0,
            kept: Kept::default(),
        }
    }

    /// Remembers weights and optimizer state for [`roll_back`](Self::roll_back).
    pub fn keep(&mut self) {
        copy(self.policy.net.params().values(), &mut self.kept.values);
        let buffers = self.optimizer.buffers();
        self.kept.buffers.resize(buffers.len(), Vec::new());
        for ((_, flat), kept) in buffers.into_iter().zip(&mut self.kept.buffers) {
            copy(flat, kept);
        }
        self.kept.optimizer_steps = self.optimizer.num_steps();
        self.kept.updates = self.updates;
    }

    /// Goes back to what [`keep`](Self::keep) remembered last: an update that failed leaves nothing behind.
    pub fn roll_back(&mut self) {
        let values = self.policy.net.params_mut().values_mut();
        if self.kept.values.len() != values.len() {
            return;
        }
        values.copy_from_slice(&self.kept.values);
        self.policy.net.refresh();
        for ((_, flat), kept) in self.optimizer.buffers_mut().into_iter().zip(&self.kept.buffers) {
            flat.copy_from_slice(kept);
        }
        self.optimizer.set_num_steps(self.kept.optimizer_steps);
        self.updates = self.kept.updates;
    }

    /// The policy with the newest weights.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// For restoring: call [`Policy`]'s `net.refresh()` after changing parameters.
    pub fn policy_mut(&mut self) -> &mut Policy {
        &mut self.policy
    }

    /// The optimizer, for saving its state.
    pub fn optimizer(&self) -> &dyn Optimizer {
        &*self.optimizer
    }

    /// The optimizer, for restoring its state.
    pub fn optimizer_mut(&mut self) -> &mut dyn Optimizer {
        &mut *self.optimizer
    }

    /// Minibatch updates since the start of the run.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Sets the count of updates (a restored checkpoint).
    pub fn set_updates(&mut self, updates: u64) {
        self.updates = updates;
    }

    /// The gradient of one minibatch, kept until [`apply`](Self::apply). Returns the loss's sums.
    pub fn gradients<L: Loss<Scratch = S>>(
        &mut self,
        loss: &L,
        batch: &Batch,
        rows: Range<usize>,
    ) -> Result<GradientStats, Error> {
        let inverse_rows = 1.0 / rows.len() as f32;
        let context = LossContext { policy: &self.policy, batch, inverse_rows };
        let stats = self.engine.compute(loss, context, rows, &self.workers, &mut self.grads)?;
        match stats.sums.iter().find(|sum| !sum.is_finite()) {
            Some(&bad) => Err(self.diverged("the loss", bad)),
            None => Ok(stats),
        }
    }

    /// As [`gradients`](Self::gradients), in parts of `part` rows one after the other whose gradients add up. The result is
    /// that of all rows at once, up to the order of the sums.
    pub fn gradients_in_parts<L: Loss<Scratch = S>>(
        &mut self,
        loss: &L,
        batch: &Batch,
        rows: Range<usize>,
        part: usize,
    ) -> Result<GradientStats, Error> {
        let inverse_rows = 1.0 / rows.len() as f32;
        let mut sum = Grads::new(self.policy.net.params());
        let mut total = GradientStats { sums: vec![0.0; loss.stats().len()], rows: rows.len() };
        for start in rows.clone().step_by(part.max(1)) {
            let part = start..(start + part.max(1)).min(rows.end);
            let context = LossContext { policy: &self.policy, batch, inverse_rows };
            let stats = self.engine.compute(loss, context, part, &self.workers, &mut self.grads)?;
            total.sums.iter_mut().zip(stats.sums).for_each(|(total, part)| *total += part);
            sum.add(&self.grads)?;
        }
        self.grads = sum;
        match total.sums.iter().find(|sum| !sum.is_finite()) {
            Some(&bad) => Err(self.diverged("the loss", bad)),
            None => Ok(total),
        }
    }

    /// Clips the gradient and takes one optimizer step. Returns the global norm before clipping, where it was computed.
    pub fn apply(&mut self, lr: f64) -> Result<Option<f64>, Error> {
        let norm = self.clip_gradients();
        if let Some(norm) = norm.filter(|norm| !norm.is_finite()) {
            return Err(self.diverged("the gradient norm", norm));
        }
        self.step(lr)?;
        self.updates += 1;
        Ok(norm)
    }

    /// One optimizer step. Several threads take an output each, whose weights and gradients they have in their caches.
    fn step(&mut self, lr: f64) -> Result<(), Error> {
        let net = &mut self.policy.net;
        if self.workers.num_threads() == 1 || net.separate_outputs().is_none() {
            self.optimizer.step(net.params_mut().values_mut(), self.grads.values(), lr)?;
            net.refresh();
            return Ok(());
        }
        let outputs = net.separate_outputs_mut().map(SeparateOutputs::update_outputs).unwrap_or_default();
        let lens: Vec<usize> = outputs.iter().map(|output| output.params.len()).collect();
        let pieces = self.optimizer.pieces(&lens, self.grads.values(), lr)?;
        let mut tasks: Vec<_> = outputs.into_iter().zip(pieces).map(Some).collect();
        self.workers.for_each(&mut self.gate, 1, &mut tasks, |_, task| {
            let Some((output, piece)) = task.take() else { return };
            piece(output.params);
            (output.refresh)(output.params);
        });
        Ok(())
    }

    /// The global norm before clipping, where it was computed.
    fn clip_gradients(&mut self) -> Option<f64> {
        let grads = self.grads.values_mut();
        match self.clip {
            Some(clip) => Some(f64::from(clip.apply(grads, &self.tensors))),
            None if self.log_norm => Some(f64::from(global_norm(grads))),
            None => None,
        }
    }

    /// The optimizer's buffers under the names of the parameters.
    pub fn save_optimizer(&self) -> Result<Vec<(String, Vec<NamedTensor>)>, Error> {
        let params = self.policy.net.params();
        let buffers = self.optimizer.buffers().into_iter();
        buffers.map(|(name, flat)| Ok((name.to_owned(), params.export_buffer(flat)?))).collect()
    }

    /// Puts saved buffers back, with the number of steps taken.
    pub fn restore_optimizer(
        &mut self,
        saved: &[(String, Vec<NamedTensor>)],
        steps: u64,
    ) -> Result<(), Error> {
        let params = self.policy.net.params();
        for (name, flat) in self.optimizer.buffers_mut() {
            let tensors = saved.iter().find(|(saved, _)| saved == name).ok_or_else(|| Error::Mismatch {
                what: "the saved optimizer state".to_owned(),
                expected: format!("a buffer named '{name}'"),
                found: saved.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "),
                remedy: "Restore with the optimizer that wrote the checkpoint".to_owned(),
            })?;
            params.import_buffer(&tensors.1, flat)?;
        }
        self.optimizer.set_num_steps(steps);
        Ok(())
    }

    /// An error if any weight is NaN or infinite: called before weights are published.
    pub fn check_weights(&self) -> Result<(), Error> {
        match self.policy.net.params().values().iter().find(|value| !value.is_finite()) {
            Some(&value) => Err(self.diverged("a weight", f64::from(value))),
            None => Ok(()),
        }
    }

    fn diverged(&self, what: &'static str, value: f64) -> Error {
        Error::Diverged { what, module: self.module.clone(), value, updates: self.updates }
    }
}

fn copy(from: &[f32], to: &mut Vec<f32>) {
    to.clear();
    to.extend_from_slice(from);
}

impl<S> std::fmt::Debug for Learner<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Learner")
            .field("module", &self.module)
            .field("updates", &self.updates)
            .finish_non_exhaustive()
    }
}
