//! Gradients of one minibatch, on one or many threads, with the same bytes.

use std::ops::Range;

use skirl_nn::Grads;
use skirl_nn::Mat;
use skirl_nn::Tape;

use super::loss::{Loss, LossContext};
use crate::error::Error;
use crate::workers::{Gate, Workers};

/// Rows of one chunk: the unit in which gradients are summed.
pub const CHUNK_ROWS: usize = 64;
/// Most runs of chunks that a minibatch is cut into; also the most threads that one minibatch can use.
pub const SEGMENTS: usize = 8;

/// Fewest parameters that a thread of its own adds up.
const FOLD_MIN: usize = 16_384;

/// The buffers of one run of chunks.
struct Segment<S> {
    tape: Tape,
    scratch: S,
    grads: Grads,
    stats: Vec<f64>,
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
    segments: Vec<Segment<S>>,
    gate: Gate,
    fold_gate: Gate,
}

impl<S: Send> GradientEngine<S> {
    /// No buffers yet.
    pub fn new() -> Self {
        Self { segments: Vec::new(), gate: Gate::default(), fold_gate: Gate::default() }
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
        let runs = cut(rows.clone());
        grads.zero();
        let mut total = GradientStats { sums: vec![0.0; loss.stats().len()], rows: rows.len() };
        if workers.num_threads() == 1 || runs.len() == 1 {
            self.one_after_the_other(loss, context, &runs, grads, &mut total)?;
        } else {
            self.side_by_side(loss, context, &runs, workers, grads, &mut total)?;
        }
        Ok(total)
    }

    /// With one segment's buffers only, which stay in the cache.
    fn one_after_the_other<L: Loss<Scratch = S>>(
        &mut self,
        loss: &L,
        context: LossContext<'_>,
        runs: &[Range<usize>],
        grads: &mut Grads,
        total: &mut GradientStats,
    ) -> Result<(), Error> {
        self.grow(1, loss, context);
        let segment = &mut self.segments[0];
        for run in runs {
            segment.stats.fill(0.0);
            if run.len() <= CHUNK_ROWS {
                // Adding a single chunk directly gives the same bytes as summing it apart first.
                run_chunks(
                    loss,
                    context,
                    run.clone(),
                    &mut segment.tape,
                    &mut segment.scratch,
                    grads,
                    &mut segment.stats,
                )?;
            } else {
                segment.run(loss, context, run.clone())?;
                grads.add(&segment.grads)?;
            }
            add(&mut total.sums, &segment.stats);
        }
        Ok(())
    }

    fn side_by_side<L: Loss<Scratch = S>>(
        &mut self,
        loss: &L,
        context: LossContext<'_>,
        runs: &[Range<usize>],
        workers: &Workers,
        grads: &mut Grads,
        total: &mut GradientStats,
    ) -> Result<(), Error> {
        self.grow(runs.len(), loss, context);
        let segments = &mut self.segments[..runs.len()];
        let rows = runs.iter().map(Range::len).sum();
        workers.for_each(&mut self.gate, rows, segments, |index, segment| {
            segment.stats.fill(0.0);
            segment.outcome = segment.run(loss, context, runs[index].clone());
        });
        for segment in segments.iter_mut() {
            std::mem::replace(&mut segment.outcome, Ok(()))?;
            add(&mut total.sums, &segment.stats);
        }
        self.fold(runs.len(), workers, grads);
        Ok(())
    }

    /// Adds the segments' gradients in order, each thread in its own part of the parameters.
    fn fold(&mut self, segments: usize, workers: &Workers, grads: &mut Grads) {
        let part = grads.values().len().div_ceil(workers.num_threads()).max(FOLD_MIN);
        let sums: Vec<&[f32]> =
            self.segments[..segments].iter().map(|segment| segment.grads.values()).collect();
        let mut parts: Vec<&mut [f32]> = grads.values_mut().chunks_mut(part).collect();
        let cost = parts.len() * part;
        workers.for_each(&mut self.fold_gate, cost, &mut parts, |index, to| {
            for sum in &sums {
                let from = &sum[index * part..][..to.len()];
                to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
            }
        });
    }

    fn grow<L: Loss<Scratch = S>>(&mut self, segments: usize, loss: &L, context: LossContext<'_>) {
        while self.segments.len() < segments {
            self.segments.push(Segment {
                tape: context.policy.net.tape(CHUNK_ROWS),
                scratch: loss.scratch(context.policy, CHUNK_ROWS),
                grads: Grads::new(context.policy.net.params()),
                stats: vec![0.0; loss.stats().len()],
                outcome: Ok(()),
            });
        }
    }
}

impl<S: Send> Default for GradientEngine<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> std::fmt::Debug for GradientEngine<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GradientEngine").field("segments", &self.segments.len()).finish_non_exhaustive()
    }
}

impl<S> Segment<S> {
    fn run<L: Loss<Scratch = S>>(
        &mut self,
        loss: &L,
        context: LossContext<'_>,
        rows: Range<usize>,
    ) -> Result<(), Error> {
        self.grads.zero();
        run_chunks(loss, context, rows, &mut self.tape, &mut self.scratch, &mut self.grads, &mut self.stats)
    }
}

/// Forward, loss and reverse of each chunk in turn; gradients are added to `grads`.
fn run_chunks<L: Loss>(
    loss: &L,
    context: LossContext<'_>,
    rows: Range<usize>,
    tape: &mut Tape,
    scratch: &mut L::Scratch,
    grads: &mut Grads,
    stats: &mut [f64],
) -> Result<(), Error> {
    let width = context.batch.obs_width;
    for start in rows.clone().step_by(CHUNK_ROWS) {
        let end = (start + CHUNK_ROWS).min(rows.end);
        let inputs = Mat::new(&context.batch.obs[start * width..end * width], end - start, width);
        context.policy.net.forward(&[inputs], None, tape)?;
        loss.evaluate(context, start..end, tape, scratch, stats)?;
        context.policy.net.backward(tape, Some(grads), false)?;
    }
    Ok(())
}

/// Cuts rows into runs of whole chunks: as many runs as chunks, up to [`SEGMENTS`]. Depends on the number of rows only.
fn cut(rows: Range<usize>) -> Vec<Range<usize>> {
    let chunks = rows.len().div_ceil(CHUNK_ROWS);
    let segments = chunks.clamp(1, SEGMENTS);
    (0..segments)
        .map(|segment| {
            let bound = |index: usize| (rows.start + index * chunks / segments * CHUNK_ROWS).min(rows.end);
            bound(segment)..bound(segment + 1)
        })
        .collect()
}

fn add(to: &mut [f64], from: &[f64]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cover_all_rows_in_order_on_chunk_borders() {
        for len in [1, 63, 64, 65, 256, 500, 512, 513, 4000] {
            let runs = cut(10..10 + len);
            assert!(runs.len() <= SEGMENTS);
            assert_eq!((runs[0].start, runs[runs.len() - 1].end), (10, 10 + len));
            for pair in runs.windows(2) {
                assert_eq!(pair[0].end, pair[1].start);
                assert_eq!((pair[0].end - 10) % CHUNK_ROWS, 0);
            }
            assert!(runs.iter().all(|run| !run.is_empty()), "{len}: {runs:?}");
        }
    }
}
