//! Values and gradients against PyTorch in f64 (`tests/goldens/generate_distributions.py`).

use serde_json::Value;
use skirl_nn::distributions::{ActionsRef, DiagGaussian, Reparameterized, SquashedGaussian};
use skirl_nn::{Mat, MatMut};

use super::{Actions, backward, evaluate, make};

fn goldens() -> Value {
    serde_json::from_str(include_str!("../goldens/distributions.json")).unwrap()
}

fn floats(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn f32s(v: &Value) -> Vec<f32> {
    floats(v).into_iter().map(|x| x as f32).collect()
}

/// Within `tolerance` of the exact value, relative to it or to 1, whichever is larger.
fn assert_close(name: &str, got: &[f32], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len());
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        assert!((f64::from(g) - w).abs() <= tolerance * w.abs().max(1.0), "{name}[{i}]: {g} against {w}");
    }
}

#[test]
fn values_and_gradients_equal_pytorch() {
    for case in goldens()["cases"].as_array().unwrap() {
        let sizes: Vec<usize> = floats(&case["sizes"]).into_iter().map(|x| x as usize).collect();
        let kind = case["kind"].as_str().unwrap();
        let dist = make(kind, &sizes);
        let actions = if dist.is_discrete() {
            Actions::Discrete(floats(&case["actions"]).into_iter().map(|x| x as i64).collect())
        } else {
            Actions::Continuous(f32s(&case["actions"]))
        };
        let (inputs, old) = (f32s(&case["inputs"]), f32s(&case["old_inputs"]));
        let got = evaluate(dist.as_ref(), &inputs, &actions, Some(&old));
        for (i, name) in ["logp", "entropy", "kl"].into_iter().enumerate() {
            assert_close(&format!("{kind}{sizes:?} {name}"), &got[i], &floats(&case["values"][i]), 2e-6);
        }
        let weights = [0, 1, 2].map(|i| f32s(&case["weights"][i]));
        let d = backward(dist.as_ref(), &inputs, &actions, Some(&old), weights.each_ref().map(|w| &w[..]));
        assert_close(&format!("{kind}{sizes:?} gradient"), &d, &floats(&case["d_inputs"]), 4e-6);
    }
}

#[test]
fn gradients_without_old_inputs_leave_the_divergence_out() {
    for dist in super::all() {
        let n = dist.num_inputs();
        let inputs = super::noise("inputs", 20 * n, 0.5);
        let actions = super::sample(dist.as_ref(), &inputs, &super::keys(20), 0).0;
        let (ones, zeros) = ([1.0; 20], [0.0; 20]);
        let none = backward(dist.as_ref(), &inputs, &actions, None, [&ones, &ones, &[]]);
        let with = backward(dist.as_ref(), &inputs, &actions, Some(&inputs), [&ones, &ones, &zeros]);
        assert_eq!(none, with, "{dist:?}");
        assert_eq!(evaluate(dist.as_ref(), &inputs, &actions, None)[2], zeros);
    }
}

#[test]
fn gradients_through_draws_equal_pytorch() {
    for case in goldens()["rsamples"].as_array().unwrap() {
        let width = case["sizes"][0].as_u64().unwrap() as usize;
        let gaussian = DiagGaussian::new(width).unwrap();
        let squashed = SquashedGaussian::new(width).unwrap();
        let is_squashed = case["kind"] == "squashed";
        let dist: &dyn Reparameterized = if is_squashed { &squashed } else { &gaussian };
        let column = |name: &str| f32s(&case[name]);
        let (inputs, actions) = (column("inputs"), column("actions"));
        let (d_actions, d_logp) = (column("d_actions"), column("d_logp"));
        let rows = d_logp.len();
        let mut d_inputs = vec![f32::NAN; inputs.len()];
        dist.rsample_backward(
            Mat::new(&inputs, rows, 2 * width),
            ActionsRef::Continuous { data: &actions, width },
            Mat::new(&d_actions, rows, width),
            &d_logp,
            MatMut::new(&mut d_inputs, rows, 2 * width),
            &mut dist.scratch(),
        )
        .unwrap();
        assert_close("rsample gradient", &d_inputs, &floats(&case["d_inputs"]), 2e-6);
    }
}
