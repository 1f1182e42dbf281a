//! The fused actor-critic step: forward, PPO loss, backward, gradient clipping, Adam, transposed copies; and inference.
//!
//! `cargo bench -p skirl-nn --bench train_step [-- FILTER]`, `SKIRL_ISA=avx2` for another instruction set. Prints the
//! least time of many short repetitions (the machine may be shared) and the share of the core's measured peak.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use skirl_nn::kernels::{peak, vmath};
use skirl_nn::simd::{Kernel, LANES, Simd, dispatch};
use skirl_nn::{ActorCritic, ActorCriticSpec, Grads, Mat, Module, Tape, isa};

const OBS: usize = 4;
const ACTIONS: usize = 2;

fn uniform(seed: u32, i: usize) -> f32 {
    let mut x = (i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(40_503) + 12_345);
    for _ in 0..2 {
        x ^= x >> 16;
        x = x.wrapping_mul(0x045d_9f3b);
    }
    ((x ^ (x >> 16)) >> 8) as f32 / 8_388_608.0 - 1.0
}

fn values(seed: u32, len: usize) -> Vec<f32> {
    (0..len).map(|i| uniform(seed, i)).collect()
}

fn actor_critic(obs_width: usize, hidden: &[usize], num_dist_inputs: usize) -> ActorCritic {
    let spec =
        ActorCriticSpec { obs_width, hidden: hidden.to_vec(), num_dist_inputs, ..ActorCriticSpec::default() };
    let mut net = ActorCritic::new(&spec).unwrap();
    let mut seed = 0;
    net.params_mut().init_tensors(|tensor, values| {
        seed += 1;
        let scale = 1.0 / (tensor.fan_in() as f32).sqrt();
        for (i, x) in values.iter_mut().enumerate() {
            *x = uniform(seed, i) * scale;
        }
    });
    net.refresh();
    net
}

/// Multiply-adds of one row, forward; and of the reverse with respect to the inputs of all but the first layers.
fn multiply_adds(obs: usize, hidden: &[usize], outputs: &[usize]) -> (usize, usize) {
    let (mut forward, mut inner) = (0, 0);
    for &output in outputs {
        let widths: Vec<usize> = [obs].into_iter().chain(hidden.iter().copied()).chain([output]).collect();
        let products: Vec<usize> = widths.windows(2).map(|w| w[0] * w[1]).collect();
        forward += products.iter().sum::<usize>();
        inner += products[1..].iter().sum::<usize>();
    }
    (forward, inner)
}

/// Columns of a minibatch.
struct Batch {
    obs: Vec<f32>,
    actions: Vec<usize>,
    old_logp: Vec<f32>,
    advantages: Vec<f32>,
    returns: Vec<f32>,
}

impl Batch {
    fn new(rows: usize) -> Self {
        Self {
            obs: values(1, rows * OBS),
            actions: (0..rows).map(|i| usize::from(uniform(2, i) > 0.0)).collect(),
            old_logp: values(3, rows).iter().map(|x| -0.7 + 0.1 * x).collect(),
            advantages: values(4, rows),
            returns: values(5, rows),
        }
    }
}

/// PPO's clipped loss for two actions, row by row in blocks of 16; writes the gradients of logits and value.
struct PpoLoss<'a> {
    batch: &'a Batch,
    logits: Mat<'a>,
    value: Mat<'a>,
    d_logits: skirl_nn::MatMut<'a>,
    d_value: skirl_nn::MatMut<'a>,
}

impl Kernel for PpoLoss<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let rows = self.logits.num_rows();
        let scale = 1.0 / rows as f32;
        for start in (0..rows).step_by(LANES) {
            let len = LANES.min(rows - start);
            let range = start..start + len;
            // With two actions, logp of the taken one is -softplus(other - taken).
            let mut margin = [0.0; LANES];
            for (m, r) in margin.iter_mut().zip(range.clone()) {
                let (row, taken) = (self.logits.row(r), self.batch.actions[r]);
                *m = row[1 - taken] - row[taken];
            }
            let margin_v = s.load(&margin);
            let logp = s.sub(s.splat(0.0), skirl_nn::simd::softplus(s, margin_v));
            let p_other = skirl_nn::simd::sigmoid(s, margin_v);
            let old = s.load_partial(&self.batch.old_logp[range.clone()]);
            let advantage = s.load_partial(&self.batch.advantages[range.clone()]);
            let ratio = skirl_nn::simd::exp(s, s.sub(logp, old));
            let surrogate = s.mul(ratio, advantage);
            let clipped = s.mul(s.max(s.splat(0.8), s.min(s.splat(1.2), ratio)), advantage);
            let active = s.select_lt(clipped, surrogate, s.splat(0.0), surrogate);
            let policy = s.mul(active, p_other);
            // Entropy of two actions: its derivative with respect to the margin is -margin p (1 - p).
            let p_taken = s.sub(s.splat(1.0), p_other);
            let entropy = s.mul(s.mul(margin_v, s.mul(p_other, p_taken)), s.splat(0.01));
            let mut d_margin = [0.0; LANES];
            s.store(s.mul(s.add(policy, entropy), s.splat(scale)), &mut d_margin);
            for (i, r) in range.enumerate() {
                let taken = self.batch.actions[r];
                let row = self.d_logits.row_mut(r);
                row[taken] = -d_margin[i];
                row[1 - taken] = d_margin[i];
                self.d_value.row_mut(r)[0] = (self.value.row(r)[0] - self.batch.returns[r]) * scale;
            }
        }
    }
}

struct AdamStep<'a> {
    params: &'a mut [f32],
    grads: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    grad_scale: f32,
}

impl Kernel for AdamStep<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let blocks = self.params.as_chunks_mut::<LANES>().0.iter_mut().zip(self.grads.as_chunks::<LANES>().0);
        let moments =
            self.first.as_chunks_mut::<LANES>().0.iter_mut().zip(self.second.as_chunks_mut::<LANES>().0);
        for ((p, g), (m, v)) in blocks.zip(moments) {
            let g = s.mul(s.load(g), s.splat(self.grad_scale));
            let m1 = s.fma(s.splat(0.9), s.load(m), s.mul(s.splat(0.1), g));
            let v1 = s.fma(s.splat(0.999), s.load(v), s.mul(s.splat(0.001), s.mul(g, g)));
            s.store(m1, m);
            s.store(v1, v);
            let step = s.div(m1, s.add(s.sqrt(v1), s.splat(1e-5)));
            s.store(s.fnma(s.splat(3e-4), step, s.load(p)), p);
        }
    }
}

/// What a learner keeps.
struct Learner {
    net: ActorCritic,
    grads: Grads,
    first: Vec<f32>,
    second: Vec<f32>,
    tape: Tape,
}

impl Learner {
    fn new(net: ActorCritic, rows: usize) -> Self {
        let len = net.params().values().len();
        let (grads, tape) = (Grads::new(net.params()), net.tape(rows));
        Self { net, grads, first: vec![0.0; len], second: vec![0.0; len], tape }
    }

    fn step(&mut self, batch: &Batch, rows: usize) {
        self.forward(batch, rows);
        self.loss(batch);
        self.grads.zero();
        self.net.backward(&mut self.tape, Some(&mut self.grads), false).unwrap();
        self.optimise();
        self.net.refresh();
    }

    fn forward(&mut self, batch: &Batch, rows: usize) {
        self.net.forward(&[Mat::new(&batch.obs, rows, OBS)], None, &mut self.tape).unwrap();
    }

    fn loss(&mut self, batch: &Batch) {
        let rows = self.tape.rows();
        let (outputs, gradients) = self.tape.outputs_and_gradients();
        let [d_logits, d_value] = gradients else { unreachable!() };
        dispatch(PpoLoss {
            batch,
            logits: outputs[0].mat(rows),
            value: outputs[1].mat(rows),
            d_logits: d_logits.mat_mut(rows),
            d_value: d_value.mat_mut(rows),
        });
    }

    fn optimise(&mut self) {
        let norm = vmath::sum_of_squares(self.grads.values()).sqrt();
        dispatch(AdamStep {
            params: self.net.params_mut().values_mut(),
            grads: self.grads.values(),
            first: &mut self.first,
            second: &mut self.second,
            grad_scale: (0.5 / (norm + 1e-6)).min(1.0),
        });
    }
}

/// Least time of one call, over short repetitions.
fn least_time(mut f: impl FnMut()) -> Duration {
    let start = Instant::now();
    (0..3).for_each(|_| f());
    let inner = (2_000_000 / (start.elapsed().as_nanos() / 3).max(1)).clamp(1, 100_000) as u32;
    let repeat = || {
        let start = Instant::now();
        (0..inner).for_each(|_| f());
        start.elapsed() / inner
    };
    std::iter::repeat_with(repeat).take(300).min().unwrap()
}

fn measured_peak() -> f64 {
    let mut flops = 0;
    let time = least_time(|| flops = black_box(peak::multiply_adds(20_000)).1);
    flops as f64 / time.as_secs_f64() / 1e9
}

struct Report {
    filter: Option<String>,
    peak: f64,
}

impl Report {
    fn wants(&self, case: &str) -> bool {
        self.filter.as_ref().is_none_or(|f| case.contains(f.as_str()))
    }
    fn time(&self, case: &str, flops: usize, f: impl FnMut()) {
        if !self.wants(case) {
            return;
        }
        let time = least_time(f).as_secs_f64();
        let rate = flops as f64 / time / 1e9;
        let share = 100.0 * rate / self.peak;
        println!("{case:<32} {:>10.2} µs {rate:>8.1} GFLOP/s {share:>5.1} %", time * 1e6);
    }
}

fn train(report: &Report) {
    let hidden = [64, 64];
    let (forward, inner) = multiply_adds(OBS, &hidden, &[ACTIONS, 1]);
    for rows in [64, 256, 1024, 8192] {
        let batch = Batch::new(rows);
        let mut learner = Learner::new(actor_critic(OBS, &hidden, ACTIONS), rows);
        report.time(&format!("train 64x64, batch {rows}"), 2 * rows * (2 * forward + inner), || {
            learner.step(&batch, rows);
        });
    }
}

fn infer(report: &Report) {
    for hidden in [64, 256] {
        let widths = [hidden, hidden];
        let (forward, _) = multiply_adds(OBS, &widths, &[ACTIONS, 1]);
        let net = actor_critic(OBS, &widths, ACTIONS);
        for rows in [1, 2, 4, 8, 64, 1024] {
            let obs = values(1, rows * OBS);
            let mut tape = net.tape(rows);
            report.time(&format!("infer {hidden}x{hidden}, {rows} rows"), 2 * rows * forward, || {
                net.forward(&[Mat::new(&obs, rows, OBS)], None, &mut tape).unwrap();
            });
        }
    }
}

fn parts(report: &Report) {
    let rows = 64;
    let (forward, inner) = multiply_adds(OBS, &[64, 64], &[ACTIONS, 1]);
    let batch = Batch::new(rows);
    let mut learner = Learner::new(actor_critic(OBS, &[64, 64], ACTIONS), rows);
    learner.step(&batch, rows);
    report.time("part forward", 2 * rows * forward, || learner.forward(&batch, rows));
    report.time("part loss", 0, || learner.loss(&batch));
    report.time("part backward", 2 * rows * (forward + inner), || {
        learner.net.backward(&mut learner.tape, Some(&mut learner.grads), false).unwrap();
    });
    report.time("part zero", 0, || learner.grads.zero());
    report.time("part clip + adam", 0, || learner.optimise());
    report.time("part refresh", 0, || learner.net.refresh());
}

fn kernels(report: &Report) {
    use skirl_nn::kernels::{activation, linear, narrow};
    let rows = 64;
    let mut block = skirl_nn::Block::zeros(rows, 64);
    let mut out = skirl_nn::Block::zeros(rows, 64);
    for i in 0..rows {
        block.mat_mut(rows).row_mut(i).copy_from_slice(&values(i as u32, 64));
    }
    let x4 = values(1, rows * 4);
    let x4 = Mat::new(&x4, rows, 4);
    let w = values(2, 4096);
    let mut dw = vec![0.0; 4096];
    let mut bias = vec![0.0; 64];
    let x = block.mat(rows);
    report.time("kernel tanh 64x64", 0, || {
        activation::forward(skirl_nn::Activation::Tanh, x, out.mat_mut(rows));
    });
    report.time("kernel tanh reverse 64x64", 0, || {
        activation::backward(skirl_nn::Activation::Tanh, x, x, out.mat_mut(rows));
    });
    report.time("kernel forward 64x64x64", 2 * 64 * 64 * 64, || {
        linear::forward(x, linear::Panels::new(&w, 64, 64), None, out.mat_mut(rows));
    });
    report.time("kernel forward 64x4x64", 2 * 64 * 4 * 64, || {
        linear::forward(x4, linear::Panels::new(&w[..256], 4, 64), None, out.mat_mut(rows));
    });
    report.time("kernel dw 64x64x64", 2 * 64 * 64 * 64, || linear::weight_gradient(x, x, &mut dw));
    report.time("kernel dw 4x64x64", 2 * 64 * 4 * 64, || linear::weight_gradient(x4, x, &mut dw[..256]));
    report.time("kernel db 64x64", 0, || linear::bias_gradient(x, &mut bias));
    report.time("kernel transpose 64x64", 0, || {
        linear::transpose(linear::Panels::new(&w, 64, 64), &mut dw);
    });
    report.time("kernel narrow forward 64x64x2", 2 * 64 * 64 * 2, || {
        narrow::forward(x, &w[..128], &bias, out.mat_mut(rows).cols(0..2));
    });
    report.time("kernel narrow dw 64x64x2", 2 * 64 * 64 * 2, || {
        narrow::weight_gradient(x, x.cols(0..2), &mut dw[..128]);
    });
    report.time("kernel narrow dx 64x64x2", 2 * 64 * 64 * 2, || {
        narrow::input_gradient(x.cols(0..2), &w[..128], out.mat_mut(rows));
    });
}

fn main() {
    let filter = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let report = Report { filter, peak: measured_peak() };
    println!("instruction set {}, measured peak {:.1} GFLOP/s", isa(), report.peak);
    train(&report);
    infer(&report);
    parts(&report);
    kernels(&report);
}
