//! Native modules: values against an `f64` version, gradients against its central differences.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod reference;

use reference::{
    Tensors, Uniform, assert_gradient, assert_gradients, mlp, randomise, tensors, to_f64, widen,
};
use skirl_nn::{Activation, ActorCritic, ActorCriticSpec, Grads, Mat, Mlp, MlpSpec, Module, NnError};

const ACTIVATIONS: [Activation; 6] = [
    Activation::Tanh,
    Activation::Relu,
    Activation::Silu,
    Activation::Gelu,
    Activation::Elu,
    Activation::Linear,
];

/// Weighted sum of all outputs: its gradient with respect to them is the weights.
struct LinearLoss(Vec<Vec<f32>>);

impl LinearLoss {
    fn new(module: &dyn Module, rows: usize) -> Self {
        let mut random = Uniform(77);
        Self(module.output_widths().iter().map(|w| random.vec(rows * w)).collect())
    }
    fn weight(&self, output: usize, row: usize, width: usize) -> &[f32] {
        &self.0[output][row * width..][..width]
    }
}

/// Forward, backward, then parameters and input against central differences of `row(tensors, x) -> outputs`.
fn check_module(module: &dyn Module, rows: usize, row: impl Fn(&Tensors, &[f64]) -> Vec<Vec<f64>>) {
    let width: usize = module.input_widths().iter().sum();
    let x = Uniform(5).vec(rows * width);
    let inputs = Mat::new(&x, rows, width);
    let mut start = 0;
    let split: Vec<Mat<'_>> = module
        .input_widths()
        .iter()
        .map(|&w| {
            start += w;
            inputs.cols(start - w..start)
        })
        .collect();
    let mut tape = module.tape(rows);
    module.forward(&split, None, &mut tape).unwrap();

    let at = tensors(module.params());
    let loss_weights = LinearLoss::new(module, rows);
    for r in 0..rows {
        let expected = row(&at, &widen(&x[r * width..][..width]));
        for (i, expected) in expected.iter().enumerate() {
            for (got, e) in tape.output(i).row(r).iter().zip(expected) {
                assert!((f64::from(*got) - e).abs() < 2e-5, "output {i}, row {r}: {got}, expected {e}");
            }
        }
    }
    for (i, &w) in module.output_widths().iter().enumerate() {
        tape.d_output_mut(i).copy_from(Mat::new(&loss_weights.0[i], rows, w));
    }
    let mut grads = Grads::new(module.params());
    module.backward(&mut tape, Some(&mut grads), true).unwrap();

    let loss = |t: &Tensors, x: &[f64]| {
        let mut sum = 0.0;
        for r in 0..rows {
            for (i, output) in row(t, &x[r * width..][..width]).iter().enumerate() {
                let weights = loss_weights.weight(i, r, output.len());
                sum += output.iter().zip(weights).map(|(o, &w)| o * f64::from(w)).sum::<f64>();
            }
        }
        sum
    };
    let analytic = to_f64(module.params().export_buffer(grads.values()).unwrap());
    let x64 = widen(&x);
    assert_gradients(&at, &analytic, |t| loss(t, &x64));
    let mut d_x = vec![0.0; rows * width];
    let mut start = 0;
    for (i, &w) in module.input_widths().iter().enumerate() {
        for r in 0..rows {
            d_x[r * width + start..][..w].copy_from_slice(tape.d_input(i).row(r));
        }
        start += w;
    }
    assert_gradient("input", &x, &d_x, |x| loss(&at, x));
    assert_padding_is_zero(module, &grads);
}

/// Packing what was unpacked gives the same flat array only if the padding was zero.
fn assert_padding_is_zero(module: &dyn Module, grads: &Grads) {
    let named = module.params().export_buffer(grads.values()).unwrap();
    let mut packed = vec![0.0; grads.values().len()];
    module.params().import_buffer(&named, &mut packed).unwrap();
    assert_eq!(packed, grads.values());
}

const ROWS: usize = if cfg!(miri) { 3 } else { 70 };

fn check_mlp(spec: &MlpSpec) {
    let mut net = Mlp::new(spec).unwrap();
    randomise(&mut net, 3);
    check_module(&net, ROWS, |t, x| vec![mlp(t, &spec.name, spec.activation, false, x)]);
}

#[test]
fn mlp_with_every_activation() {
    for activation in ACTIVATIONS {
        check_mlp(&MlpSpec {
            input_widths: vec![5],
            hidden: vec![20, 9],
            output_width: 3,
            activation,
            ..MlpSpec::default()
        });
    }
}

#[test]
fn mlp_with_layer_norm() {
    for activation in [Activation::Tanh, Activation::Relu, Activation::Silu] {
        for hidden in [vec![24], vec![7, 33], vec![16, 3]] {
            check_mlp(&MlpSpec {
                input_widths: vec![6],
                hidden,
                output_width: 2,
                activation,
                layer_norm: true,
                ..MlpSpec::default()
            });
        }
    }
}

#[test]
fn mlp_of_any_shape() {
    for (inputs, hidden, output) in [
        (vec![1], vec![], 1),
        (vec![3], vec![], 17),
        (vec![17], vec![], 4),
        (vec![2, 1], vec![31, 100], 6),
        (vec![33], vec![1], 1),
        (vec![4, 4, 2], vec![64, 64], 5),
        (vec![16], vec![130], 65),
    ] {
        let spec = MlpSpec { input_widths: inputs, hidden, output_width: output, ..MlpSpec::default() };
        check_mlp(&spec);
    }
}

fn actor_critic_row(spec: &ActorCriticSpec, t: &Tensors, x: &[f64]) -> Vec<Vec<f64>> {
    let trunk;
    let x = if spec.vf_share_layers {
        trunk = mlp(t, "trunk", spec.activation, true, x);
        &trunk
    } else {
        x
    };
    let mut dist = mlp(t, "pi", spec.activation, false, x);
    let value = spec.critic.then(|| mlp(t, "vf", spec.activation, false, x));
    if let Some((_, log_std)) = t.get("log_std") {
        dist.extend(log_std);
    }
    if let Some(clip) = spec.log_std_clip {
        let clip = f64::from(clip);
        let dim = spec.free_log_std.unwrap_or(dist.len() / 2);
        let start = dist.len() - dim;
        dist[start..].iter_mut().for_each(|x| *x = x.clamp(-clip, clip));
    }
    [dist].into_iter().chain(value).collect()
}

fn check_actor_critic(spec: &ActorCriticSpec) {
    let mut net = ActorCritic::new(spec).unwrap();
    randomise(&mut net, 9);
    check_module(&net, ROWS, |t, x| actor_critic_row(spec, t, x));
}

#[test]
fn actor_critic_separate_and_shared() {
    for vf_share_layers in [false, true] {
        for activation in [Activation::Tanh, Activation::Gelu] {
            for layer_norm in [false, true] {
                check_actor_critic(&ActorCriticSpec {
                    obs_width: 4,
                    hidden: vec![20, 64],
                    num_dist_inputs: 3,
                    vf_share_layers,
                    activation,
                    layer_norm,
                    ..ActorCriticSpec::default()
                });
            }
        }
    }
}

#[test]
fn actor_critic_with_layers_of_its_own_for_the_value() {
    let spec = ActorCriticSpec {
        obs_width: 3,
        hidden: vec![10],
        vf_hidden: Some(vec![21, 5]),
        num_dist_inputs: 7,
        ..ActorCriticSpec::default()
    };
    check_actor_critic(&spec);
    check_actor_critic(&ActorCriticSpec { hidden: vec![], vf_hidden: Some(vec![8]), ..spec.clone() });
    check_actor_critic(&ActorCriticSpec { hidden: vec![], vf_hidden: None, ..spec });
}

#[test]
fn actor_critic_log_std() {
    for vf_share_layers in [false, true] {
        for (dim, free) in [(1, true), (3, true), (6, true), (17, true), (2, false), (6, false)] {
            for log_std_clip in [None, Some(0.4)] {
                check_actor_critic(&ActorCriticSpec {
                    obs_width: 3,
                    hidden: vec![12],
                    num_dist_inputs: 2 * dim,
                    free_log_std: free.then_some(dim),
                    log_std_clip,
                    vf_share_layers,
                    ..ActorCriticSpec::default()
                });
            }
        }
    }
}

#[test]
fn actor_without_a_critic() {
    for (hidden, layer_norm) in [(vec![], false), (vec![20, 64], true)] {
        let spec = ActorCriticSpec {
            obs_width: 3,
            hidden,
            layer_norm,
            num_dist_inputs: 4,
            critic: false,
            ..ActorCriticSpec::default()
        };
        check_actor_critic(&spec);
        for free_log_std in [None, Some(2)] {
            check_actor_critic(&ActorCriticSpec { free_log_std, log_std_clip: Some(0.4), ..spec.clone() });
        }
    }
}

#[test]
fn log_std_starts_at_its_initial_value() {
    let spec = ActorCriticSpec {
        num_dist_inputs: 4,
        free_log_std: Some(2),
        log_std_init: -0.5,
        ..ActorCriticSpec::default()
    };
    let net = ActorCritic::new(&spec).unwrap();
    assert_eq!(tensors(net.params())["log_std"].1, [-0.5, -0.5]);
}

#[test]
fn names_and_sizes_are_stable() {
    let spec = ActorCriticSpec { obs_width: 4, ..ActorCriticSpec::default() };
    let net = ActorCritic::new(&spec).unwrap();
    let seen: Vec<(String, Vec<usize>)> =
        net.params().export().into_iter().map(|t| (t.name, t.shape)).collect();
    let expected = [
        ("pi.0.weight", vec![64, 4]),
        ("pi.0.bias", vec![64]),
        ("pi.1.weight", vec![64, 64]),
        ("pi.1.bias", vec![64]),
        ("pi.2.weight", vec![2, 64]),
        ("pi.2.bias", vec![2]),
        ("vf.0.weight", vec![64, 4]),
        ("vf.0.bias", vec![64]),
        ("vf.1.weight", vec![64, 64]),
        ("vf.1.bias", vec![64]),
        ("vf.2.weight", vec![1, 64]),
        ("vf.2.bias", vec![1]),
    ];
    assert_eq!(seen, expected.map(|(n, s)| (n.to_owned(), s)));
    assert_eq!(net.params().num_trainable(), 2 * (4 * 64 + 64 + 64 * 64 + 64) + 2 * 64 + 2 + 64 + 1);
}

#[test]
fn misuse_is_an_error() {
    let mut net = Mlp::new(&MlpSpec { input_widths: vec![3], ..MlpSpec::default() }).unwrap();
    let mut tape = net.tape(4);
    let x = vec![0.5; 15];
    let forward = |net: &Mlp, x, tape: &mut _| net.forward(&[x], None, tape);
    assert_eq!(net.backward(&mut tape, None, false), Err(NnError::EmptyTape));
    let error = forward(&net, Mat::new(&x, 5, 3), &mut tape).unwrap_err();
    assert_eq!(error.to_string(), "rows of a call: expected at most 4, found 5");
    let error = forward(&net, Mat::new(&x, 2, 2), &mut tape).unwrap_err();
    assert_eq!(error.to_string(), "input 0: expected [2, 3], found [2, 2]");
    assert!(net.forward(&[], None, &mut tape).is_err());
    forward(&net, Mat::new(&x, 4, 3), &mut tape).unwrap();
    let other = Mlp::new(&MlpSpec { hidden: vec![5], ..MlpSpec::default() }).unwrap();
    let mut wrong = Grads::new(other.params());
    assert!(net.backward(&mut tape, Some(&mut wrong), false).is_err());
    net.params_mut().values_mut()[0] = 1.0;
    assert_eq!(net.backward(&mut tape, None, false), Err(NnError::StaleParams));
    net.refresh();
    net.backward(&mut tape, None, false).unwrap();
    forward(&net, Mat::new(&[], 0, 3), &mut tape).unwrap();
    net.backward(&mut tape, None, true).unwrap();
}

#[test]
fn specs_that_cannot_be_served_name_the_field() {
    let field = |spec: ActorCriticSpec| match ActorCritic::new(&spec) {
        Err(NnError::Spec { field, .. }) => field,
        other => panic!("expected a Spec error, found {other:?}"),
    };
    let base = ActorCriticSpec::default;
    assert_eq!(field(ActorCriticSpec { obs_width: 0, ..base() }), "obs_width");
    assert_eq!(field(ActorCriticSpec { hidden: vec![64, 0], ..base() }), "hidden");
    assert_eq!(field(ActorCriticSpec { free_log_std: Some(2), ..base() }), "free_log_std");
    assert_eq!(field(ActorCriticSpec { log_std_clip: Some(0.0), ..base() }), "log_std_clip");
    assert_eq!(field(ActorCriticSpec { log_std_init: f32::NAN, ..base() }), "log_std_init");
    let shared = ActorCriticSpec { vf_share_layers: true, ..base() };
    assert_eq!(field(ActorCriticSpec { vf_hidden: Some(vec![3]), ..shared.clone() }), "vf_hidden");
    assert_eq!(field(ActorCriticSpec { hidden: vec![], ..shared.clone() }), "hidden");
    assert_eq!(field(ActorCriticSpec { critic: false, ..shared }), "critic");
    assert_eq!(field(ActorCriticSpec { critic: false, vf_hidden: Some(vec![3]), ..base() }), "critic");
    assert!(Mlp::new(&MlpSpec { output_width: 0, ..MlpSpec::default() }).is_err());
}
