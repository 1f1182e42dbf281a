//! An environment with a task: ten steps, each of which pays the phase that the episode began with.

use serde_json::{Value, json};
use skirl_env::scene::{Scene, View};
use skirl_env::state::entry;
use skirl_env::wrappers::TransformReward;
use skirl_env::{
    AgentActions, AgentStep, Column, DType, Env, EnvError, EnvState, MultiAgentEnv, Row, RowRef, Space, Step,
    TwoCartPoles, register_env, register_multi_agent_env,
};

pub(crate) const LENGTH: i64 = 10;

/// How much of itself it saves. The phase of the next episode is in no state: the engine has to remember it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Saves {
    Nothing,
    Episode,
}

#[derive(Debug)]
pub(crate) struct Stairs {
    saves: Saves,
    /// Phase of the running episode.
    pub(crate) phase: i64,
    /// Phase of the next one.
    pub(crate) next: i64,
    step: i64,
}

impl Stairs {
    pub(crate) fn new(saves: Saves) -> Self {
        Self { saves, phase: 0, next: 0, step: 0 }
    }

    fn observe(&self, observation: &mut Row<'_>) -> Result<(), EnvError> {
        observation.set(&[self.step as f32, self.phase as f32])
    }
}

impl Env for Stairs {
    fn observation_space(&self) -> Space {
        Space::boxed(0.0, 10.0, &[2], DType::F32)
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, _seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        (self.phase, self.step) = (self.next, 0);
        self.observe(observation)
    }

    fn step(&mut self, _action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        self.step += 1;
        self.observe(observation)?;
        let reward = self.phase as f64;
        Ok(if self.step == LENGTH { Step::terminal(reward) } else { Step::running(reward) })
    }

    fn save_state(&self) -> Option<EnvState> {
        let column = Column::I64(vec![self.phase, self.step]);
        (self.saves == Saves::Episode).then(|| EnvState::from([("episode".to_owned(), column)]))
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let episode = entry::<i64>(state, "episode", 2)?;
        (self.phase, self.step) = (episode[0], episode[1]);
        Ok(())
    }

    fn draw(&self) -> Option<Scene> {
        let view = View { left: 0.0, right: 10.0, bottom: 0.0, top: 10.0 };
        Some(Scene::new(view, [20, 20], 10.0).disc([self.step as f64, self.phase as f64], 1.0, [0, 0, 0]))
    }

    fn set_task(&mut self, task: &Value) -> Result<(), EnvError> {
        let phase = task.get("phase").and_then(Value::as_i64);
        self.next = phase.ok_or_else(|| EnvError::raised(format!("expected a phase, found {task}")))?;
        Ok(())
    }

    fn get_task(&mut self) -> Result<Value, EnvError> {
        Ok(json!({ "phase": self.next }))
    }
}

/// Registers both kinds, in a wrapper that doubles rewards.
pub(crate) fn register() {
    for (name, saves) in [("test/Stairs", Saves::Episode), ("test/ForgetfulStairs", Saves::Nothing)] {
        register_env(name, move || TransformReward::new(Stairs::new(saves), |reward| 2.0 * reward)).unwrap();
    }
    register_multi_agent_env("test/TwoStairs", |_| Ok(TwoStairs::default())).unwrap();
}

/// Two cart-poles whose task is written down and saved by nobody but the engine.
#[derive(Debug, Default)]
pub(crate) struct TwoStairs {
    inner: TwoCartPoles,
    pub(crate) task: Value,
}

impl MultiAgentEnv for TwoStairs {
    fn agents(&self) -> &[String] {
        self.inner.agents()
    }

    fn observation_space(&self, agent: usize) -> &Space {
        self.inner.observation_space(agent)
    }

    fn action_space(&self, agent: usize) -> &Space {
        self.inner.action_space(agent)
    }

    fn reset(&mut self, seed: Option<u64>, out: &mut AgentStep) -> Result<(), EnvError> {
        self.inner.reset(seed, out)
    }

    fn step(&mut self, actions: &AgentActions, out: &mut AgentStep) -> Result<(), EnvError> {
        self.inner.step(actions, out)
    }

    fn save_state(&self) -> Option<EnvState> {
        self.inner.save_state()
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.inner.restore_state(state)
    }

    fn draw(&self) -> Option<Scene> {
        self.inner.draw()
    }

    fn set_task(&mut self, task: &Value) -> Result<(), EnvError> {
        self.task.clone_from(task);
        Ok(())
    }

    fn get_task(&mut self) -> Result<Value, EnvError> {
        Ok(self.task.clone())
    }
}
