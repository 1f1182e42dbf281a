//! What must hold of an update whatever the numbers are.

use skirl_env::{DType, Space};
use skirl_math::rng::StreamKey;
use skirl_math::stats::{Denominator, standardize};

use super::{GOLDENS, Goldens, PpoLearner, action_spaces, learner, weights};
use crate::collect::AgentSpaces;
use crate::config::{OptimizerType, PpoTraining, RlModuleOptions, ScheduleSpec, StandardizeAdvantages};
use crate::error::Error;
use crate::learn::Batch;
use crate::plan::{ModulePlan, NetworkOptions, build_policy};

/// No terms but the surrogate and the value loss, one epoch in the order of the rows.
fn plain() -> PpoTraining {
    let mut options = PpoTraining::default().lr(1e-2).minibatch_size(64).num_epochs(1).use_kl_loss(false);
    options.shuffle_batch_per_epoch = false;
    options.standardize_advantages = StandardizeAdvantages::Off;
    options
}

/// A hundred rows of an old policy a good way off, and a learner for them.
fn start(name: &str, options: &PpoTraining) -> (PpoLearner, Batch) {
    let goldens = Goldens::load(GOLDENS);
    let (_, action) = action_spaces().into_iter().find(|(known, _)| *known == name).unwrap();
    let policy = goldens.policy(&format!("loss/{name}/weights/"), &action);
    let batch = goldens.batch(&format!("loss/{name}/batch/"), &policy);
    (learner(policy, options), batch)
}

fn metric(metrics: &[(&'static str, f64)], name: &str) -> f64 {
    metrics.iter().find(|(known, _)| *known == name).map_or(f64::NAN, |(_, value)| *value)
}

fn rows(batch: &Batch, rows: std::ops::Range<u32>) -> Batch {
    let mut part = Batch::like(batch, rows.len());
    part.gather(batch, &rows.collect::<Vec<_>>());
    part
}

#[test]
fn without_advantages_the_actor_stays_as_it_is() {
    for (name, _) in action_spaces() {
        let (mut learner, mut batch) = start(name, &plain());
        let before = weights(&learner);
        batch.advantages.fill(0.0);
        learner.update(batch, 0).unwrap();
        for (tensor, values) in weights(&learner) {
            assert_eq!(tensor.starts_with("pi."), values == before[&tensor], "{name}: {tensor}");
        }
    }
}

#[test]
fn equal_advantages_are_no_advantage() {
    for mode in [StandardizeAdvantages::Batch, StandardizeAdvantages::Minibatch] {
        let mut options = plain();
        options.standardize_advantages = mode;
        let (mut learner, mut batch) = start("categorical", &options);
        let before = weights(&learner);
        batch.advantages.fill(3.25);
        learner.update(batch, 0).unwrap();
        assert!(
            weights(&learner)
                .iter()
                .all(|(name, values)| !name.starts_with("pi.") || *values == before[name])
        );
    }
}

#[test]
fn a_short_last_minibatch_is_averaged_over_its_own_rows() {
    let mut options = plain();
    options.optimizer.kind = OptimizerType::Sgd;
    let (mut whole, batch) = start("gaussian", &options);
    whole.update(batch.clone(), 0).unwrap();
    assert_eq!(whole.learner.updates(), 2);
    let (mut apart, _) = start("gaussian", &options);
    apart.update(rows(&batch, 0..64), 0).unwrap();
    apart.options.minibatch_size = Some(36);
    apart.update(rows(&batch, 64..100), 0).unwrap();
    assert_eq!(weights(&whole), weights(&apart));
}

#[test]
fn advantages_are_standardised_over_the_rows_that_the_option_names() {
    let outcome = |mode, prepare: &dyn Fn(&mut [f32])| {
        let mut options = plain();
        options.standardize_advantages = mode;
        let (mut learner, mut batch) = start("categorical", &options);
        prepare(&mut batch.advantages);
        learner.update(batch, 0).unwrap();
        weights(&learner)
    };
    let off = outcome(StandardizeAdvantages::Off, &|_| {});
    let batch = outcome(StandardizeAdvantages::Batch, &|_| {});
    let minibatch = outcome(StandardizeAdvantages::Minibatch, &|_| {});
    assert!(off != batch && batch != minibatch && off != minibatch);
    let by_hand = |advantages: &mut [f32]| {
        standardize(advantages, Denominator::Floor(1e-4));
    };
    assert_eq!(batch, outcome(StandardizeAdvantages::Off, &by_hand));
    let by_hand = |advantages: &mut [f32]| {
        let (first, second) = advantages.split_at_mut(64);
        standardize(first, Denominator::Add(1e-8));
        standardize(second, Denominator::Add(1e-8));
    };
    assert_eq!(minibatch, outcome(StandardizeAdvantages::Off, &by_hand));
}

/// The coefficient after one update whose mean KL is `factor` times the target.
fn adapted(factor: f64) -> f64 {
    let measured = {
        let mut options = plain().lr(0.0).use_kl_loss(true);
        options.kl_coeff = 1e-3;
        let (mut learner, batch) = start("gaussian", &options);
        metric(&learner.update(batch, 0).unwrap(), "mean_kl_loss")
    };
    assert!(measured > 0.0);
    let mut options = plain().lr(0.0).use_kl_loss(true);
    (options.kl_coeff, options.kl_target) = (0.5, measured / factor);
    let (mut learner, batch) = start("gaussian", &options);
    learner.update(batch, 0).unwrap();
    learner.rule.kl_coeff
}

#[test]
fn the_kl_coefficient_follows_the_divergence() {
    assert_eq!([2.1, 1.9, 0.6, 0.4].map(adapted), [0.75, 0.5, 0.5, 0.25]);
}

#[test]
fn an_update_stops_once_the_policy_has_moved_too_far() {
    let mut options = plain().num_epochs(5).target_kl(1e-6);
    options.kl_target = 1e-9;
    let (mut far, batch) = start("categorical", &options);
    let before = weights(&far);
    far.update(batch.clone(), 0).unwrap();
    assert_eq!((far.learner.updates(), weights(&far)), (0, before));
    // Old and new policy alike at first: the first step is taken, and later ones move too far.
    let (mut near, mut batch) =
        start("categorical", &plain().num_epochs(5).minibatch_size(100).target_kl(1e-4));
    let policy = near.learner.policy().clone();
    batch.logp = log_probabilities(&policy, &batch);
    near.update(batch, 0).unwrap();
    assert!((1..5).contains(&near.learner.updates()), "{}", near.learner.updates());
}

/// The network's own log-probabilities of the batch's actions.
fn log_probabilities(policy: &crate::contract::Policy, batch: &Batch) -> Vec<f32> {
    let n = batch.rows();
    let mut tape = policy.net.tape(n);
    policy.net.forward(&[skirl_nn::Mat::new(&batch.obs, n, batch.obs_width)], None, &mut tape).unwrap();
    let (mut logp, mut entropy, mut kl) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let out = skirl_nn::distributions::Evaluated { logp: &mut logp, entropy: &mut entropy, kl: &mut kl };
    let mut scratch = policy.dist.scratch();
    policy.dist.evaluate(tape.output(0), batch.actions.view(0, n), None, out, &mut scratch).unwrap();
    logp
}

#[test]
fn an_epoch_that_stops_at_once_leaves_the_divergence_of_the_one_before() {
    let mut options = plain().num_epochs(5).minibatch_size(100).target_kl(1e-4).use_kl_loss(true);
    (options.kl_coeff, options.kl_target) = (0.5, 1e9);
    let (mut learner, mut batch) = start("categorical", &options);
    batch.logp = log_probabilities(&learner.learner.policy().clone(), &batch);
    learner.update(batch, 0).unwrap();
    assert!(learner.learner.updates() < 5);
    assert_eq!(learner.rule.kl_coeff, 0.25, "far below the target: the coefficient is halved");
}

#[test]
fn schedules_follow_the_environment_steps() {
    let options = plain()
        .lr(ScheduleSpec::Piecewise(vec![(0, 1e-2), (100, 0.0)]))
        .clip_param(ScheduleSpec::Piecewise(vec![(0, 0.2), (100, 0.1)]))
        .entropy_coeff(ScheduleSpec::Piecewise(vec![(0, 0.0), (100, 0.5)]));
    for (steps, lr, clip, entropy) in [(0, 1e-2, 0.2, 0.0), (50, 5e-3, 0.15, 0.25), (200, 0.0, 0.1, 0.5)] {
        let (mut learner, batch) = start("categorical", &options);
        let before = weights(&learner);
        let metrics = learner.update(batch, steps).unwrap();
        let close = |name: &str, expected: f64| (metric(&metrics, name) - expected).abs() < 1e-7;
        assert!(close("default_optimizer_learning_rate", lr), "{steps}: {metrics:?}");
        assert!(
            close("curr_clip_param", clip) && close("curr_entropy_coeff", entropy),
            "{steps}: {metrics:?}"
        );
        assert_eq!(weights(&learner) == before, lr == 0.0, "{steps}");
    }
}

#[test]
fn each_epoch_sees_every_row_once() {
    let mut options = plain().num_epochs(3).minibatch_size(30);
    options.shuffle_batch_per_epoch = true;
    let (mut learner, batch) = start("categorical", &options);
    let metrics = learner.update(batch, 0).unwrap();
    assert_eq!((learner.rows_trained, learner.learner.updates()), (300, 12));
    assert_eq!(metric(&metrics, "num_module_steps_trained"), 300.0);
    assert_eq!(learner.shuffle.counter, 3 * 99, "three permutations were drawn");
    // One step on all rows is the same in any order, but for rounding.
    let step = |shuffled: bool| {
        let mut options = plain().minibatch_size(100);
        options.shuffle_batch_per_epoch = shuffled;
        options.optimizer.kind = OptimizerType::Sgd;
        let (mut learner, batch) = start("categorical", &options);
        learner.update(batch, 0).unwrap();
        weights(&learner).into_values().flatten().collect::<Vec<f32>>()
    };
    let (shuffled, in_order) = (step(true), step(false));
    assert_ne!(shuffled, in_order, "nothing was shuffled");
    assert!(shuffled.iter().zip(&in_order).all(|(a, b)| (a - b).abs() < 1e-6));
}

/// The only step of an update makes the weights infinite: no later loss or gradient can notice.
#[test]
fn weights_that_are_not_finite_are_not_handed_on() {
    let mut options = plain().minibatch_size(100).lr(1e300);
    options.optimizer.kind = OptimizerType::Sgd;
    let (mut learner, batch) = start("gaussian", &options);
    let error = learner.update(batch, 0).unwrap_err();
    assert!(error.to_string().contains("a weight"), "{error}");
}

#[test]
fn an_update_that_diverges_can_be_rolled_back() {
    let mut options = plain().num_epochs(4).lr(1e30);
    options.optimizer.kind = OptimizerType::Sgd;
    let (mut learner, batch) = start("gaussian", &options);
    let before = weights(&learner);
    learner.keep();
    let error = learner.update(batch, 0).unwrap_err();
    assert!(matches!(error, Error::Diverged { .. }), "{error}");
    assert_ne!(weights(&learner), before);
    learner.roll_back();
    assert_eq!((weights(&learner), learner.rows_trained, learner.learner.updates()), (before, 0, 0));
}

/// What `explain` shows is what runs.
#[test]
fn the_plan_names_the_stages_of_the_pipeline() {
    let config = crate::config::PpoConfig::new().environment("CartPole-v1");
    let algorithm = crate::Algorithm::build(Box::new(config)).unwrap();
    let planned: Vec<&str> =
        algorithm.plan().stages.iter().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(planned, algorithm.stage_names());
}

/// Normalisation starts as the identity, whatever initialises the weights.
#[test]
fn layer_norm_gains_start_at_one() {
    for initializer in [crate::config::Initializer::TorchDefault, crate::config::Initializer::Orthogonal] {
        let options = RlModuleOptions {
            fcnet_use_layernorm: true,
            fcnet_kernel_initializer: initializer,
            ..RlModuleOptions::default()
        };
        let agent = AgentSpaces {
            agent: "agent".to_owned(),
            observation: Space::boxed(-1.0, 1.0, &[3], DType::F32),
            action: Space::discrete(2),
        };
        let options = NetworkOptions { rl_module: options, critic: true };
        let plan = ModulePlan::new(&options, &agent, true).unwrap();
        let policy = build_policy(&plan, StreamKey::root(1)).unwrap();
        let tensors = policy.net.params().export();
        let gains = tensors.iter().filter(|tensor| tensor.name.ends_with("norm.weight"));
        assert_eq!(gains.clone().count(), 4);
        assert!(gains.flat_map(|tensor| &tensor.data).all(|&gain| gain == 1.0));
    }
}
