//! Environments with several agents.

#![allow(clippy::unwrap_used)]

use skirl_env::column::{column_muts, column_refs};
use skirl_env::{
    AgentActions, AgentStep, Column, EnvContext, EnvError, Generator, MultiAgentEnv, Row, RowRef, make,
    make_multi, names,
};

struct Run {
    env: Box<dyn MultiAgentEnv>,
    out: AgentStep,
    actions: AgentActions,
}

impl Run {
    fn new(name: &str) -> Run {
        let env = make_multi(name, 1, &EnvContext::default()).unwrap().remove(0);
        let (out, actions) = (AgentStep::for_env(&env), AgentActions::for_env(&env));
        Run { env, out, actions }
    }

    fn reset(&mut self, seed: Option<u64>) {
        self.env.reset(seed, &mut self.out).unwrap();
    }

    /// Steps with what `choose(agent, observation)` says for those that must act.
    fn step(&mut self, mut choose: impl FnMut(usize, &[f32]) -> i64) -> Result<(), EnvError> {
        self.actions.clear();
        for agent in 0..self.env.agents().len() {
            if self.out.observed[agent] && !self.out.ended(agent) {
                let observation = self.out.observation(agent).f32(0).unwrap();
                self.actions.actions[agent][0] = Column::I64(vec![choose(agent, observation)]);
                self.actions.acts[agent] = true;
            }
        }
        self.env.step(&self.actions, &mut self.out)
    }
}

fn sign_of(observation: &[f32]) -> i64 {
    i64::from(observation[0] > 0.0)
}

#[test]
fn the_turn_based_probe_pays_out_of_turn() {
    for seed in 0..20 {
        let mut run = Run::new("probe/TurnBased-v0");
        run.reset(Some(seed));
        assert_eq!(run.out.observed, [true, false]);
        let best = |agent, observation: &[f32]| {
            if agent == 0 { sign_of(observation) } else { 1 - sign_of(observation) }
        };
        let mut rewards = Vec::new();
        let mut observed = Vec::new();
        while !run.out.all_ended() {
            run.step(best).unwrap();
            rewards.push(run.out.rewards.clone());
            observed.push(run.out.observed.clone());
        }
        assert_eq!(rewards, [[0.0, 0.0], [1.0, 1.0], [0.0, 0.0], [1.0, 1.0]]);
        assert_eq!(observed, [[false, true], [true, false], [false, true], [true, true]]);
        assert_eq!(run.out.terminated, [true, true]);
        assert!(run.step(best).is_err());
        run.reset(None);
        run.step(|_, observation| 1 - sign_of(observation)).unwrap();
        run.step(|_, observation| sign_of(observation)).unwrap();
        assert_eq!(run.out.rewards, [-1.0, -1.0]);
    }
}

#[test]
fn the_simultaneous_probe_wants_opposite_answers() {
    let mut run = Run::new("probe/Simultaneous-v0");
    let best =
        |agent, observation: &[f32]| if agent == 0 { sign_of(observation) } else { 1 - sign_of(observation) };
    for seed in 0..20 {
        run.reset(Some(seed));
        assert_eq!(run.out.observed, [true, true]);
        run.step(best).unwrap();
        assert_eq!(run.out.rewards, [1.0, 1.0]);
        assert_eq!((run.out.terminated.as_slice(), run.out.all_ended()), ([false, true].as_slice(), false));
        run.step(best).unwrap();
        assert_eq!(run.out.rewards, [1.0, 0.0]);
        assert_eq!(run.out.observed, [true, false]);
        assert!(run.out.all_terminated);
    }
    run.reset(None);
    run.step(|agent, observation| 1 - best(agent, observation)).unwrap();
    assert_eq!(run.out.rewards, [-1.0, -1.0]);
}

#[test]
fn the_first_of_two_carts_moves_as_cart_pole() {
    let mut run = Run::new("TwoCartPole-v0");
    let mut alone = make("CartPole-v1").unwrap();
    let mut observation = alone.observation_space().columns(1);
    run.reset(Some(11));
    alone.reset(Some(11), &mut Row::new(column_muts(&mut observation))).unwrap();
    assert_ne!(run.out.observations[0], run.out.observations[1]);
    let mut rng = Generator::seeded(2);
    while !run.out.all_ended() {
        let both = [rng.integers(0, 2), rng.integers(0, 2)];
        let was_running = run.out.observed[0] && !run.out.ended(0);
        run.step(|agent, _| both[agent]).unwrap();
        if was_running {
            let action = [Column::I64(vec![both[0]])];
            let action = RowRef::new(column_refs(&action));
            let step = alone.step(&action, &mut Row::new(column_muts(&mut observation))).unwrap();
            assert_eq!(run.out.observations[0], observation);
            assert_eq!((run.out.rewards[0], run.out.terminated[0]), (step.reward, step.terminated));
        } else {
            assert_eq!((run.out.observed[0], run.out.rewards[0]), (false, 0.0));
        }
    }
    assert!(run.out.all_terminated && !run.out.all_truncated);
}

#[test]
fn a_missing_action_is_named() {
    let mut run = Run::new("TwoCartPole-v0");
    run.reset(Some(0));
    run.actions.acts = vec![true, false];
    let error = run.env.step(&run.actions, &mut run.out).unwrap_err().to_string();
    assert!(error.contains("an action of agent \"cart_1\", which was observed"), "{error}");
}

#[test]
fn multi_agent_states_resume_exactly_and_limits_truncate_all() {
    for name in names(true).into_iter().filter(|name| skirl_env::info(name).unwrap().multi_agent) {
        let mut run = Run::new(&name);
        run.reset(Some(3));
        run.step(|agent, _| agent as i64).unwrap();
        let saved = run.env.save_state().unwrap();
        let before = run.out.clone();
        let play = |run: &mut Run| {
            let mut seen = Vec::new();
            for step in 0..600_i64 {
                if run.out.all_ended() {
                    run.reset(None);
                }
                run.step(|agent, _| (step + agent as i64) % 2).unwrap();
                seen.push(run.out.clone());
            }
            seen
        };
        let straight = play(&mut run);
        let mut resumed = Run::new(&name);
        resumed.env.restore_state(&saved).unwrap();
        resumed.out = before;
        assert_eq!(play(&mut resumed), straight, "{name}");
    }
    let context = serde_json::json!({"max_episode_steps": 2}).as_object().unwrap().clone();
    let mut env = make_multi("TwoCartPole-v0", 1, &EnvContext::with_config(context)).unwrap().remove(0);
    let (mut out, mut actions) = (AgentStep::for_env(&env), AgentActions::for_env(&env));
    actions.acts.fill(true);
    env.reset(Some(0), &mut out).unwrap();
    env.step(&actions, &mut out).unwrap();
    assert!(!out.all_ended());
    env.step(&actions, &mut out).unwrap();
    assert!(out.all_truncated && !out.all_terminated && out.observed == [true, true]);
}

#[test]
fn a_single_agent_environment_is_one_with_one_agent() {
    let mut run = Run::new("CartPole-v1");
    assert_eq!(run.env.agents(), ["default_agent"]);
    run.reset(Some(0));
    while !run.out.all_ended() {
        run.step(|_, _| 1).unwrap();
        assert_eq!(run.out.rewards, [1.0]);
    }
    assert_eq!((run.out.terminated[0], run.out.all_terminated), (true, true));
}
