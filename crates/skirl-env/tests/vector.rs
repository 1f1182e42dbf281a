//! Environments stepped together: errors name their environment, limits truncate, saved states resume exactly.

#![allow(clippy::unwrap_used)]

use serde_json::json;
use skirl_env::column::{column_muts, column_refs};
use skirl_env::testing::{Fault, FaultyEnv};
use skirl_env::{
    Column, DType, EnvContext, EnvError, Generator, Outcomes, Place, Space, VectorEnv, Vectorized, make,
    make_vec, names,
};

/// A vector environment with its columns and random actions.
struct Run {
    envs: Box<dyn VectorEnv>,
    observations: Vec<Column>,
    actions: Vec<Column>,
    outcomes: Outcomes,
    rng: Generator,
}

impl Run {
    fn new(envs: Box<dyn VectorEnv>) -> Run {
        let num_envs = envs.num_envs();
        let observations = envs.observation_space().columns(num_envs);
        let actions = envs.action_space().columns(num_envs);
        Run { envs, observations, actions, outcomes: Outcomes::default(), rng: Generator::seeded(9) }
    }

    fn reset(&mut self, env: usize, seed: Option<u64>) {
        self.envs.reset(env, seed, &mut column_muts(&mut self.observations)).unwrap();
    }

    fn reset_all(&mut self) {
        (0..self.envs.num_envs()).for_each(|env| self.reset(env, Some(env as u64)));
    }

    fn step(&mut self) -> Result<(), EnvError> {
        let space = self.envs.action_space().clone();
        for env in 0..self.envs.num_envs() {
            space.sample(&mut self.rng, &mut column_muts(&mut self.actions), env);
        }
        let mut observations = column_muts(&mut self.observations);
        self.envs.step(&column_refs(&self.actions), &mut observations, &mut self.outcomes)
    }

    /// Steps and resets what ended; everything seen.
    fn play(&mut self, steps: usize) -> Vec<(Vec<Column>, Outcomes)> {
        let mut seen = Vec::new();
        for _ in 0..steps {
            self.step().unwrap();
            seen.push((self.observations.clone(), self.outcomes.clone()));
            for env in 0..self.envs.num_envs() {
                if self.outcomes.ended(env) {
                    self.reset(env, None);
                }
            }
        }
        seen
    }
}

fn single_agent_names() -> impl Iterator<Item = String> {
    names(true)
        .into_iter()
        .filter(|name| !skirl_env::info(name).unwrap().multi_agent && !name.starts_with("testing/"))
}

#[test]
fn saved_states_resume_exactly() {
    for name in single_agent_names() {
        let mut run = Run::new(make_vec(&name, 5, &EnvContext::default()).unwrap());
        run.reset_all();
        run.play(37);
        let saved = run.envs.save_state().unwrap();
        let rng = run.rng.clone();
        let straight = run.play(60);
        let mut resumed = Run::new(make_vec(&name, 5, &EnvContext::default()).unwrap());
        resumed.envs.restore_state(&saved).unwrap();
        resumed.rng = rng;
        assert_eq!(resumed.play(60), straight, "{name}");
        let mut other = make_vec(&name, 4, &EnvContext::default()).unwrap();
        let error = other.restore_state(&saved).unwrap_err().to_string();
        assert!(error.contains("another environment or number of environments"), "{error}");
    }
}

#[test]
fn rows_do_not_depend_on_their_neighbours() {
    for name in single_agent_names() {
        let mut together = Run::new(make_vec(&name, 70, &EnvContext::default()).unwrap());
        let mut alone = Run::new(make_vec(&name, 1, &EnvContext::default()).unwrap());
        together.reset_all();
        alone.reset(0, Some(66));
        let space = together.envs.observation_space().clone();
        let mut flat = vec![0.0; 70 * space.flat_width()];
        let mut flat_alone = vec![0.0; space.flat_width()];
        for _ in 0..30 {
            together.play(1);
            for (one, all) in alone.actions.iter_mut().zip(&together.actions) {
                let size = one.len();
                *one = all.as_ref().slice(66 * size..67 * size).unwrap().to_column();
            }
            let mut observations = column_muts(&mut alone.observations);
            alone.envs.step(&column_refs(&alone.actions), &mut observations, &mut alone.outcomes).unwrap();
            assert_eq!(
                alone.outcomes.rewards[0].to_bits(),
                together.outcomes.rewards[66].to_bits(),
                "{name}"
            );
            if alone.outcomes.ended(0) {
                alone.reset(0, None);
            }
            space.flatten_into(&column_refs(&together.observations), 70, &mut flat).unwrap();
            space.flatten_into(&column_refs(&alone.observations), 1, &mut flat_alone).unwrap();
            let row = &flat[66 * flat_alone.len()..67 * flat_alone.len()];
            assert_eq!(row, flat_alone, "{name}");
        }
    }
}

#[test]
fn the_time_limit_truncates_and_keeps_the_final_observation() {
    let context = EnvContext::with_config(json!({"max_episode_steps": 3}).as_object().unwrap().clone());
    for name in ["Pendulum-v1", "probe/TruncatedForever-v0"] {
        let mut run = Run::new(make_vec(name, 2, &context).unwrap());
        run.reset_all();
        run.step().unwrap();
        run.reset(1, None);
        run.step().unwrap();
        run.step().unwrap();
        assert_eq!(run.outcomes.truncated, [true, false]);
        assert_eq!(run.outcomes.terminated, [false, false]);
        let final_observation = run.observations.clone();
        let place = Place { env: Some(0), env_step: Some(4) };
        assert_eq!(run.step(), Err(EnvError::StepAfterEnd { place }), "{name}");
        assert_eq!(run.observations, final_observation);
        run.reset(0, None);
        run.step().unwrap();
        assert_eq!(run.outcomes.truncated, [false, true]);
    }
}

#[test]
fn steps_before_a_reset_are_refused() {
    for name in ["CartPole-v1", "probe/Memory-v0"] {
        let mut run = Run::new(make_vec(name, 2, &EnvContext::default()).unwrap());
        run.reset(0, None);
        let place = Place { env: Some(1), env_step: Some(1) };
        assert_eq!(run.step(), Err(EnvError::StepBeforeReset { place }), "{name}");
    }
}

/// Four cart-poles of which the third fails at its fifth step.
fn with_fault(fault: Fault) -> Run {
    let env = |index| {
        let at_step = if index == 2 { 5 } else { u64::MAX };
        FaultyEnv::new(make("CartPole-v1").unwrap(), fault, at_step)
    };
    let mut run = Run::new(Box::new(Vectorized::new((0..4).map(env).collect()).unwrap()));
    run.reset_all();
    run
}

#[test]
fn faults_are_named_with_environment_and_step() {
    let cases = [
        (
            Fault::NanReward,
            "reward is NaN, expected a finite number, after action [1] (environment 2, env_step 5)",
        ),
        (Fault::InfiniteReward, "reward is inf, expected a finite number"),
        (
            Fault::NanObservation,
            "observation is NaN at index 0, expected a finite number (environment 2, env_step 5)",
        ),
        (
            Fault::WrongShape,
            "observation leaf 0 has shape [5], expected [4] as its space says (environment 2",
        ),
        (
            Fault::WrongDType,
            "observation leaf 0 has dtype float64, expected float32 as its space says (environment 2",
        ),
        (Fault::Raise, "the environment failed: fault planted at step 5 (environment 2, env_step 5)"),
    ];
    for (fault, expected) in cases {
        let mut run = with_fault(fault);
        (0..4).for_each(|_| run.step().unwrap());
        let error = run.step().unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn actions_outside_the_space_are_refused() {
    let cases: [(&str, Column, &str); 5] = [
        (
            "CartPole-v1",
            vec![0_i64, 2, 1].into(),
            "action 2 is outside the action space: expected Discrete(2)",
        ),
        ("CartPole-v1", vec![0_i64, -1, 1].into(), "action -1 is outside the action space"),
        (
            "Acrobot-v1",
            vec![0_i64, 3, 1].into(),
            "action 3 is outside the action space: expected Discrete(3)",
        ),
        ("Pendulum-v1", vec![0.0_f32, f32::NAN, 1.0].into(), "action NaN is outside the action space"),
        ("probe/ContinuousBound-v0", vec![0.0_f32, 3.1, 1.0].into(), "action 3.0999999046325684 is outside"),
    ];
    for (name, actions, expected) in cases {
        let mut run = Run::new(make_vec(name, 3, &EnvContext::default()).unwrap());
        run.reset_all();
        let mut observations = column_muts(&mut run.observations);
        let error = run.envs.step(&[actions.as_ref()], &mut observations, &mut run.outcomes).unwrap_err();
        assert_eq!(error.place(), Some(Place { env: Some(1), env_step: Some(1) }), "{name}");
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

#[test]
fn wrong_columns_are_refused() {
    for name in ["CartPole-v1", "probe/MatchObservation-v0"] {
        let mut run = Run::new(make_vec(name, 3, &EnvContext::default()).unwrap());
        run.reset_all();
        for actions in [Column::zeros(DType::I64, 2), Column::zeros(DType::I32, 3)] {
            let mut observations = column_muts(&mut run.observations);
            let result = run.envs.step(&[actions.as_ref()], &mut observations, &mut run.outcomes);
            assert!(result.is_err(), "{name}");
            run.reset_all();
        }
        let mut short = Space::boxed(0.0, 1.0, &[1], DType::F32).columns(2);
        assert!(run.envs.reset(2, None, &mut column_muts(&mut short)).is_err(), "{name}");
        assert!(run.envs.reset(3, None, &mut column_muts(&mut run.observations)).is_err(), "{name}");
    }
}

#[test]
fn environments_that_do_not_fit_together_are_refused() {
    let envs = vec![make("CartPole-v1").unwrap(), make("Pendulum-v1").unwrap()];
    let error = Vectorized::new(envs).unwrap_err().to_string();
    assert!(
        error.starts_with("observation space has shape Box(-8.0, 8.0, (3,), float32), expected Box("),
        "{error}"
    );
    assert!(Vectorized::new(Vec::<Box<dyn skirl_env::Env>>::new()).is_err());
}
