//! Gradients of one minibatch, on one or many threads, with the same bytes.
//!
//! The work is cut twice. Where outputs share nothing, each with its parameters is a **part** of its own: a thread that
//! keeps to one part has the weights and gradients of that part in its cache. Rows are cut into **runs** of chunks; a part's
//! gradient is the sum of its runs in order, whoever computed them.

use std::ops::Range;

use skirl_nn::{AlignedVec, Grads, Mat, Tape};

use super::loss::{Loss, LossContext};
use crate::contract::Policy;
use crate::error::Error;
use crate::workers::{Gate, Workers};

/// Rows of one chunk: the unit in which gradients are summed.
pub const CHUNK_ROWS: usize = 64;
/// Most runs of chunks that a minibatch is cut into; also the most threads that one part of a minibatch can use.
pub const RUNS: usize = 8;

/// Fewest parameters that a thread of its own adds up.
const FOLD_MIN: usize = 16_384;
/// Parts of which one has this many times the parameters of another are not given to threads whole.
const UNEVEN: usize = 2;

/// Outputs that are learned together, and their parameters.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    /// One of them, or all.
    outputs: Range<usize>,
    params: Range<usize>,
}

/// What one task works with.
struct Buffers<S> {
    tape: Tape,
    scratch: S,
    /// The gradient of each run that cannot be added to the total at once.
    sums: Vec<AlignedVec>,
    /// The loss's sums over each run.
    stats: Vec<Vec<f64>>,
}

/// Some consecutive runs of one part.
struct Task<'a, S> {
    part: &'a Part,
    runs: &'a [Range<usize>],
    /// The part's gradient, for the task with the first runs, which adds them in order. Other tasks keep theirs apart.
    total: Option<&'a mut [f32]>,
    buffers: &'a mut Buffers<S>,
    outcome: Result<(), Error>,
}

/// Sums of one minibatch.
#[derive(Debug, Clone, Default)]
pub struct GradientStats {
    /// In the order of [`Loss::stats`].
    pub sums: Vec<f64>,
    /// Rows summed over.
    pub rows: usize,
}

/// Computes gradients; keeps its buffers from call to call.
pub struct GradientEngine<S> {
    buffers: Vec<Buffers<S>>,
    gate: Gate,
    fold_gate: Gate,
}

impl<S: Send> GradientEngine<S> {
    /// No buffers yet.
    pub fn new() -> Self {
        Self { buffers: Vec::new(), gate: Gate::default(), fold_gate: Gate::default() }
    }

    /// Sets `grads` to the gradient of the mean loss over `rows` of the batch.
    pub fn compute<L: Loss<Scratch = S>>(
        &mut self,
        loss: &L,
        context: LossContext<'_>,
        rows: Range<usize>,
        workers: &Workers,
        grads: &mut Grads,
    ) -> Result<GradientStats, Error> {
        let (parts, runs) = (parts(loss, context.policy), cut(rows.clone()));
        let per_part = tasks_per_part(&parts, workers.num_threads());
        while self.buffers.len() < parts.len() * per_part {
            self.buffers.push(Buffers::new(loss, context.policy));
        }
        let mut tasks = share_out(&parts, &runs, per_part, &mut self.buffers, grads);
        workers.for_each(&mut self.gate, rows.len(), &mut tasks, |_, task| {
            task.outcome = task.run(loss, context);
        });
        let mut sums = vec![0.0; loss.stats().len()];
        for task in tasks {
            task.outcome?;
            task.buffers.stats[..task.runs.len()].iter().for_each(|run| add_stats(&mut sums, run));
        }
        if per_part > 1 {
            self.fold(&parts, &runs, per_part, workers, grads);
        }
        Ok(GradientStats { sums, rows: rows.len() })
    }

    /// Adds the runs that were kept apart to the total, in order; each thread in its own piece of the parameters.
    fn fold(
        &mut self,
        parts: &[Part],
        runs: &[Range<usize>],
        per_part: usize,
        workers: &Workers,
        grads: &mut Grads,
    ) {
        let mut pieces = Vec::new();
        let mut rest = grads.values_mut();
        for (part, buffers) in parts.iter().zip(self.buffers.chunks(per_part)) {
            let (own, after) = rest.split_at_mut(part.params.len());
            rest = after;
            let apart = task_runs(runs, per_part).zip(buffers).skip(1);
            let sums: Vec<&[f32]> =
                apart.flat_map(|(runs, buffers)| &buffers.sums[..runs.len()]).map(|sum| &**sum).collect();
            let len = own.len().div_ceil(workers.num_threads()).max(FOLD_MIN);
            let starts = (0..own.len()).step_by(len);
            pieces.extend(own.chunks_mut(len).zip(starts).map(|(piece, start)| (piece, start, sums.clone())));
        }
        let cost = pieces.iter().map(|(piece, ..)| piece.len()).sum();
        workers.for_each(&mut self.fold_gate, cost, &mut pieces, |_, (piece, start, sums)| {
            sums.iter().for_each(|sum| add(piece, &sum[*start..]));
        });
    }
}

/// The outputs one by one where module and loss allow it, or all together.
fn parts<L: Loss>(loss: &L, policy: &Policy) -> Vec<Part> {
    let outputs = 0..policy.net.output_widths().len();
    match policy.net.separate_outputs().filter(|_| loss.is_separate()) {
        Some(net) => outputs.map(|i| Part { outputs: i..i + 1, params: net.output_params(i) }).collect(),
        None => vec![Part { outputs, params: 0..policy.net.params().values().len() }],
    }
}

/// As many as give every thread a task, and more where parts are too uneven to be one thread's work each.
fn tasks_per_part(parts: &[Part], num_threads: usize) -> usize {
    let len = |part: &Part| part.params.len();
    let (least, most) = (parts.iter().map(len).min(), parts.iter().map(len).max());
    match (num_threads, least, most) {
        (1, ..) => 1,
        (_, Some(least), Some(most)) if most < UNEVEN * least => num_threads.div_ceil(parts.len()).min(RUNS),
        _ => num_threads.min(RUNS),
    }
}

/// The runs of each task of a part: consecutive, in order, as even as may be.
fn task_runs(runs: &[Range<usize>], tasks: usize) -> impl Iterator<Item = &[Range<usize>]> {
    (0..tasks).map(move |task| &runs[task * runs.len() / tasks..(task + 1) * runs.len() / tasks])
}

fn share_out<'a, S>(
    parts: &'a [Part],
    runs: &'a [Range<usize>],
    per_part: usize,
    buffers: &'a mut [Buffers<S>],
    grads: &'a mut Grads,
) -> Vec<Task<'a, S>> {
    let mut tasks = Vec::with_capacity(parts.len() * per_part);
    let mut rest = grads.values_mut();
    for (part, buffers) in parts.iter().zip(buffers.chunks_mut(per_part)) {
        let (own, after) = rest.split_at_mut(part.params.len());
        rest = after;
        let mut total = Some(own);
        for (runs, buffers) in task_runs(runs, per_part).zip(buffers) {
            tasks.push(Task { part, runs, total: total.take(), buffers, outcome: Ok(()) });
        }
    }
    tasks
}

impl<S> Buffers<S> {
    fn new<L: Loss<Scratch = S>>(loss: &L, policy: &Policy) -> Self {
        Self {
            tape: policy.net.tape(CHUNK_ROWS),
            scratch: loss.scratch(policy, CHUNK_ROWS),
            sums: Vec::new(),
            stats: vec![vec![0.0; loss.stats().len()]; RUNS],
        }
    }
}

impl<S: Send> Task<'_, S> {
    fn run<L: Loss<Scratch = S>>(&mut self, loss: &L, context: LossContext<'_>) -> Result<(), Error> {
        let mut total = self.total.take();
        if let Some(total) = &mut total {
            total.fill(0.0);
        }
        for (index, run) in self.runs.iter().enumerate() {
            self.buffers.stats[index].fill(0.0);
            match &mut total {
                // Adding a single chunk directly gives the same bytes as summing it apart first.
                Some(total) if run.len() <= CHUNK_ROWS => {
                    self.chunks(index, total, loss, context)?;
                }
                Some(total) => {
                    self.sum(0, index, loss, context)?;
                    add(total, &self.buffers.sums[0]);
                }
                None => self.sum(index, index, loss, context)?,
            }
        }
        Ok(())
    }

    /// The gradient of run `index` by itself, into buffer `place`.
    fn sum<L: Loss<Scratch = S>>(
        &mut self,
        place: usize,
        index: usize,
        loss: &L,
        context: LossContext<'_>,
    ) -> Result<(), Error> {
        let sums = &mut self.buffers.sums;
        if sums.len() <= place {
            sums.resize(place + 1, AlignedVec::zeros(self.part.params.len()));
        }
        let mut sum = std::mem::take(&mut sums[place]);
        sum.fill(0.0);
        let outcome = self.chunks(index, &mut sum, loss, context);
        self.buffers.sums[place] = sum;
        outcome
    }

    /// Forward, loss and reverse of each chunk of run `index` in turn; gradients are added to `grads`.
    fn chunks<L: Loss<Scratch = S>>(
        &mut self,
        index: usize,
        grads: &mut [f32],
        loss: &L,
        context: LossContext<'_>,
    ) -> Result<(), Error> {
        let (run, width) = (&self.runs[index], context.batch.obs_width);
        for start in run.clone().step_by(CHUNK_ROWS) {
            let rows = start..(start + CHUNK_ROWS).min(run.end);
            let obs = &context.batch.obs[start * width..rows.end * width];
            let inputs = [Mat::new(obs, rows.len(), width)];
            self.chunk(index, &inputs, rows, grads, loss, context)?;
        }
        Ok(())
    }

    fn chunk<L: Loss<Scratch = S>>(
        &mut self,
        index: usize,
        inputs: &[Mat<'_>],
        rows: Range<usize>,
        grads: &mut [f32],
        loss: &L,
        context: LossContext<'_>,
    ) -> Result<(), Error> {
        let Buffers { tape, scratch, stats, .. } = &mut *self.buffers;
        let (net, stats) = (&context.policy.net, &mut stats[index]);
        let outputs = self.part.outputs.clone();
        let is_one_of_several = outputs.len() < net.output_widths().len();
        if let Some(net) = net.separate_outputs().filter(|_| is_one_of_several) {
            net.forward_output(outputs.start, inputs, tape)?;
            loss.evaluate(outputs.clone(), context, rows, tape, scratch, stats)?;
            return Ok(net.backward_output(outputs.start, tape, grads)?);
        }
        net.forward(inputs, None, tape)?;
        loss.evaluate(outputs, context, rows, tape, scratch, stats)?;
        Ok(net.backward(tape, Some(grads), false)?)
    }
}

impl<S: Send> Default for GradientEngine<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> std::fmt::Debug for GradientEngine<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GradientEngine").field("buffers", &self.buffers.len()).finish_non_exhaustive()
    }
}

/// Cuts rows into runs of whole chunks: as many runs as chunks, up to [`RUNS`]. Depends on the number of rows only.
fn cut(rows: Range<usize>) -> Vec<Range<usize>> {
    let chunks = rows.len().div_ceil(CHUNK_ROWS);
    let count = chunks.clamp(1, RUNS);
    (0..count)
        .map(|run| {
            let bound = |index: usize| (rows.start + index * chunks / count * CHUNK_ROWS).min(rows.end);
            bound(run)..bound(run + 1)
        })
        .collect()
}

fn add(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

fn add_stats(to: &mut [f64], from: &[f64]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cover_all_rows_in_order_on_chunk_borders() {
        for len in [1, 63, 64, 65, 256, 500, 512, 513, 4000] {
            let runs = cut(10..10 + len);
            assert!(runs.len() <= RUNS);
            assert_eq!((runs[0].start, runs[runs.len() - 1].end), (10, 10 + len));
            for pair in runs.windows(2) {
                assert_eq!(pair[0].end, pair[1].start);
                assert_eq!((pair[0].end - 10) % CHUNK_ROWS, 0);
            }
            assert!(runs.iter().all(|run| !run.is_empty()), "{len}: {runs:?}");
            for tasks in 1..=RUNS {
                assert_eq!(task_runs(&runs, tasks).collect::<Vec<_>>().concat(), runs);
            }
        }
    }

    #[test]
    fn every_thread_has_a_task_and_uneven_parts_are_shared() {
        let part = |start, end| Part { outputs: 0..1, params: start..end };
        let even = [part(0, 100), part(100, 210)];
        let per_part = |parts: &[Part]| [1, 2, 3, 8].map(|threads| tasks_per_part(parts, threads));
        assert_eq!(per_part(&even), [1, 1, 2, 4]);
        assert_eq!(per_part(&[part(0, 100), part(100, 400)]), [1, 2, 3, 8]);
        assert_eq!(per_part(&even[..1]), [1, 2, 3, 8]);
    }
}
