//! Laws that hold exactly, and behaviour at the edges.

use skirl_math::rng::StreamKey;
use skirl_nn::Mat;
use skirl_nn::NnError;
use skirl_nn::distributions::{ActionsRef, Categorical, Distribution, Evaluated, SquashedGaussian};
use skirl_nn::distributions::{Bernoulli, DiagGaussian, MultiCategorical};

use super::{Actions, all, backward, evaluate, keys, make, mode, noise, sample};

#[test]
fn sampled_and_evaluated_log_probabilities_are_the_same_bytes() {
    for dist in all() {
        for n in (1..=40).chain([64, 100]) {
            let inputs = noise("inputs", n * dist.num_inputs(), 1.5);
            let (actions, logp) = sample(dist.as_ref(), &inputs, &keys(n), 17);
            let [again, _, kl] = evaluate(dist.as_ref(), &inputs, &actions, Some(&inputs));
            assert!(logp.iter().zip(&again).all(|(a, b)| a.to_bits() == b.to_bits()), "{dist:?} {n}");
            assert_eq!(kl, vec![0.0; n], "{dist:?}: KL of equals");
            assert!(again.iter().zip(&logp).all(|(new, old)| (new - old).exp() == 1.0));
        }
    }
}

#[test]
fn rows_do_not_depend_on_their_neighbours() {
    for dist in all() {
        let (n, width, cols) = (37, dist.action_width(), dist.num_inputs());
        let (inputs, old) = (noise("inputs", n * cols, 1.0), noise("old", n * cols, 1.0));
        let keys = keys(n);
        let (actions, logp) = sample(dist.as_ref(), &inputs, &keys, 3);
        let values = evaluate(dist.as_ref(), &inputs, &actions, Some(&old));
        let weights = [noise("a", n, 1.0), noise("b", n, 1.0), noise("c", n, 1.0)];
        let d = backward(dist.as_ref(), &inputs, &actions, Some(&old), weights.each_ref().map(|w| &w[..]));
        for (from, to) in (0..n).map(|i| (i, i + 1)).chain([(5, 30), (16, 37)]) {
            let (part, part_old) = (&inputs[from * cols..to * cols], &old[from * cols..to * cols]);
            let part_actions = actions.rows(width, from, to);
            let (a, l) = sample(dist.as_ref(), part, &keys[from..to], 3);
            assert_eq!((&a, &l[..]), (&part_actions, &logp[from..to]));
            let v = evaluate(dist.as_ref(), part, &part_actions, Some(part_old));
            let w = weights.each_ref().map(|w| &w[from..to]);
            let g = backward(dist.as_ref(), part, &part_actions, Some(part_old), w);
            assert_eq!(v.each_ref().map(|v| &v[..]), values.each_ref().map(|v| &v[from..to]), "{dist:?}");
            assert_eq!(g, d[from * cols..to * cols], "{dist:?}");
        }
    }
}

#[test]
fn streams_and_counters_matter_and_repeat() {
    for dist in all() {
        let n = 200;
        let inputs = vec![0.1; n * dist.num_inputs()];
        let draw = |shift: u64, counter| {
            let keys: Vec<_> = (0..n as u64).map(|i| StreamKey::root(shift).index(i)).collect();
            sample(dist.as_ref(), &inputs, &keys, counter).0
        };
        assert_eq!(draw(0, 1), draw(0, 1));
        assert_ne!(draw(0, 1), draw(0, 2), "{dist:?}");
        assert_ne!(draw(0, 1), draw(1, 1), "{dist:?}");
    }
}

#[test]
fn masked_choices_are_never_drawn_and_get_no_gradient() {
    let dist = Categorical::new(6).unwrap();
    for mask in [f32::NEG_INFINITY, f32::MIN, -1e9, -1e4] {
        let n = 500;
        let row = [mask, 0.3, mask, 1e4, 1e4 - 1.0, mask];
        let inputs = row.repeat(n);
        let (actions, logp) = sample(&dist, &inputs, &keys(n), 0);
        let Actions::Discrete(ids) = &actions else { unreachable!() };
        assert!(ids.iter().all(|a| [3, 4].contains(a)));
        assert!(ids.contains(&3) && ids.contains(&4));
        let [again, entropy, kl] = evaluate(&dist, &inputs, &actions, Some(&inputs));
        assert_eq!(logp, again);
        let p = 1.0 / (1.0 + (-1.0f64).exp());
        let exact = -p * p.ln() - (1.0 - p) * (1.0 - p).ln();
        for i in 0..n {
            let want = if ids[i] == 3 { p.ln() } else { (1.0 - p).ln() };
            assert!((f64::from(logp[i]) - want).abs() < 1e-6, "full precision at 1e4: {}", logp[i]);
            assert!((f64::from(entropy[i]) - exact).abs() < 1e-6);
            assert_eq!(kl[i], 0.0);
        }
        let ones = vec![1.0; n];
        let d = backward(&dist, &inputs, &actions, Some(&inputs), [&ones, &ones, &ones]);
        for row in d.chunks(6) {
            assert_eq!([row[0], row[1], row[2], row[5]], [0.0; 4]);
            assert!((row[3] + row[4]).abs() < 1e-6);
        }
    }
}

#[test]
fn extreme_inputs_stay_finite() {
    for (kind, scale) in [("categorical", 1e4), ("multi_categorical", 1e4), ("bernoulli", 1e4)] {
        let dist = make(kind, &[3, 2]);
        let n = 64;
        let (inputs, old) =
            (noise("inputs", n * dist.num_inputs(), scale), noise("old", n * dist.num_inputs(), scale));
        let actions = sample(dist.as_ref(), &inputs, &keys(n), 0).0;
        let values = evaluate(dist.as_ref(), &inputs, &actions, Some(&old));
        assert!(values.iter().flatten().all(|x| x.is_finite()), "{kind}");
        assert!(values[1].iter().chain(&values[2]).all(|&x| x > -1e-6), "entropy and divergence ≥ 0");
        let ones = vec![1.0; n];
        let d = backward(dist.as_ref(), &inputs, &actions, Some(&old), [&ones; 3].map(|o| &o[..]));
        assert!(d.iter().all(|x| x.is_finite()), "{kind}");
    }
    let dist = Bernoulli::new(2).unwrap();
    let inputs = [f32::INFINITY, f32::NEG_INFINITY].repeat(20);
    let (actions, logp) = sample(&dist, &inputs, &keys(20), 0);
    assert_eq!(actions, Actions::Discrete([1, 0].repeat(20)));
    assert_eq!(logp, [0.0; 20]);
    let ones = [1.0; 20];
    let d = backward(&dist, &inputs, &actions, Some(&inputs), [&ones, &ones, &ones]);
    assert_eq!(d, [0.0; 40]);
}

#[test]
fn saturated_squashed_actions_keep_exact_densities() {
    // tanh rounds to 1 in f32 at 9.1: the density of a is still known, as u is stored.
    let dist = SquashedGaussian::new(1).unwrap();
    for u in [0.0f64, 1.0, -3.0, 9.5, -20.0, 60.0] {
        let inputs = [u as f32 - 0.5, 0.25];
        let [logp, entropy, _] = evaluate(&dist, &inputs, &Actions::Continuous(vec![u as f32]), None);
        let ln_slope = 2.0 * (2f64.ln() - u.abs() - (-2.0 * u.abs()).exp().ln_1p());
        let z = 0.5 * (-0.25f64).exp();
        let normal = -0.5 * z * z - 0.25 - 0.5 * std::f64::consts::TAU.ln();
        let unit_entropy = 0.5 * (std::f64::consts::TAU * std::f64::consts::E).ln();
        let close = |got: f32, want: f64| (f64::from(got) - want).abs() < 3e-7 * want.abs().max(1.0);
        assert!(close(logp[0], normal - ln_slope), "{} {}", logp[0], normal - ln_slope);
        assert!(close(entropy[0], unit_entropy + 0.25 + ln_slope));
    }
    let mut a = [0.5f32, -0.999, 1.0, -1.0, 0.0];
    SquashedGaussian::unsquash(&mut a);
    assert!(a[2] > 8.6 && a[2] == -a[3] && a[4] == 0.0);
    dist.squash(&mut a);
    for (got, want) in a.iter().zip([0.5, -0.999, 1.0, -1.0, 0.0]) {
        assert!((got - want).abs() < 1e-6);
    }
}

#[test]
fn gaussians_can_be_differentiated_through_draws() {
    for dist in all() {
        assert_eq!(dist.reparameterized().is_some(), !dist.is_discrete(), "{dist:?}");
    }
}

#[test]
fn modes() {
    let dist = make("multi_categorical", &[3, 2]);
    let inputs = [0.0, 2.0, 1.0, -5.0, -6.0, f32::NEG_INFINITY, -1.0, -1.0, 3.0, 3.0];
    assert_eq!(mode(dist.as_ref(), &inputs), Actions::Discrete(vec![1, 0, 1, 0]));
    let bits = mode(&Bernoulli::new(3).unwrap(), &[0.1, -0.1, 0.0]);
    assert_eq!(bits, Actions::Discrete(vec![1, 0, 0]));
    let means = mode(&DiagGaussian::new(2).unwrap(), &[1.0, 2.0, 0.0, 0.0, 3.0, 4.0, 9.0, 9.0]);
    assert_eq!(means, Actions::Continuous(vec![1.0, 2.0, 3.0, 4.0]));
}

#[test]
fn actions_outside_the_space_have_no_probability() {
    let dist = Categorical::new(2).unwrap();
    for bad in [-1, 2, i64::MAX, i64::MIN] {
        let [logp, ..] = evaluate(&dist, &[0.0, 0.0, 0.0, 0.0], &Actions::Discrete(vec![bad, 1]), None);
        assert!(logp[0].is_nan() && logp[1].is_finite());
    }
    let [logp, ..] = evaluate(&Bernoulli::new(1).unwrap(), &[0.5], &Actions::Discrete(vec![2]), None);
    assert!(logp[0].is_nan());
}

#[test]
fn nan_inputs_do_not_pass_unseen() {
    for dist in all() {
        let mut inputs = noise("inputs", 2 * dist.num_inputs(), 1.0);
        inputs[0] = f32::NAN;
        let actions = Actions::zeros(dist.as_ref(), 2);
        let [logp, ..] = evaluate(dist.as_ref(), &inputs, &actions, None);
        assert!(logp[0].is_nan() && logp[1].is_finite(), "{dist:?} {logp:?}");
    }
}

#[test]
fn misfits_are_errors() {
    assert!(MultiCategorical::new(&[]).is_err() && MultiCategorical::new(&[2, 0]).is_err());
    assert!(Bernoulli::new(0).is_err() && DiagGaussian::new(0).is_err() && SquashedGaussian::new(0).is_err());
    let dist = Categorical::new(2).unwrap();
    let run = |cols: usize, actions: ActionsRef<'_>| {
        let (inputs, mut out) = ([0.0; 6], [[0.0; 2]; 3]);
        let [logp, entropy, kl] = out.each_mut().map(|o| &mut o[..]);
        let out = Evaluated { logp, entropy, kl };
        dist.evaluate(Mat::new(&inputs, 2, cols), actions, None, out, &mut dist.scratch())
    };
    assert_eq!(run(2, ActionsRef::Discrete { data: &[0, 1], width: 1 }), Ok(()));
    let wrong = [
        run(3, ActionsRef::Discrete { data: &[0, 1], width: 1 }),
        run(2, ActionsRef::Discrete { data: &[0, 1, 0], width: 1 }),
        run(2, ActionsRef::Discrete { data: &[0, 1, 0, 1], width: 2 }),
        run(2, ActionsRef::Continuous { data: &[0.0, 1.0], width: 1 }),
    ];
    for result in wrong {
        assert!(matches!(result, Err(NnError::Shape { .. })), "{result:?}");
    }
}
