//! The module contract serves more than PPO needs: every test goes through the public traits, and is checked by central
//! differences of an `f64` version of the whole composition.
#![allow(missing_docs, clippy::unwrap_used)]

mod reference;

use reference::{
    Tensors, Uniform, assert_gradient, assert_gradients, mlp, randomise, tensors, to_f64, widen,
};
use skirl_nn::optim::{AdamOptions, OptimizerSpec, RmsPropOptions, SgdOptions};
use skirl_nn::{
    Activation, ActorCritic, ActorCriticSpec, Grads, Mat, Mlp, MlpSpec, Module, NnError, ParamLayout,
    ParamStore, Tape, TapeSpec,
};

fn network(name: &str, inputs: &[usize], output_width: usize, seed: u64) -> Box<dyn Module> {
    let spec = MlpSpec {
        name: name.to_owned(),
        input_widths: inputs.to_vec(),
        hidden: vec![18, 7],
        output_width,
        ..MlpSpec::default()
    };
    let mut net = Mlp::new(&spec).unwrap();
    randomise(&mut net, seed);
    Box::new(net)
}

fn net64(t: &Tensors, name: &str, x: &[f64]) -> Vec<f64> {
    mlp(t, name, Activation::Tanh, false, x)
}

fn gradients(module: &dyn Module, grads: &Grads) -> Tensors {
    to_f64(module.params().export_buffer(grads.values()).unwrap())
}

/// SAC's and TD3's actor loss: minus the critic's value of the actor's action, the critic frozen.
#[test]
fn actor_through_frozen_critic() {
    const ROWS: usize = 9;
    let (actor, critic) = (network("actor", &[3], 2, 1), network("critic", &[3, 2], 1, 2));
    let obs = Uniform(3).vec(ROWS * 3);
    let obs_mat = Mat::new(&obs, ROWS, 3);
    let (mut actor_tape, mut critic_tape) = (actor.tape(ROWS), critic.tape(ROWS));

    actor.forward(&[obs_mat], None, &mut actor_tape).unwrap();
    critic.forward(&[obs_mat, actor_tape.output(0)], None, &mut critic_tape).unwrap();
    critic_tape.d_output_mut(0).fill(-1.0);
    critic.backward(&mut critic_tape, None, true).unwrap();
    actor_tape.d_output_mut(0).copy_from(critic_tape.d_input(1));
    let mut grads = Grads::new(actor.params());
    actor.backward(&mut actor_tape, Some(&mut grads), false).unwrap();

    let critic64 = tensors(critic.params());
    let loss = |actor64: &Tensors| {
        let row = |obs: &[f32]| {
            let mut x = widen(obs);
            let action = net64(actor64, "actor", &x);
            x.extend(action);
            -net64(&critic64, "critic", &x)[0]
        };
        obs.chunks(3).map(row).sum()
    };
    assert_gradients(&tensors(actor.params()), &gradients(&*actor, &grads), loss);
}

/// Policy and value function computed and reversed one at a time give the bytes of the whole module.
#[test]
fn separate_outputs_give_the_same_bytes() {
    const ROWS: usize = 150;
    let base =
        || ActorCriticSpec { obs_width: 5, hidden: vec![18, 7], num_dist_inputs: 4, ..Default::default() };
    let specs = [
        base(),
        ActorCriticSpec { free_log_std: Some(2), log_std_clip: Some(0.1), ..base() },
        ActorCriticSpec { log_std_clip: Some(0.1), layer_norm: true, vf_hidden: Some(vec![30]), ..base() },
    ];
    for spec in specs {
        let mut net = ActorCritic::new(&spec).unwrap();
        randomise(&mut net, 4);
        let obs = Uniform(5).vec(ROWS * 5);
        let inputs = [Mat::new(&obs, ROWS, 5)];
        let d_outputs = [Uniform(6).vec(ROWS * 4), Uniform(7).vec(ROWS)];
        let write = |tape: &mut Tape, output: usize| {
            let width = net.output_widths()[output];
            tape.d_output_mut(output).copy_from(Mat::new(&d_outputs[output], ROWS, width));
        };
        let (mut whole, mut grads) = (net.tape(ROWS), Grads::new(net.params()));
        net.forward(&inputs, None, &mut whole).unwrap();
        (0..2).for_each(|output| write(&mut whole, output));
        net.backward(&mut whole, Some(&mut grads), false).unwrap();

        let separate = net.separate_outputs().unwrap();
        let mut end = 0;
        for output in 0..2 {
            let range = separate.output_params(output);
            assert_eq!(range.start, end, "ranges in order, without gaps");
            end = range.end;
            let (mut tape, mut part) = (net.tape(ROWS), vec![0.0; range.len()]);
            separate.forward_output(output, &inputs, &mut tape).unwrap();
            write(&mut tape, output);
            separate.backward_output(output, &mut tape, &mut part).unwrap();
            for row in 0..ROWS {
                assert_eq!(tape.output(output).row(row), whole.output(output).row(row));
            }
            assert_eq!(part, grads[range]);
            assert!(separate.backward_output(output, &mut tape, &mut part[1..]).is_err());
        }
        assert_eq!(end, grads.len());
    }
    let shared = ActorCriticSpec { vf_share_layers: true, ..base() };
    assert!(ActorCritic::new(&shared).unwrap().separate_outputs().is_none());
}

/// An optimizer's step output by output, each refreshed by itself, gives the bytes of a step of everything.
#[test]
fn separate_steps_give_the_same_bytes() {
    const ROWS: usize = 20;
    let spec =
        ActorCriticSpec { obs_width: 5, hidden: vec![18, 7], free_log_std: Some(1), ..Default::default() };
    let optimizers = [
        OptimizerSpec::Adam(AdamOptions { weight_decay: 0.1, ..AdamOptions::ADAM }),
        OptimizerSpec::RmsProp(RmsPropOptions { momentum: 0.5, ..RmsPropOptions::default() }),
        OptimizerSpec::Sgd(SgdOptions { momentum: 0.9, ..SgdOptions::default() }),
    ];
    for optimizer in optimizers {
        let mut whole = ActorCritic::new(&spec).unwrap();
        randomise(&mut whole, 8);
        let mut parts = whole.clone();
        let len = whole.params().values().len();
        let [mut at_once, mut in_pieces] = [(); 2].map(|()| optimizer.build(len).unwrap());
        for step in 0..3 {
            let grads = Uniform(step).vec(len);
            at_once.step(whole.params_mut().values_mut(), &grads, 0.1).unwrap();
            whole.refresh();
            let updates = parts.separate_outputs_mut().unwrap().update_outputs();
            let lens: Vec<usize> = updates.iter().map(|update| update.params.len()).collect();
            let pieces = in_pieces.pieces(&lens, &grads, 0.1).unwrap();
            for (update, piece) in updates.into_iter().zip(pieces).rev() {
                piece(update.params);
                (update.refresh)(update.params);
            }
            assert_eq!(whole.params().values(), parts.params().values());
            assert_eq!(at_once.buffers(), in_pieces.buffers());
        }
        assert_eq!(at_once.num_steps(), in_pieces.num_steps());
        assert!(in_pieces.pieces(&[len, 1], &vec![0.0; len], 0.1).is_err());
        let obs = Uniform(9).vec(ROWS * 5);
        let gradients = |net: &ActorCritic| {
            let (mut tape, mut grads) = (net.tape(ROWS), Grads::new(net.params()));
            net.forward(&[Mat::new(&obs, ROWS, 5)], None, &mut tape).unwrap();
            (0..2).for_each(|output| tape.d_output_mut(output).fill(1.0));
            net.backward(&mut tape, Some(&mut grads), false).unwrap();
            grads
        };
        assert_eq!(gradients(&whole), gradients(&parts), "transposed weights are fresh");
    }
}

/// One module called twice before either reverse: its gradients add up.
#[test]
fn one_module_called_twice_before_its_reverse() {
    const ROWS: usize = 5;
    let net = network("net", &[3], 3, 4);
    let x = Uniform(5).vec(ROWS * 3);
    let (mut first, mut second) = (net.tape(ROWS), net.tape(ROWS));
    net.forward(&[Mat::new(&x, ROWS, 3)], None, &mut first).unwrap();
    net.forward(&[first.output(0)], None, &mut second).unwrap();
    second.d_output_mut(0).fill(1.0);
    let mut grads = Grads::new(net.params());
    net.backward(&mut second, Some(&mut grads), true).unwrap();
    first.d_output_mut(0).copy_from(second.d_input(0));
    net.backward(&mut first, Some(&mut grads), true).unwrap();

    let at = tensors(net.params());
    let loss = |t: &Tensors, x: &[f64]| -> f64 {
        x.chunks(3).map(|x| net64(t, "net", &net64(t, "net", x)).iter().sum::<f64>()).sum()
    };
    assert_gradients(&at, &gradients(&*net, &grads), |t| loss(t, &widen(&x)));
    let d_x: Vec<f32> = (0..ROWS).flat_map(|r| first.d_input(0).row(r).to_vec()).collect();
    assert_gradient("input", &x, &d_x, |x| loss(&at, x));
}

/// `h' = tanh(W x + U h + b)`, output `h'`: a recurrent module written against the public traits alone.
#[derive(Debug, Clone)]
struct TanhCell {
    params: ParamStore,
    w: usize,
    u: usize,
    b: usize,
    input: [usize; 1],
    state: [usize; 1],
}

impl TanhCell {
    fn new(input: usize, state: usize) -> Self {
        let mut layout = ParamLayout::new();
        let w = layout.add_vector("w", state * input);
        let u = layout.add_vector("u", state * state);
        let b = layout.add_vector("b", state);
        Self { params: ParamStore::new(layout), w, u, b, input: [input], state: [state] }
    }
}

impl Module for TanhCell {
    fn params(&self) -> &ParamStore {
        &self.params
    }
    fn params_mut(&mut self) -> &mut ParamStore {
        &mut self.params
    }
    fn refresh(&mut self) {}
    fn input_widths(&self) -> &[usize] {
        &self.input
    }
    fn output_widths(&self) -> &[usize] {
        &self.state
    }
    fn state_width(&self) -> usize {
        self.state[0]
    }
    fn tape(&self, max_rows: usize) -> Tape {
        Tape::new(&TapeSpec {
            max_rows,
            input_widths: self.input.to_vec(),
            output_widths: self.state.to_vec(),
            state_width: self.state[0],
            ..TapeSpec::default()
        })
    }

    fn forward(&self, inputs: &[Mat<'_>], state: Option<Mat<'_>>, tape: &mut Tape) -> Result<(), NnError> {
        tape.begin(inputs, state)?;
        let parts = tape.parts();
        let (p, n, k, rows) = (self.params.values(), self.state[0], self.input[0], parts.rows);
        for r in 0..rows {
            let (x, h) = (parts.inputs.mat(rows).row(r), parts.state_in.mat(rows).row(r));
            for i in 0..n {
                let from_x: f32 = (0..k).map(|j| p[self.w + i * k + j] * x[j]).sum();
                let from_h: f32 = (0..n).map(|j| p[self.u + i * n + j] * h[j]).sum();
                let value = (from_x + from_h + p[self.b + i]).tanh();
                parts.outputs[0].mat_mut(rows).row_mut(r)[i] = value;
                parts.state_out.mat_mut(rows).row_mut(r)[i] = value;
            }
        }
        Ok(())
    }

    fn backward(
        &self,
        tape: &mut Tape,
        mut grads: Option<&mut [f32]>,
        d_inputs: bool,
    ) -> Result<(), NnError> {
        tape.begin_backward()?;
        let parts = tape.parts();
        let (p, n, k, rows) = (self.params.values(), self.state[0], self.input[0], parts.rows);
        parts.d_state_in.mat_mut(rows).fill(0.0);
        parts.d_inputs.mat_mut(rows).fill(0.0);
        for r in 0..rows {
            let (x, h) = (parts.inputs.mat(rows).row(r), parts.state_in.mat(rows).row(r));
            for i in 0..n {
                let y = parts.state_out.mat(rows).row(r)[i];
                let d_y = parts.d_outputs[0].mat(rows).row(r)[i] + parts.d_state_out.mat(rows).row(r)[i];
                let d_z = d_y * (1.0 - y * y);
                if let Some(g) = grads.as_deref_mut() {
                    (0..k).for_each(|j| g[self.w + i * k + j] += d_z * x[j]);
                    (0..n).for_each(|j| g[self.u + i * n + j] += d_z * h[j]);
                    g[self.b + i] += d_z;
                }
                for j in 0..n {
                    parts.d_state_in.mat_mut(rows).row_mut(r)[j] += d_z * p[self.u + i * n + j];
                }
                for j in 0..if d_inputs { k } else { 0 } {
                    parts.d_inputs.mat_mut(rows).row_mut(r)[j] += d_z * p[self.w + i * k + j];
                }
            }
        }
        Ok(())
    }

    fn boxed_clone(&self) -> Box<dyn Module> {
        Box::new(self.clone())
    }
}

fn cell64(t: &Tensors, x: &[f64], h: &[f64]) -> Vec<f64> {
    let dot = |name: &str, i: usize, v: &[f64]| {
        v.iter().enumerate().map(|(j, x)| t[name].1[i * v.len() + j] * x).sum::<f64>()
    };
    (0..h.len()).map(|i| (dot("w", i, x) + dot("u", i, h) + t["b"].1[i]).tanh()).collect()
}

/// Back-propagation through 8 steps, with the state reset to zero in one row before step 3 and in another before 6.
#[test]
fn recurrent_unroll_with_resets() {
    const STEPS: usize = 8;
    const ROWS: usize = 3;
    const WIDTH: usize = 2;
    const STATE: usize = 4;
    let resets = |step: usize, row: usize| (step, row) == (3, 0) || (step, row) == (6, 2);
    let mut cell = TanhCell::new(WIDTH, STATE);
    randomise(&mut cell, 6);
    let cell: Box<dyn Module> = Box::new(cell);
    let mut random = Uniform(7);
    let x = random.vec(STEPS * ROWS * WIDTH);
    let start = random.vec(ROWS * STATE);
    let weights = random.vec(STEPS * ROWS * STATE);

    let mut tapes: Vec<Tape> = (0..STEPS).map(|_| cell.tape(ROWS)).collect();
    let mut state = start.clone();
    for (t, tape) in tapes.iter_mut().enumerate() {
        (0..ROWS).filter(|&r| resets(t, r)).for_each(|r| state[r * STATE..][..STATE].fill(0.0));
        let x = Mat::new(&x[t * ROWS * WIDTH..], ROWS, WIDTH);
        cell.forward(&[x], Some(Mat::new(&state, ROWS, STATE)), tape).unwrap();
        state = (0..ROWS).flat_map(|r| tape.state().row(r).to_vec()).collect();
    }
    let mut grads = Grads::new(cell.params());
    let mut d_state = vec![0.0; ROWS * STATE];
    let mut d_x = vec![0.0; x.len()];
    for (t, tape) in tapes.iter_mut().enumerate().rev() {
        tape.d_output_mut(0).copy_from(Mat::new(&weights[t * ROWS * STATE..], ROWS, STATE));
        tape.d_state_mut().copy_from(Mat::new(&d_state, ROWS, STATE));
        cell.backward(tape, Some(&mut grads), true).unwrap();
        d_state = (0..ROWS).flat_map(|r| tape.d_input_state().row(r).to_vec()).collect();
        (0..ROWS).filter(|&r| resets(t, r)).for_each(|r| d_state[r * STATE..][..STATE].fill(0.0));
        for r in 0..ROWS {
            d_x[(t * ROWS + r) * WIDTH..][..WIDTH].copy_from_slice(tape.d_input(0).row(r));
        }
    }

    let loss = |params: &Tensors, x: &[f64], start: &[f64]| -> f64 {
        let mut sum = 0.0;
        for r in 0..ROWS {
            let mut h = start[r * STATE..][..STATE].to_vec();
            for t in 0..STEPS {
                if resets(t, r) {
                    h.fill(0.0);
                }
                h = cell64(params, &x[(t * ROWS + r) * WIDTH..][..WIDTH], &h);
                let weights = &weights[(t * ROWS + r) * STATE..][..STATE];
                sum += h.iter().zip(weights).map(|(h, &w)| h * f64::from(w)).sum::<f64>();
            }
        }
        sum
    };
    let at = tensors(cell.params());
    let (x64, start64) = (widen(&x), widen(&start));
    assert_gradients(&at, &gradients(&*cell, &grads), |t| loss(t, &x64, &start64));
    assert_gradient("x", &x, &d_x, |x| loss(&at, x, &start64));
    assert_gradient("start state", &start, &d_state, |start| loss(&at, &x64, start));
}

/// Value decomposition: one network for three agents, called once for each, under a mixer of three inputs and the state.
#[test]
fn mixer_over_three_agents() {
    const ROWS: usize = 6;
    const AGENTS: usize = 3;
    let (agent, mixer) = (network("agent", &[4], 1, 8), network("mixer", &[1, 1, 1, 2], 1, 9));
    let mut random = Uniform(10);
    let obs: Vec<Vec<f32>> = (0..AGENTS).map(|_| random.vec(ROWS * 4)).collect();
    let state = random.vec(ROWS * 2);

    let mut agent_tapes: Vec<Tape> = (0..AGENTS).map(|_| agent.tape(ROWS)).collect();
    for (tape, obs) in agent_tapes.iter_mut().zip(&obs) {
        agent.forward(&[Mat::new(obs, ROWS, 4)], None, tape).unwrap();
    }
    let mut inputs: Vec<Mat<'_>> = agent_tapes.iter().map(|t| t.output(0)).collect();
    inputs.push(Mat::new(&state, ROWS, 2));
    let mut mixer_tape = mixer.tape(ROWS);
    mixer.forward(&inputs, None, &mut mixer_tape).unwrap();
    mixer_tape.d_output_mut(0).fill(1.0);
    let (mut mixer_grads, mut agent_grads) = (Grads::new(mixer.params()), Grads::new(agent.params()));
    mixer.backward(&mut mixer_tape, Some(&mut mixer_grads), true).unwrap();
    for (i, tape) in agent_tapes.iter_mut().enumerate() {
        tape.d_output_mut(0).copy_from(mixer_tape.d_input(i));
        agent.backward(tape, Some(&mut agent_grads), false).unwrap();
    }

    let loss = |agent64: &Tensors, mixer64: &Tensors| -> f64 {
        let row = |r: usize| {
            let mut x: Vec<f64> =
                obs.iter().flat_map(|obs| net64(agent64, "agent", &widen(&obs[r * 4..][..4]))).collect();
            x.extend(widen(&state[r * 2..][..2]));
            net64(mixer64, "mixer", &x)[0]
        };
        (0..ROWS).map(row).sum()
    };
    let (agent64, mixer64) = (tensors(agent.params()), tensors(mixer.params()));
    assert_gradients(&agent64, &gradients(&*agent, &agent_grads), |t| loss(t, &mixer64));
    assert_gradients(&mixer64, &gradients(&*mixer, &mixer_grads), |t| loss(&agent64, t));
}

/// A call neither allocates nor depends on what the tape held before.
#[test]
fn a_used_tape_gives_the_same_bytes_as_a_new_one() {
    let net = network("net", &[3], 6, 4);
    let x = Uniform(5).vec(100 * 3);
    let mut used = net.tape(100);
    let mut grads = [Grads::new(net.params()), Grads::new(net.params())];
    net.forward(&[Mat::new(&x, 100, 3)], None, &mut used).unwrap();
    used.d_output_mut(0).fill(3.0);
    net.backward(&mut used, None, true).unwrap();
    let mut fresh = net.tape(7);
    for (tape, grads) in [&mut used, &mut fresh].into_iter().zip(&mut grads) {
        net.forward(&[Mat::new(&x[30..], 7, 3)], None, tape).unwrap();
        tape.d_output_mut(0).fill(-1.0);
        net.backward(tape, Some(grads), true).unwrap();
    }
    assert_eq!(grads[0], grads[1]);
    for r in 0..7 {
        assert_eq!(used.output(0).row(r), fresh.output(0).row(r));
        assert_eq!(used.d_input(0).row(r), fresh.d_input(0).row(r));
    }
}
