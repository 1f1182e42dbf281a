//! Updates of A2C and PG: one step over a batch.

use super::{Goldens, action_spaces, learner, relative_distance, weights};
use crate::algo::a2c::A2cRule;
use crate::algo::on_policy::{BatchLearner, UpdateRule};
use crate::algo::pg::PgRule;
use crate::config::{A2cTraining, OptimizerType, PgTraining, ScheduleSpec, StandardizeAdvantages};
use crate::learn::Batch;

/// Updates count as environment steps.
const FALLING: [(u64, f64); 2] = [(0, 1e-2), (40, 1e-3)];

fn a2c() -> A2cTraining {
    let optimizer = |o: crate::config::OptimizerOptions| o.kind(OptimizerType::RmsProp).alpha(0.97).eps(1e-5);
    A2cTraining::default().lr(ScheduleSpec::Piecewise(FALLING.to_vec())).grad_clip(0.5).optimizer(optimizer)
}

fn pg() -> PgTraining {
    PgTraining::default().lr(ScheduleSpec::Piecewise(FALLING.to_vec())).grad_clip(1.0)
}

fn start<R: UpdateRule>(algorithm: &str, action: &str, options: &R::Training) -> (BatchLearner<R>, Batch) {
    let goldens = Goldens::load("policy_gradient.safetensors");
    let (_, action) = action_spaces().into_iter().find(|(name, _)| *name == action).unwrap();
    let policy = goldens.policy(&format!("train/{algorithm}/weights/"), &action);
    let batch = goldens.batch(&format!("train/{algorithm}/batch/"), &policy);
    (learner(policy, options), batch)
}

fn rows(batch: &Batch, rows: std::ops::Range<u32>) -> Batch {
    let mut part = Batch::like(batch, rows.len());
    part.gather(batch, &rows.collect::<Vec<_>>());
    part
}

fn metric(metrics: &[(&'static str, f64)], name: &str) -> Option<f64> {
    metrics.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// Forty updates over four batches of 40 rows in turn.
fn check_training<R: UpdateRule>(algorithm: &str, action: &str, options: &R::Training) {
    let goldens = Goldens::load("policy_gradient.safetensors");
    let (mut learner, batch) = start::<R>(algorithm, action, options);
    for update in 0..40 {
        let first = 40 * (update % 4) as u32;
        learner.update(rows(&batch, first..first + 40), update).unwrap();
    }
    assert_eq!((learner.learner.updates(), learner.rows_trained), (40, 1600));
    let (mut found, mut expected) = (Vec::new(), Vec::new());
    for (tensor, values) in weights(&learner) {
        found.extend(values.into_iter().map(f64::from));
        expected.extend(goldens.f64(&format!("train/{algorithm}/result/{tensor}")));
    }
    let distance = relative_distance(&found, &expected);
    assert!(distance < 1e-5, "{algorithm}: {distance:e}");
}

#[test]
fn forty_updates_end_at_the_weights_of_pytorch() {
    check_training::<A2cRule>("a2c", "categorical", &a2c());
    check_training::<PgRule>("pg", "categorical", &pg());
}

#[test]
fn the_parts_of_a_batch_add_up_to_the_whole() {
    let outcome = |part: Option<usize>, standardize| {
        let mut options = a2c().grad_clip(None);
        options.optimizer = crate::config::OptimizerOptions::default().kind(OptimizerType::Sgd);
        (options.microbatch_size, options.standardize_advantages) = (part, standardize);
        let (mut learner, batch) = start::<A2cRule>("a2c", "categorical", &options);
        let metrics = learner.update(batch, 0).unwrap();
        assert_eq!(learner.learner.updates(), 1, "one step, whatever the parts");
        let weights: Vec<f64> = weights(&learner).into_values().flatten().map(f64::from).collect();
        (weights, metric(&metrics, "total_loss").unwrap())
    };
    for standardize in [StandardizeAdvantages::Off, StandardizeAdvantages::Batch] {
        let (whole, loss) = outcome(None, standardize);
        for part in [1, 33, 64, 159, 160] {
            let (parts, parts_loss) = outcome(Some(part), standardize);
            let distance = relative_distance(&parts, &whole);
            assert!(distance < 2e-7, "{part}: {distance:e}");
            assert!((parts_loss - loss).abs() < 1e-9, "{part}: {parts_loss} for {loss}");
        }
    }
}

#[test]
fn without_advantages_the_policy_stays_and_only_the_value_function_learns() {
    let (mut learner, mut batch) = start::<A2cRule>("a2c", "categorical", &a2c().entropy_coeff(0.0));
    let before = weights(&learner);
    batch.advantages.fill(0.0);
    learner.update(batch, 0).unwrap();
    for (tensor, values) in weights(&learner) {
        assert_eq!(tensor.starts_with("pi."), values == before[&tensor], "{tensor}");
    }
    let (mut learner, mut batch) = start::<PgRule>("pg", "categorical", &pg());
    let before = weights(&learner);
    assert!(before.keys().all(|name| name.starts_with("pi.")), "no value function: {:?}", before.keys());
    batch.advantages.fill(0.0);
    let metrics = learner.update(batch, 0).unwrap();
    assert_eq!(weights(&learner), before);
    assert_eq!([metric(&metrics, "vf_loss"), metric(&metrics, "vf_explained_var")], [None, None]);
}

#[test]
fn schedules_follow_the_environment_steps() {
    let options = a2c().entropy_coeff(ScheduleSpec::Piecewise(vec![(0, 0.5), (100, 0.0)]));
    for (steps, lr, entropy) in [(0, 1e-2, 0.5), (20, 5.5e-3, 0.4), (100, 1e-3, 0.0)] {
        let (mut learner, batch) = start::<A2cRule>("a2c", "categorical", &options);
        let metrics = learner.update(batch, steps).unwrap();
        let close = |name, expected: f64| (metric(&metrics, name).unwrap() - expected).abs() < 1e-7;
        assert!(close("default_optimizer_learning_rate", lr), "{metrics:?}");
        assert!(close("curr_entropy_coeff", entropy), "{metrics:?}");
    }
}

#[test]
fn the_memory_of_the_observations_is_given_back() {
    let (mut learner, batch) = start::<PgRule>("pg", "categorical", &pg());
    let memory = batch.obs.as_ptr();
    learner.update(batch, 0).unwrap();
    let spent = learner.take_spent();
    assert_eq!(spent.as_ptr(), memory);
}
