//! Gradients of the policy-gradient loss against PyTorch and against finite differences.

use skirl_nn::Grads;

use super::{Goldens, action_spaces, relative_distance};
use crate::algo::on_policy::PolicyGradientLoss;
use crate::contract::Policy;
use crate::learn::gradient::{GradientEngine, GradientStats};
use crate::learn::{Batch, Loss, LossContext};
use crate::workers::Workers;

/// As `COEFFICIENTS` in the script.
const LOSSES: [PolicyGradientLoss; 4] = [
    PolicyGradientLoss { vf_loss_coeff: Some(0.5), entropy_coeff: 0.01 },
    PolicyGradientLoss { vf_loss_coeff: Some(1.5), entropy_coeff: 0.0 },
    PolicyGradientLoss { vf_loss_coeff: None, entropy_coeff: 0.02 },
    PolicyGradientLoss { vf_loss_coeff: None, entropy_coeff: 0.0 },
];

fn gradient(loss: &PolicyGradientLoss, policy: &Policy, batch: &Batch) -> (Grads, GradientStats) {
    let mut grads = Grads::new(policy.net.params());
    let context = LossContext { policy, batch, inverse_rows: 1.0 / batch.rows() as f32 };
    let workers = Workers::new(1).unwrap();
    let stats = GradientEngine::new().compute(loss, context, 0..batch.rows(), &workers, &mut grads).unwrap();
    (grads, stats)
}

/// Calls `check` with each distribution and loss: the golden's name, the loss, the policy and the batch.
fn each_case(check: impl Fn(&Goldens, &str, &PolicyGradientLoss, &Policy, &Batch)) {
    let goldens = Goldens::load("policy_gradient.safetensors");
    for (name, action) in action_spaces() {
        for (index, loss) in LOSSES.iter().enumerate() {
            let critic = loss.vf_loss_coeff.is_some();
            let policy = goldens.policy_with(&format!("loss/{name}/weights/"), &action, critic);
            assert_eq!(policy.has_value(), critic);
            let batch = goldens.batch(&format!("loss/{name}/batch/"), &policy);
            check(&goldens, &format!("loss/{name}/{index}"), loss, &policy, &batch);
        }
    }
}

#[test]
fn gradients_and_statistics_equal_those_of_pytorch() {
    each_case(|goldens, case, loss, policy, batch| {
        let (grads, stats) = gradient(loss, policy, batch);
        for tensor in policy.net.params().export_buffer(grads.values()).unwrap() {
            let expected = goldens.f64(&format!("{case}/gradient/{}", tensor.name));
            let found: Vec<f64> = tensor.data.iter().map(|&value| f64::from(value)).collect();
            let distance = relative_distance(&found, &expected);
            assert!(distance < 2e-6, "{case}, {}: {distance:e}", tensor.name);
        }
        let expected = goldens.f64(&format!("{case}/stats"));
        assert_eq!(stats.sums.len(), expected.len(), "{case}");
        for (sum, expected) in stats.sums.iter().zip(expected) {
            let mean = sum / batch.rows() as f64;
            assert!((mean - expected).abs() < 2e-6, "{case}: {mean} for {expected}");
        }
    });
}

fn total(loss: &PolicyGradientLoss, policy: &Policy, batch: &Batch) -> f64 {
    let (_, stats) = gradient(loss, policy, batch);
    loss.total(&stats.sums.iter().map(|sum| sum / batch.rows() as f64).collect::<Vec<_>>())
}

/// The policy with its weights moved by `step` along the gradient.
fn moved(policy: &Policy, gradient: &[f32], step: f32) -> Policy {
    let mut moved = policy.clone();
    let values = moved.net.params_mut().values_mut();
    values.iter_mut().zip(gradient).for_each(|(value, slope)| *value += step * slope);
    moved.net.refresh();
    moved
}

#[test]
fn along_its_gradient_the_loss_rises_as_the_gradient_says() {
    each_case(|_, case, loss, policy, batch| {
        let (grads, _) = gradient(loss, policy, batch);
        let squared: f64 = grads.values().iter().map(|&slope| f64::from(slope) * f64::from(slope)).sum();
        let step = 2e-3 / squared.sqrt() as f32;
        let ahead = total(loss, &moved(policy, grads.values(), step), batch);
        let behind = total(loss, &moved(policy, grads.values(), -step), batch);
        let slope = (ahead - behind) / (2.0 * f64::from(step));
        assert!((slope / squared - 1.0).abs() < 5e-3, "{case}: {slope} for {squared}");
    });
}
