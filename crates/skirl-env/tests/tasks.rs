//! Tasks of environments, and reaching an environment behind its wrappers.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use serde_json::{Value, json};
use skirl_env::wrappers::{OrderEnforcing, TimeLimit, TransformObservation, TransformReward};
use skirl_env::{
    AgentActions, AgentStep, DType, Env, EnvContext, EnvError, EnvSpec, LiveEnv, MultiAgentEnv, Row, RowRef,
    SingleAsMulti, Space, Step, TwoCartPoles, VectorEnv, Vectorized, make_multi, make_vec, register,
    register_multi_agent_env,
};

/// Pays its level.
#[derive(Debug, Default)]
struct Levels {
    level: i64,
}

impl Env for Levels {
    fn observation_space(&self) -> Space {
        Space::boxed(0.0, 9.0, &[1], DType::F32)
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, _seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        observation.set(&[0.0])
    }

    fn step(&mut self, _action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        observation.set(&[self.level as f32])?;
        Ok(Step::running(self.level as f64))
    }

    fn set_task(&mut self, task: &Value) -> Result<(), EnvError> {
        self.level = task.as_i64().ok_or_else(|| EnvError::raised(format!("no level: {task}")))?;
        Ok(())
    }

    fn get_task(&mut self) -> Result<Value, EnvError> {
        Ok(json!(self.level))
    }
}

/// No tasks at all.
struct Plain(Levels);

impl Env for Plain {
    fn observation_space(&self) -> Space {
        self.0.observation_space()
    }

    fn action_space(&self) -> Space {
        self.0.action_space()
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        self.0.reset(seed, observation)
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        self.0.step(action, observation)
    }
}

fn wrapped() -> Box<dyn Env> {
    let space = Levels::default().observation_space();
    let inner: Box<dyn Env> = Box::new(TransformReward::new(Levels::default(), |reward| reward * 2.0));
    let env = TransformObservation::new(inner, space, |_| Ok(())).unwrap();
    Box::new(OrderEnforcing::new(TimeLimit::new(env, 10)))
}

#[test]
fn a_task_passes_through_every_wrapper() {
    let mut envs = Vectorized::new(vec![wrapped(), wrapped()]).unwrap();
    envs.set_task(1, &json!(3)).unwrap();
    assert_eq!((envs.get_task(0).unwrap(), envs.get_task(1).unwrap()), (json!(0), json!(3)));
    let mut as_multi = SingleAsMulti::new(wrapped());
    as_multi.set_task(&json!(4)).unwrap();
    assert_eq!(as_multi.get_task().unwrap(), json!(4));
}

#[test]
fn an_environment_is_reached_by_its_type_behind_every_wrapper() {
    let mut envs = Vectorized::new(vec![wrapped(), wrapped()]).unwrap();
    LiveEnv::among(&mut envs, 1).downcast_mut::<Levels>().unwrap().level = 7;
    assert_eq!((envs.get_task(0).unwrap(), envs.get_task(1).unwrap()), (json!(0), json!(7)));
    // The outermost layer of the type asked for: also a wrapper.
    assert!(LiveEnv::among(&mut envs, 0).downcast_mut::<Box<dyn Env>>().is_ok());
    let mut bare = Vectorized::new(vec![Levels::default()]).unwrap();
    assert!(LiveEnv::among(&mut bare, 0).downcast_mut::<Levels>().is_ok());
}

#[test]
fn a_handle_knows_what_was_set_and_what_was_there_before() {
    let mut envs = Vectorized::new(vec![wrapped()]).unwrap();
    let mut env = LiveEnv::among(&mut envs, 0);
    assert!(env.set_task(&json!("steep")).is_err());
    env.set_task(&json!(1)).unwrap();
    env.set_task(&json!(2)).unwrap();
    let change = env.into_change().unwrap();
    assert_eq!((change.before, change.task), (Some(json!(0)), json!(2)));
    assert_eq!(LiveEnv::among(&mut envs, 0).into_change(), None);
}

#[test]
fn errors_say_what_is_not_available() {
    let mut plain = Vectorized::new(vec![Plain(Levels::default())]).unwrap();
    let error = plain.set_task(0, &json!(1)).unwrap_err();
    assert!(matches!(&error, EnvError::NoTask { env } if env.ends_with("Plain")), "{error}");
    assert!(error.to_string().contains("implement set_task"), "{error}");
    let error = LiveEnv::among(&mut plain, 0).downcast_mut::<Levels>().unwrap_err();
    assert!(
        matches!(&error, EnvError::OtherType { expected, .. } if expected.ends_with("Levels")),
        "{error}"
    );

    let mut native = make_vec("CartPole-v1", 3, &EnvContext::default()).unwrap();
    for error in [
        native.set_task(0, &json!(1)).unwrap_err(),
        native.get_task(0).unwrap_err(),
        LiveEnv::among(&mut *native, 0).downcast_mut::<Levels>().unwrap_err(),
    ] {
        assert!(matches!(&error, EnvError::NoSingleEnv { .. }), "{error}");
        assert!(error.to_string().contains("env_config"), "{error}");
    }
}

/// Two cart-poles with a task.
#[derive(Debug, Default)]
struct Pair {
    inner: TwoCartPoles,
    task: Value,
}

impl MultiAgentEnv for Pair {
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

    fn set_task(&mut self, task: &Value) -> Result<(), EnvError> {
        self.task.clone_from(task);
        Ok(())
    }
}

#[test]
fn environments_with_several_agents_have_tasks_too() {
    register_multi_agent_env("test/Pair", |_| Ok(Pair::default())).unwrap();
    let limit = json!({ "max_episode_steps": 5 }).as_object().unwrap().clone();
    let mut envs = make_multi("test/Pair", 2, &EnvContext::with_config(limit)).unwrap();
    LiveEnv::multi(&mut *envs[0]).set_task(&json!("far")).unwrap();
    assert_eq!(LiveEnv::multi(&mut *envs[0]).downcast_mut::<Pair>().unwrap().task, json!("far"));
    assert_eq!(LiveEnv::multi(&mut *envs[1]).downcast_mut::<Pair>().unwrap().task, Value::Null);
    let error = LiveEnv::multi(&mut *envs[1]).downcast_mut::<TwoCartPoles>().unwrap_err();
    assert!(matches!(error, EnvError::OtherType { .. }), "{error}");
    assert!(matches!(LiveEnv::multi(&mut *envs[1]).get_task(), Err(EnvError::NoTask { .. })));
}

#[test]
fn every_environment_is_told_its_own_handle_to_shared_state() {
    register(
        "test/Writes",
        EnvSpec::single(|context| {
            let order = context.shared.parameter_store("order");
            order.put([("last", json!(context.first_env_index))])?;
            Ok(Levels::default())
        }),
    )
    .unwrap();
    let shared = skirl_env::SharedState::new();
    let context = EnvContext { first_env_index: 5, shared: shared.deferred(), ..EnvContext::default() };
    // Made in the order 5, 6, then 2 with the same scope: the highest index has the last word.
    make_vec("test/Writes", 2, &context).unwrap();
    make_vec("test/Writes", 1, &EnvContext { first_env_index: 2, ..context.clone() }).unwrap();
    context.shared.commit().unwrap();
    let order = shared.parameter_store("order").get().unwrap();
    assert_eq!((order.version, &order.values["last"]), (3, &json!(6).into()));
}
