//! Distributions: PyTorch goldens, exact laws, sampling.
#![allow(clippy::unwrap_used)]

mod goldens;
mod laws;
mod sampling;

use skirl_math::rng::StreamKey;
use skirl_nn::distributions::{
    ActionsMut, ActionsRef, Bernoulli, Categorical, DiagGaussian, Distribution, Evaluated, EvaluatedGrad,
    MultiCategorical, SquashedGaussian,
};
use skirl_nn::{Mat, MatMut};

#[derive(Debug, Clone, PartialEq)]
enum Actions {
    Discrete(Vec<i64>),
    Continuous(Vec<f32>),
}

impl Actions {
    fn zeros(dist: &dyn Distribution, rows: usize) -> Self {
        let n = rows * dist.action_width();
        if dist.is_discrete() { Self::Discrete(vec![0; n]) } else { Self::Continuous(vec![0.0; n]) }
    }

    fn view(&self, width: usize) -> ActionsRef<'_> {
        match self {
            Self::Discrete(data) => ActionsRef::Discrete { data, width },
            Self::Continuous(data) => ActionsRef::Continuous { data, width },
        }
    }

    fn view_mut(&mut self, width: usize) -> ActionsMut<'_> {
        match self {
            Self::Discrete(data) => ActionsMut::Discrete { data, width },
            Self::Continuous(data) => ActionsMut::Continuous { data, width },
        }
    }

    fn rows(&self, width: usize, from: usize, to: usize) -> Self {
        match self {
            Self::Discrete(data) => Self::Discrete(data[from * width..to * width].to_vec()),
            Self::Continuous(data) => Self::Continuous(data[from * width..to * width].to_vec()),
        }
    }
}

fn rows(dist: &dyn Distribution, inputs: &[f32]) -> usize {
    inputs.len() / dist.num_inputs()
}

/// `[logp, entropy, kl]`
fn evaluate(
    dist: &dyn Distribution,
    inputs: &[f32],
    actions: &Actions,
    old: Option<&[f32]>,
) -> [Vec<f32>; 3] {
    let (rows, cols) = (rows(dist, inputs), dist.num_inputs());
    let [mut logp, mut entropy, mut kl] = [(); 3].map(|()| vec![f32::NAN; rows]);
    let out = Evaluated { logp: &mut logp, entropy: &mut entropy, kl: &mut kl };
    let (inputs, old) = (Mat::new(inputs, rows, cols), old.map(|o| Mat::new(o, rows, cols)));
    let actions = actions.view(dist.action_width());
    dist.evaluate(inputs, actions, old, out, &mut dist.scratch()).unwrap();
    [logp, entropy, kl]
}

fn backward(
    dist: &dyn Distribution,
    inputs: &[f32],
    actions: &Actions,
    old: Option<&[f32]>,
    d_out: [&[f32]; 3],
) -> Vec<f32> {
    let (rows, cols) = (rows(dist, inputs), dist.num_inputs());
    let mut d_inputs = vec![f32::NAN; inputs.len()];
    let d_out = EvaluatedGrad { logp: d_out[0], entropy: d_out[1], kl: d_out[2] };
    let (inputs, old) = (Mat::new(inputs, rows, cols), old.map(|o| Mat::new(o, rows, cols)));
    let out = MatMut::new(&mut d_inputs, rows, cols);
    let actions = actions.view(dist.action_width());
    dist.backward(inputs, actions, old, d_out, out, &mut dist.scratch()).unwrap();
    d_inputs
}

fn sample(dist: &dyn Distribution, inputs: &[f32], keys: &[StreamKey], counter: u64) -> (Actions, Vec<f32>) {
    let rows = rows(dist, inputs);
    let mut actions = Actions::zeros(dist, rows);
    let mut logp = vec![f32::NAN; rows];
    let inputs = Mat::new(inputs, rows, dist.num_inputs());
    let to = actions.view_mut(dist.action_width());
    dist.sample(inputs, keys, counter, to, &mut logp, &mut dist.scratch()).unwrap();
    (actions, logp)
}

fn mode(dist: &dyn Distribution, inputs: &[f32]) -> Actions {
    let rows = rows(dist, inputs);
    let mut actions = Actions::zeros(dist, rows);
    let inputs = Mat::new(inputs, rows, dist.num_inputs());
    dist.mode(inputs, actions.view_mut(dist.action_width()), &mut dist.scratch()).unwrap();
    actions
}

fn keys(n: usize) -> Vec<StreamKey> {
    (0..n as u64).map(|i| StreamKey::root(5).child("explore").index(i)).collect()
}

fn make(kind: &str, sizes: &[usize]) -> Box<dyn Distribution> {
    match kind {
        "categorical" => Box::new(Categorical::new(sizes[0]).unwrap()),
        "multi_categorical" => Box::new(MultiCategorical::new(sizes).unwrap()),
        "bernoulli" => Box::new(Bernoulli::new(sizes[0]).unwrap()),
        "gaussian" => Box::new(DiagGaussian::new(sizes[0]).unwrap()),
        _ => Box::new(SquashedGaussian::new(sizes[0]).unwrap()),
    }
}

/// One of each kind, some of several sizes.
fn all() -> Vec<Box<dyn Distribution>> {
    let kinds: [(&str, &[usize]); 8] = [
        ("categorical", &[2]),
        ("categorical", &[9]),
        ("multi_categorical", &[3, 1, 4]),
        ("bernoulli", &[5]),
        ("gaussian", &[1]),
        ("gaussian", &[3]),
        ("squashed", &[1]),
        ("squashed", &[3]),
    ];
    kinds.into_iter().map(|(kind, sizes)| make(kind, sizes)).collect()
}

/// Normal numbers of this deviation.
fn noise(name: &str, n: usize, scale: f64) -> Vec<f32> {
    let mut stream = StreamKey::root(6).child(name).stream();
    (0..n).map(|_| (stream.normal() * scale) as f32).collect()
}
