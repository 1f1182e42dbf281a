//! Trajectories that are rewritten, and what may be changed in them.

use super::*;

/// Rows of each trajectory that follow a row, itself included: found from the table alone.
fn rows_left(table: &ModuleRollout) -> Vec<i32> {
    let mut left = vec![1; table.rows];
    for row in (0..table.rows).rev() {
        let next = match &table.links {
            Links::Chained { next } => next[row] as usize,
            Links::Rectangular { .. } if table.terminated[row] || table.truncated[row] => END as usize,
            Links::Rectangular { num_envs } => row + num_envs,
        };
        left[row] = 1 + left.get(next).copied().unwrap_or(0);
    }
    left
}

/// A constant added to every reward adds its geometric sum to every advantage, as far as the trajectory goes.
#[test]
fn a_changed_reward_changes_advantages_as_the_sum_says() {
    const BONUS: f32 = 0.5;
    let (gamma, lambda) = (0.9, 0.8);
    let separate = json!({ "multi_agent": { "policies": ["first", "second"] } });
    for (env, more) in
        [("CartPole-v1", json!({})), ("TwoCartPole-v0", json!({})), ("probe/TurnBased-v0", separate)]
    {
        let mut sections = more;
        sections["training"] = json!({ "gamma": gamma, "lambda_": lambda, "train_batch_size": 130 });
        let collect = |bonus: f32| {
            let advantages: Arc<Mutex<BTreeMap<String, Vec<f32>>>> = Arc::default();
            let tables: Arc<Mutex<BTreeMap<String, ModuleRollout>>> = Arc::default();
            let counted: Log<u64> = Arc::default();
            let (noted, sampled, rows) = (Arc::clone(&advantages), Arc::clone(&tables), Arc::clone(&counted));
            let callbacks = CallbackFns::new("bonus")
                .on_postprocess_trajectory(move |trajectory| {
                    trajectory.rewards_mut().iter_mut().for_each(|reward| *reward += bonus);
                    assert_eq!(trajectory.obs().len(), trajectory.len() * trajectory.obs_width());
                    assert_eq!(trajectory.final_obs().len(), trajectory.obs_width());
                    assert_eq!(trajectory.final_value_mut().is_none(), trajectory.terminated());
                    rows.lock().unwrap().push(trajectory.len() as u64);
                    Ok(())
                })
                .on_sample_end(move |sample| {
                    sampled.lock().unwrap().clone_from(&sample.modules);
                    Ok(())
                })
                .on_learn_on_batch(move |module, batch| {
                    noted.lock().unwrap().insert(module.to_owned(), batch.advantages.clone());
                    Ok(())
                });
            let mut algorithm = built(env, &sections, CallbackList::new().with(callbacks));
            let result = algorithm.train().unwrap();
            let rows: u64 = counted.lock().unwrap().iter().sum();
            let Some(Value::Object(agents)) = result.value("env_runners/num_agent_steps_sampled_lifetime")
            else {
                panic!("{env}: a number for each agent")
            };
            assert_eq!(agents.values().filter_map(Value::as_u64).sum::<u64>(), rows, "{env}");
            let found = (advantages.lock().unwrap().clone(), tables.lock().unwrap().clone());
            (found, result.get("env_runners/episode_return_mean"), weight_bits(&algorithm))
        };
        let ((plain, _), returns, weights) = collect(0.0);
        let ((changed, tables), returns_too, other_weights) = collect(BONUS);
        assert_eq!(returns, returns_too, "{env}: returns are the environment's own");
        assert_ne!(weights, other_weights, "{env}");
        let discount = (gamma * lambda) as f32;
        for (module, table) in &tables {
            for (row, left) in rows_left(table).into_iter().enumerate() {
                let sum = BONUS * (1.0 - discount.powi(left)) / (1.0 - discount);
                let found = changed[module][row] - plain[module][row];
                assert!((found - sum).abs() < 1e-4, "{env}, {module}, row {row}: {found} instead of {sum}");
            }
        }
    }
}

/// The rows of all trajectories of an episode are the actions that its steps took, each in one trajectory.
#[test]
fn trajectories_carry_the_episode_of_their_steps() {
    for env in ENVS {
        let sections = json!({
            "environment": { "env_config": { "max_episode_steps": 13 } }, "training": { "train_batch_size": 200 },
        });
        let log: Log<Seen> = Arc::default();
        let rows: Arc<Mutex<BTreeMap<(u64, String), u64>>> = Arc::default();
        let counted = Arc::clone(&rows);
        let trajectories = CallbackFns::new("rows").on_postprocess_trajectory(move |trajectory| {
            let key = (trajectory.episode_id(), trajectory.agent().to_owned());
            assert_eq!(key.0 % 4, trajectory.env_index() as u64);
            *counted.lock().unwrap().entry(key).or_insert(0) += trajectory.len() as u64;
            Ok(())
        });
        let callbacks = CallbackList::new().with(recorder(&log)).with(trajectories);
        let mut algorithm = built(env, &sections, callbacks);
        train(&mut algorithm, 3);
        let agents: Vec<String> = algorithm.plan().agents.iter().map(|agent| agent.agent.clone()).collect();
        let mut expected = BTreeMap::new();
        let log = log.lock().unwrap().clone();
        let ended: BTreeSet<u64> =
            log.iter().filter(|seen| seen.hook == "on_episode_end").map(|seen| seen.id).collect();
        for seen in log.iter().filter(|seen| seen.hook == "on_episode_step" && ended.contains(&seen.id)) {
            for (agent, _) in agents.iter().zip(&seen.actions).filter(|(_, action)| action.is_some()) {
                *expected.entry((seen.id, agent.clone())).or_insert(0) += 1;
            }
        }
        let mut found = rows.lock().unwrap().clone();
        found.retain(|(id, _), _| ended.contains(id));
        assert!(ended.len() > 20 && found == expected, "{env}");
    }
}

/// Counts to five, and cannot save its state.
#[derive(Default)]
struct Forgetful(i64);

impl Env for Forgetful {
    fn observation_space(&self) -> Space {
        Space::discrete(6)
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, _seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        self.0 = 0;
        observation.set_discrete(0)
    }

    fn step(&mut self, _action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        self.0 += 1;
        observation.set_discrete(self.0)?;
        Ok(if self.0 == 5 { Step::terminal(1.0) } else { Step::running(0.0) })
    }
}

/// What cannot go on after a resume is a new episode, with an id of its own, that is created and started.
#[test]
fn episodes_that_begin_anew_are_told() {
    skirl_env::register_env("test/Forgetful", Forgetful::default).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let callbacks = |log: &Log<Seen>| CallbackList::new().with(recorder(log));
    let (before, after): (Log<Seen>, Log<Seen>) = Default::default();
    // Four environments for 64 steps each: 12 episodes and 4 steps of another.
    let mut algorithm = built("test/Forgetful", &json!({}), callbacks(&before));
    train(&mut algorithm, 1);
    let saved = algorithm.save_to_path(&directory.path().join("saved")).unwrap();
    let load = || Algorithm::from_checkpoint_with_callbacks(&saved, callbacks(&after), |_| Ok(()));
    let mut resumed = load().unwrap();
    assert!(after.lock().unwrap().is_empty());
    train(&mut resumed, 1);
    let ids = |log: &Log<Seen>, hook: &str| -> Vec<(u64, u64)> {
        let log = log.lock().unwrap();
        log.iter().filter(|seen| seen.hook == hook).map(|seen| (seen.id, seen.len)).collect()
    };
    assert_eq!(ids(&before, "on_episode_start").last(), Some(&(12 * 4 + 3, 0)));
    for hook in ["on_episode_created", "on_episode_start"] {
        assert_eq!(ids(&after, hook)[..4], [(52, 0), (53, 0), (54, 0), (55, 0)]);
    }
    assert_eq!(ids(&after, "on_episode_step")[..5], [(52, 1), (53, 1), (54, 1), (55, 1), (52, 2)]);
}

/// Values of one's own replace the network's: with the true ones no advantage is left.
#[test]
fn values_of_ones_own_are_the_estimators() {
    // One step, no choice that counts: the reward is 1 and the value is 1.
    let callbacks = CallbackFns::new("critic")
        .on_postprocess_trajectory(|trajectory| {
            let rewards = trajectory.rewards().to_vec();
            trajectory.values_mut().copy_from_slice(&rewards);
            Ok(())
        })
        .on_learn_on_batch(|_, batch| {
            assert!(batch.advantages.iter().all(|advantage| *advantage == 0.0));
            assert!(batch.value_targets.iter().all(|target| *target == 1.0));
            Ok(())
        });
    let mut algorithm = built("probe/Constant-v0", &json!({}), CallbackList::new().with(callbacks));
    train(&mut algorithm, 1);
}

#[test]
fn what_hooks_break_in_rollouts_and_batches_is_refused() {
    let broken: [(CallbackFns, &str); 4] = [
        (
            CallbackFns::new("c").on_postprocess_trajectory(|trajectory| {
                trajectory.rewards_mut()[0] = f32::NAN;
                Ok(())
            }),
            "rewards[0] to NaN",
        ),
        (
            CallbackFns::new("c").on_sample_end(|sample| {
                sample.modules.values_mut().for_each(|table| table.rewards.truncate(255));
                Ok(())
            }),
            "255 elements in column 'rewards', where 256 were expected",
        ),
        (
            CallbackFns::new("c").on_learn_on_batch(|_, batch| {
                batch.advantages[3] = f32::INFINITY;
                Ok(())
            }),
            "advantages[3] to inf",
        ),
        (
            CallbackFns::new("c").on_learn_on_batch(|_, batch| {
                batch.values.truncate(9);
                Ok(())
            }),
            "column 'values' of module 'default_policy' with 9 elements",
        ),
    ];
    for (callbacks, said) in broken {
        let mut algorithm = built("CartPole-v1", &json!({}), CallbackList::new().with(callbacks));
        let before = weight_bits(&algorithm);
        let error = algorithm.train().unwrap_err();
        assert!(matches!(error, Error::Callback(_)) && error.to_string().contains(said), "{error}");
        assert_eq!(weight_bits(&algorithm), before);
    }
}

/// What `break_it` does to the table in `on_sample_end` is refused, saying `said`.
fn refused_at_sample_end(break_it: fn(&mut ModuleRollout), said: &str) {
    let callbacks = CallbackFns::new("c").on_sample_end(move |sample| {
        sample.modules.values_mut().for_each(break_it);
        Ok(())
    });
    let mut algorithm = built("CartPole-v1", &json!({}), CallbackList::new().with(callbacks));
    let before = weight_bits(&algorithm);
    let error = algorithm.train().err().unwrap_or_else(|| panic!("{said}"));
    assert!(matches!(error, Error::Callback(_)) && error.to_string().contains(said), "{said}: {error}");
    assert_eq!(weight_bits(&algorithm), before, "{said}");
}

/// The place of the first end row after a row that terminated.
fn terminated_end(table: &ModuleRollout) -> usize {
    table.ends.row.iter().position(|&row| table.terminated[row as usize]).unwrap()
}

/// One more end row, before all others.
fn insert_end(table: &mut ModuleRollout, row: u32) {
    table.ends.row.insert(0, row);
    table.ends.values.insert(0, 0.0);
    table.ends.obs.splice(0..0, [0.0; 4]);
}

/// 64 steps of 4 environments: the last four rows have end rows, and so has every row that ended an episode.
#[test]
fn end_rows_that_on_sample_end_breaks_are_refused() {
    refused_at_sample_end(|table| *table.ends.row.last_mut().unwrap() = 256, "an end row of row 256");
    refused_at_sample_end(|table| _ = table.ends.obs.pop(), "in column 'ends.obs'");
    refused_at_sample_end(|table| _ = table.ends.values.pop(), "in column 'ends.values'");
    refused_at_sample_end(|table| table.ends.obs[2] = f32::NAN, "ends.obs[2] to NaN");
    refused_at_sample_end(|table| table.ends.values[1] = f32::INFINITY, "ends.values[1] to inf");
    refused_at_sample_end(|table| table.ends.row.swap(0, 1), "no end value");
    refused_at_sample_end(|table| table.ends.row[1] = table.ends.row[0], "no end value");
    refused_at_sample_end(|table| insert_end(table, 0), "end value is given for row 0");
    refused_at_sample_end(|table| insert_end(table, table.ends.row[0]), "out of order");
    refused_at_sample_end(
        |table| table.ends.clear(),
        "row 255 has no successor in the table and no end value",
    );
    refused_at_sample_end(
        |table| {
            let end = terminated_end(table);
            table.ends.values[end] = 0.5;
        },
        "expected 0, as the episode terminated there",
    );
    refused_at_sample_end(|table| table.links = Links::Rectangular { num_envs: 0 }, "of 0 environments");
    refused_at_sample_end(|table| table.links = Links::Rectangular { num_envs: 3 }, "of 3 environments");
    let chained = |table: &mut ModuleRollout| table.links = Links::Chained { next: vec![0; 256] };
    refused_at_sample_end(chained, "end value is given for row 255");
}

/// What may be changed: the value of an episode that goes on, or that a time limit cut.
#[test]
fn end_values_may_be_changed_in_on_sample_end() {
    let callbacks = CallbackFns::new("c").on_sample_end(|sample| {
        for table in sample.modules.values_mut() {
            *table.ends.values.last_mut().unwrap() = 7.0;
        }
        Ok(())
    });
    let mut algorithm = built("CartPole-v1", &json!({}), CallbackList::new().with(callbacks));
    let without = built("CartPole-v1", &json!({}), CallbackList::new());
    train(&mut algorithm, 1);
    assert_ne!(weight_bits(&algorithm), weight_bits(&without));
}
