//! What hooks of episodes see, against a replay in environments of their own.

use super::*;

/// The hooks of one agent's episodes, replayed with the recorded actions in environments of their own.
#[test]
fn hooks_of_episodes_see_what_a_replay_sees() {
    const ENVS: usize = 4;
    let sections = json!({
        "environment": { "env_config": { "max_episode_steps": 17 } },
        "env_runners": { "observation_filter": "MeanStdFilter" },
    });
    let log: Log<Seen> = Arc::default();
    let mut algorithm = built("CartPole-v1", &sections, CallbackList::new().with(recorder(&log)));
    assert!(log.lock().unwrap().is_empty(), "no episode runs before the first step");
    train(&mut algorithm, 2);
    let mut log = log.lock().unwrap().clone().into_iter();

    let arguments = json!({ "max_episode_steps": 17 });
    let context = EnvContext { env_config: arguments.as_object().unwrap().clone(), ..EnvContext::default() };
    let mut envs = skirl_env::make_vec("CartPole-v1", ENVS, &context).unwrap();
    let (mut observations, mut actions) =
        (envs.observation_space().columns(ENVS), envs.action_space().columns(ENVS));
    let mut outcomes = Outcomes::default();
    let (mut sums, mut lens, mut played) = ([0.0; ENVS], [0; ENVS], [0; ENVS]);
    let mut ends = (0, 0);
    let expect = |hook: &'static str, env: usize, played: u64, len, sum| Seen {
        hook,
        id: played * ENVS as u64 + env as u64,
        env,
        len,
        episode_return: sum,
        agent_returns: vec![sum],
        observations: vec![None],
        actions: vec![None],
        rewards: vec![0.0],
        ended: (false, false),
        in_evaluation: false,
    };
    let row = |observations: &[skirl_env::Column], env: usize| {
        let column = column_refs(observations);
        vec![Some(column[0].typed::<f32>().unwrap()[env * 4..(env + 1) * 4].to_vec())]
    };
    for env in 0..ENVS {
        assert_eq!(log.next().unwrap(), expect("on_episode_created", env, 0, 0, 0.0));
        envs.reset(env, Some(env_seed(env)), &mut column_muts(&mut observations)).unwrap();
        let start =
            Seen { observations: row(&observations, env), ..expect("on_episode_start", env, 0, 0, 0.0) };
        assert_eq!(log.next().unwrap(), start);
    }
    for _ in 0..2 * 64 {
        // The actions of a step are in the log of its step hooks, one for each environment.
        let steps: Vec<i64> = log
            .clone()
            .filter(|seen| seen.hook == "on_episode_step")
            .take(ENVS)
            .map(|seen| seen.actions[0].unwrap())
            .collect();
        actions[0] = steps.clone().into();
        envs.step(&column_refs(&actions), &mut column_muts(&mut observations), &mut outcomes).unwrap();
        for env in 0..ENVS {
            sums[env] += outcomes.rewards[env];
            lens[env] += 1;
            let ended = (outcomes.terminated[env], outcomes.truncated[env]);
            let step = Seen {
                observations: row(&observations, env),
                actions: vec![Some(steps[env])],
                rewards: vec![outcomes.rewards[env]],
                ended,
                ..expect("on_episode_step", env, played[env], lens[env], sums[env])
            };
            assert_eq!(log.next().unwrap(), step);
            if ended == (false, false) {
                continue;
            }
            ends = (ends.0 + usize::from(ended.0), ends.1 + usize::from(ended.1));
            assert_eq!(log.next().unwrap(), Seen { hook: "on_episode_end", ..step });
            (sums[env], lens[env]) = (0.0, 0);
            played[env] += 1;
            assert_eq!(log.next().unwrap(), expect("on_episode_created", env, played[env], 0, 0.0));
            envs.reset(env, None, &mut column_muts(&mut observations)).unwrap();
            let start = Seen {
                observations: row(&observations, env),
                ..expect("on_episode_start", env, played[env], 0, 0.0)
            };
            assert_eq!(log.next().unwrap(), start);
        }
    }
    assert_eq!(log.next(), None);
    assert!(ends.0 > 3 && ends.1 > 3, "both kinds of end were seen: {ends:?}");
}

/// The same for agents that act in turns or together, and leave early.
#[test]
fn hooks_of_agents_see_what_a_replay_sees() {
    for name in ["probe/TurnBased-v0", "probe/Simultaneous-v0"] {
        let sections = json!({ "env_runners": { "num_envs_per_env_runner": 1 }, "training": { "train_batch_size": 50, "minibatch_size": 16 } });
        let log: Log<Seen> = Arc::default();
        train(&mut built(name, &sections, CallbackList::new().with(recorder(&log))), 2);
        let log = log.lock().unwrap().clone();
        let mut env = skirl_env::make_multi(name, 1, &EnvContext::single()).unwrap().remove(0);
        let (mut step, mut actions) = (AgentStep::for_env(&*env), AgentActions::for_env(&*env));
        let (mut episodes, mut len, mut returns) = (0, 0, [0.0; 2]);
        let observed = |step: &AgentStep| -> Vec<Option<Vec<f32>>> {
            let values = |agent| step.observation(agent).f32(0).unwrap().to_vec();
            (0..2).map(|agent| step.observed[agent].then(|| values(agent))).collect()
        };
        for seen in &log {
            assert_eq!((seen.id, seen.env, seen.in_evaluation), (episodes, 0, false), "{name}");
            match seen.hook {
                "on_episode_created" => {
                    step.clear();
                    env.reset((episodes == 0).then(|| env_seed(0)), &mut step).unwrap();
                    (len, returns) = (0, [0.0; 2]);
                    assert_eq!(seen.observations, [None, None]);
                }
                "on_episode_start" => assert_eq!(seen.observations, observed(&step), "{name}"),
                "on_episode_step" => {
                    actions.clear();
                    for (agent, action) in seen.actions.iter().enumerate() {
                        // Exactly those act that have observed.
                        assert_eq!(action.is_some(), step.observed[agent] && !step.ended(agent), "{name}");
                        let Some(action) = action else { continue };
                        actions.acts[agent] = true;
                        actions.actions[agent][0] = vec![*action].into();
                    }
                    step.clear();
                    env.step(&actions, &mut step).unwrap();
                    len += 1;
                    returns = [returns[0] + step.rewards[0], returns[1] + step.rewards[1]];
                    assert_eq!(seen.ended, (step.all_terminated, false), "{name}");
                    assert_eq!(
                        (&seen.observations, &seen.rewards),
                        (&observed(&step), &step.rewards),
                        "{name}"
                    );
                }
                _ => {
                    assert!(step.all_terminated);
                    episodes += 1;
                }
            }
            assert_eq!((seen.len, seen.episode_return), (len, returns[0] + returns[1]), "{name}");
            assert_eq!(seen.agent_returns, returns, "{name}");
        }
        let steps = log.iter().filter(|seen| seen.hook == "on_episode_step").count();
        assert_eq!((steps, episodes), (100, if name == "probe/TurnBased-v0" { 25 } else { 50 }));
    }
}
