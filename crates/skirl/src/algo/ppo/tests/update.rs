//! A hundred minibatch steps against a reference in PyTorch f64.

use super::{GOLDENS, Goldens, PpoLearner, action_spaces, learner, relative_distance, weights};
use crate::config::{PpoTraining, ScheduleSpec, StandardizeAdvantages};
use crate::learn::Batch;

/// As `training_golden` in the script; schedules count updates as environment steps.
fn options(name: &str) -> PpoTraining {
    let mut options = PpoTraining::default()
        .lr(ScheduleSpec::Piecewise(vec![(0, 2e-3), (25, 2e-4)]))
        .clip_param(ScheduleSpec::Piecewise(vec![(0, 0.2), (25, 0.1)]))
        .minibatch_size(128)
        .num_epochs(1)
        .grad_clip(0.2)
        .optimizer(|optimizer| optimizer.eps(1e-5));
    // The script's permutations take the place of our own.
    options.shuffle_batch_per_epoch = false;
    if name == "categorical" {
        options.standardize_advantages = StandardizeAdvantages::Batch;
        options.vf_loss_coeff(0.5).entropy_coeff(0.01).vf_clip_param(1.0)
    } else {
        options.standardize_advantages = StandardizeAdvantages::Minibatch;
        options.vf_clip_param = None;
        options.vf_loss_coeff(0.7).entropy_coeff(0.02).clip_range_vf(0.4)
    }
}

#[test]
fn a_hundred_minibatch_steps_end_at_the_weights_of_pytorch() {
    let goldens = Goldens::load(GOLDENS);
    for (name, action) in action_spaces().into_iter().take(2) {
        let policy = goldens.policy(&format!("train/{name}/weights/"), &action);
        let batch = goldens.batch(&format!("train/{name}/batch/"), &policy);
        let order = goldens.bytes(&format!("train/{name}/permutations"));
        let order: Vec<u32> = order.into_iter().map(u32::from_le_bytes).collect();
        let mut learner: PpoLearner = learner(policy, &options(name));
        for (update, permutation) in order.chunks(batch.rows()).enumerate() {
            let mut shuffled = Batch::like(&batch, batch.rows());
            shuffled.gather(&batch, permutation);
            learner.update(shuffled, update as u64).unwrap();
        }
        assert_eq!(learner.learner.updates(), 100);
        let expected_kl = goldens.f64(&format!("train/{name}/kl_coeff"))[0];
        assert!(
            (learner.rule.kl_coeff / expected_kl - 1.0).abs() < 1e-12,
            "{name}: {}",
            learner.rule.kl_coeff
        );
        let (mut found, mut expected) = (Vec::new(), Vec::new());
        for (tensor, values) in weights(&learner) {
            found.extend(values.into_iter().map(f64::from));
            expected.extend(goldens.f64(&format!("train/{name}/result/{tensor}")));
        }
        let distance = relative_distance(&found, &expected);
        assert!(distance < 1e-6, "{name}: {distance:e}");
    }
}
