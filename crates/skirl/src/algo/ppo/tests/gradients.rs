//! Gradients of the loss against PyTorch and against finite differences.

use skirl_env::Space;
use skirl_nn::Grads;

use super::{GOLDENS, Goldens, action_spaces, relative_distance};
use crate::algo::ppo::loss::PpoLoss;
use crate::contract::Policy;
use crate::learn::gradient::{GradientEngine, GradientStats};
use crate::learn::{Batch, LossContext};
use crate::workers::Workers;

const PLAIN: PpoLoss = PpoLoss {
    clip_param: 0.2,
    vf_loss_coeff: 0.5,
    vf_clip_param: f32::INFINITY,
    clip_range_vf: f32::INFINITY,
    entropy_coeff: 0.0,
    kl_coeff: 0.0,
    measure_kl: false,
    use_critic: true,
};

/// As `COEFFICIENTS` in the script.
const LOSSES: [PpoLoss; 4] = [
    PLAIN,
    PpoLoss { clip_param: 0.3, vf_loss_coeff: 1.0, entropy_coeff: 0.01, vf_clip_param: 0.5, ..PLAIN },
    PpoLoss {
        clip_param: 0.1,
        entropy_coeff: 0.02,
        kl_coeff: 0.3,
        measure_kl: true,
        clip_range_vf: 0.3,
        ..PLAIN
    },
    PpoLoss { entropy_coeff: 0.01, kl_coeff: 0.2, measure_kl: true, use_critic: false, ..PLAIN },
];

fn gradient(loss: &PpoLoss, policy: &Policy, batch: &Batch) -> (Grads, GradientStats) {
    let mut grads = Grads::new(policy.net.params());
    let context = LossContext { policy, batch, inverse_rows: 1.0 / batch.rows() as f32 };
    let workers = Workers::new(1).unwrap();
    let stats = GradientEngine::new().compute(loss, context, 0..batch.rows(), &workers, &mut grads).unwrap();
    (grads, stats)
}

fn case(goldens: &Goldens, name: &str, action: &Space) -> (Policy, Batch) {
    let policy = goldens.policy(&format!("loss/{name}/weights/"), action);
    let batch = goldens.batch(&format!("loss/{name}/batch/"), &policy);
    (policy, batch)
}

#[test]
fn gradients_and_statistics_equal_those_of_pytorch() {
    let goldens = Goldens::load(GOLDENS);
    for (name, action) in action_spaces() {
        let (policy, batch) = case(&goldens, name, &action);
        for (index, loss) in LOSSES.iter().enumerate() {
            let (grads, stats) = gradient(loss, &policy, &batch);
            let (mut all_found, mut all_expected) = (Vec::new(), Vec::new());
            for tensor in policy.net.params().export_buffer(grads.values()).unwrap() {
                let expected = goldens.f64(&format!("loss/{name}/{index}/gradient/{}", tensor.name));
                let found: Vec<f64> = tensor.data.iter().map(|&value| f64::from(value)).collect();
                let silent = expected.iter().all(|&value| value == 0.0);
                let distance = relative_distance(&found, &expected);
                assert!(
                    if silent { found.iter().all(|&value| value == 0.0) } else { distance < 2e-5 },
                    "{name}, loss {index}, {}: {distance:e}",
                    tensor.name
                );
                all_found.extend(found);
                all_expected.extend(expected);
            }
            let distance = relative_distance(&all_found, &all_expected);
            assert!(distance < 2e-6, "{name}, loss {index}: {distance:e}");
            let expected = goldens.f64(&format!("loss/{name}/{index}/stats"));
            for (sum, expected) in stats.sums.iter().zip(expected) {
                let mean = sum / batch.rows() as f64;
                assert!((mean - expected).abs() < 2e-6, "{name}, loss {index}: {mean} for {expected}");
            }
        }
    }
}

fn total(loss: &PpoLoss, policy: &Policy, batch: &Batch) -> f64 {
    let (_, stats) = gradient(loss, policy, batch);
    let mean = |index: usize| stats.sums[index] / batch.rows() as f64;
    let critic = if loss.use_critic { f64::from(loss.vf_loss_coeff) } else { 0.0 };
    mean(0) + critic * mean(1) - f64::from(loss.entropy_coeff) * mean(3) + f64::from(loss.kl_coeff) * mean(4)
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
    let goldens = Goldens::load(GOLDENS);
    for (name, action) in action_spaces() {
        let (policy, batch) = case(&goldens, name, &action);
        for (index, loss) in LOSSES.iter().enumerate() {
            let (grads, _) = gradient(loss, &policy, &batch);
            let squared: f64 = grads.values().iter().map(|&slope| f64::from(slope) * f64::from(slope)).sum();
            // Rows lie at least 1e-3 from every kink of the loss: the step must stay inside.
            let step = 2e-4 / squared.sqrt() as f32;
            let ahead = total(loss, &moved(&policy, grads.values(), step), &batch);
            let behind = total(loss, &moved(&policy, grads.values(), -step), &batch);
            let slope = (ahead - behind) / (2.0 * f64::from(step));
            assert!((slope / squared - 1.0).abs() < 2e-2, "{name}, loss {index}: {slope} for {squared}");
        }
    }
}
