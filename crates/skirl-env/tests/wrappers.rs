//! Wrappers change what they promise and nothing else.

#![allow(clippy::unwrap_used)]

use skirl_env::check::{CheckOptions, check_env};
use skirl_env::column::{column_muts, column_refs};
use skirl_env::probe::TruncatedForever;
use skirl_env::wrappers::{OrderEnforcing, TimeLimit, TransformObservation, TransformReward};
use skirl_env::{Column, DType, Env, EnvError, Row, RowRef, Space, Step, make};

fn reset(env: &mut impl Env) -> Vec<Column> {
    let mut observation = env.observation_space().columns(1);
    env.reset(Some(4), &mut Row::new(column_muts(&mut observation))).unwrap();
    observation
}

fn step(env: &mut impl Env, action: i64) -> Result<(Step, Vec<Column>), EnvError> {
    let mut observation = env.observation_space().columns(1);
    let action = [Column::I64(vec![action])];
    let step = env.step(&RowRef::new(column_refs(&action)), &mut Row::new(column_muts(&mut observation)))?;
    Ok((step, observation))
}

#[test]
fn rewards_are_transformed() {
    let mut env = TransformReward::new(make("CartPole-v1").unwrap(), |reward| reward * 0.5 - 2.0);
    let first = reset(&mut env);
    assert_eq!(first, reset(&mut make("CartPole-v1").unwrap()));
    assert_eq!(step(&mut env, 0).unwrap().0, Step::running(-1.5));
    assert_eq!(check_env(&mut env, CheckOptions::default()), []);
}

#[test]
fn observations_are_transformed() {
    let double = |row: &mut Row<'_>| {
        row.f32(0)?.iter_mut().for_each(|value| *value *= 2.0);
        Ok(())
    };
    let space = Space::boxed(f64::NEG_INFINITY, f64::INFINITY, &[4], DType::F32);
    let mut env = TransformObservation::new(make("CartPole-v1").unwrap(), space.clone(), double).unwrap();
    let mut plain = make("CartPole-v1").unwrap();
    assert_eq!(env.observation_space(), space);
    let doubled = |columns: Vec<Column>| {
        columns[0].as_ref().f32().unwrap().iter().map(|value| value * 2.0).collect::<Vec<f32>>()
    };
    assert_eq!(reset(&mut env)[0], Column::F32(doubled(reset(&mut plain))));
    let (found, expected) = (step(&mut env, 1).unwrap().1, step(&mut plain, 1).unwrap().1);
    assert_eq!(found[0], Column::F32(doubled(expected)));
    assert_eq!(check_env(&mut env, CheckOptions::default()), []);
    let other = Space::boxed(0.0, 1.0, &[3], DType::F32);
    assert!(TransformObservation::new(make("CartPole-v1").unwrap(), other, double).is_err());
}

#[test]
fn a_time_limit_truncates_once_and_is_saved() {
    let mut env = TimeLimit::new(TruncatedForever, 3);
    reset(&mut env);
    for truncated in [false, false, true] {
        assert_eq!(step(&mut env, 0).unwrap().0, Step { reward: 1.0, terminated: false, truncated });
    }
    assert!(matches!(step(&mut env, 0), Err(EnvError::StepAfterEnd { .. })));
    reset(&mut env);
    step(&mut env, 0).unwrap();
    step(&mut env, 0).unwrap();
    let mut restored = TimeLimit::new(TruncatedForever, 3);
    restored.restore_state(&env.save_state().unwrap()).unwrap();
    assert!(step(&mut restored, 0).unwrap().0.truncated);
}

#[test]
fn steps_out_of_order_are_refused() {
    let mut env = OrderEnforcing::new(skirl_env::probe::Constant);
    assert!(matches!(step(&mut env, 0), Err(EnvError::StepBeforeReset { .. })));
    reset(&mut env);
    assert!(step(&mut env, 0).unwrap().0.terminated);
    assert!(matches!(step(&mut env, 0), Err(EnvError::StepAfterEnd { .. })));
    let mut restored = OrderEnforcing::new(skirl_env::probe::Constant);
    restored.restore_state(&env.save_state().unwrap()).unwrap();
    assert!(matches!(step(&mut restored, 0), Err(EnvError::StepAfterEnd { .. })));
}

#[test]
fn faults_can_be_planted_by_name() {
    let config = serde_json::json!({"env": "Pendulum-v1", "fault": "nan_reward", "at_step": 2, "on_env": 1});
    let context = skirl_env::EnvContext::with_config(config.as_object().unwrap().clone());
    let mut envs = skirl_env::make_vec("testing/Faulty-v0", 2, &context).unwrap();
    let mut observations = envs.observation_space().columns(2);
    let actions = envs.action_space().columns(2);
    let mut outcomes = skirl_env::Outcomes::default();
    for env in 0..2 {
        envs.reset(env, None, &mut column_muts(&mut observations)).unwrap();
    }
    let mut step = || envs.step(&column_refs(&actions), &mut column_muts(&mut observations), &mut outcomes);
    step().unwrap();
    let error = step().unwrap_err().to_string();
    assert!(error.contains("reward is NaN") && error.contains("(environment 1, env_step 2)"), "{error}");
}
