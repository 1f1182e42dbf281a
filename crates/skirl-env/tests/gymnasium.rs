//! The native environments against recordings of Gymnasium: same seeds, same actions, same bits.
//!
//! `tests/gymnasium/record.py` wrote the recordings and describes them.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use serde_json::Value;
use skirl_env::column::{column_muts, column_refs};
use skirl_env::{Column, EnvContext, EnvState, Outcomes, Row, RowRef, make_vec, make_with};

struct Recording {
    name: String,
    env: String,
    context: EnvContext,
    half_range: Option<f64>,
    num_actions: Option<u64>,
    feature: Vec<usize>,
    state: Vec<String>,
    second_episodes: u64,
    terminated_episodes: u64,
    hashes: Vec<String>,
    shown: Vec<Value>,
}

fn recordings() -> Vec<Recording> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gymnasium/recordings");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 10, "recordings are missing: run tests/gymnasium/record.py");
    files.iter().map(|file| read_recording(file)).collect()
}

fn read_recording(file: &Path) -> Recording {
    let json: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let strings = |key: &str| {
        json[key].as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
    };
    Recording {
        name: file.file_stem().unwrap().to_string_lossy().into_owned(),
        env: json["env"].as_str().unwrap().to_owned(),
        context: EnvContext::with_config(json["kwargs"].as_object().unwrap().clone()),
        half_range: json["half_range"].as_f64(),
        num_actions: json["num_actions"].as_u64(),
        feature: json["feature"].as_array().unwrap().iter().map(|i| i.as_u64().unwrap() as usize).collect(),
        state: strings("state"),
        second_episodes: json["second_episodes"].as_u64().unwrap(),
        terminated_episodes: json["terminated_episodes"].as_u64().unwrap(),
        hashes: strings("hashes"),
        shown: json["shown"].as_array().unwrap().clone(),
    }
}

/// What one seed plays: its generator of actions, and the hash of what came back.
struct Play {
    seed: u64,
    episode: u64,
    rng: u64,
    hash: u64,
}

impl Play {
    fn new(seed: u64) -> Play {
        Play { seed, episode: 0, rng: seed, hash: 0xcbf2_9ce4_8422_2325 }
    }

    fn draw(&mut self) -> u64 {
        self.rng = self.rng.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.rng ^ (self.rng >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn take(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x100_0000_01b3);
    }

    fn observe(&mut self, observation: &[f32]) {
        for value in observation {
            self.take(u64::from(value.to_bits()));
        }
    }

    fn act(&mut self, recording: &Recording, observation: &[f32], action: &mut Column, row: usize) {
        let draw = self.draw();
        let feature: f32 = recording.feature.iter().map(|&index| observation[index]).sum();
        let follow = self.seed % 2 == 1 && draw % 8 < 7;
        match (action, recording.num_actions, recording.half_range) {
            (Column::I64(actions), Some(num_actions), _) => {
                let up = if feature >= 0.0 { num_actions - 1 } else { 0 };
                actions[row] = if follow { up } else { (draw >> 8) % num_actions } as i64;
            }
            (Column::F32(actions), _, Some(half_range)) => {
                let unit = (draw >> 40) as f64 / 16_777_216.0;
                let up = if feature >= 0.0 { 0.5 + 0.5 * unit } else { 0.5 - 0.5 * unit };
                let unit = if follow { up } else { unit };
                actions[row] = ((2.0 * unit - 1.0) * half_range) as f32;
            }
            _ => panic!("unexpected action column"),
        }
    }

    fn result(&mut self, observation: &[f32], reward: f64, terminated: bool, truncated: bool) {
        self.observe(observation);
        self.take(reward.to_bits());
        self.take(u64::from(terminated) | (u64::from(truncated) << 1));
    }

    /// The state behind the observations, in `float64`.
    fn end(&mut self, recording: &Recording, saved: &EnvState, lane: usize) {
        for name in &recording.state {
            // Wrappers put their name before that of the variable.
            let nested = format!("/{name}");
            let (_, column) = saved.iter().find(|(key, _)| *key == name || key.ends_with(&nested)).unwrap();
            self.take(column.as_ref().f64().unwrap()[lane].to_bits());
        }
    }

    fn episodes(&self, recording: &Recording) -> u64 {
        if self.seed < recording.second_episodes { 2 } else { 1 }
    }
}

fn check(recording: &Recording, play: &Play, way: &str) {
    let expected = &recording.hashes[play.seed as usize];
    let found = format!("{:016x}", play.hash);
    assert_eq!(*expected, found, "{} seed {} differs from Gymnasium ({way})", recording.name, play.seed);
}

#[test]
fn recordings_reach_the_goals_and_the_time_limits() {
    for recording in recordings() {
        let (all, terminated) = (recording.hashes.len() as u64, recording.terminated_episodes);
        match recording.env.as_str() {
            "Pendulum-v1" => assert_eq!(terminated, 0),
            _ => assert!(terminated > all / 10, "{}: only {terminated} of {all} terminate", recording.name),
        }
    }
}

#[test]
fn shown_steps_are_equal() {
    for recording in recordings() {
        for (seed, steps) in recording.shown.iter().enumerate() {
            check_shown(&recording, seed as u64, steps.as_array().unwrap());
        }
    }
}

fn check_shown(recording: &Recording, seed: u64, steps: &[Value]) {
    let mut env = make_with(&recording.env, &recording.context).unwrap();
    let mut observation = env.observation_space().columns(1);
    let mut action = env.action_space().columns(1);
    env.reset(Some(seed), &mut Row::new(column_muts(&mut observation))).unwrap();
    for (index, step) in steps.iter().enumerate() {
        let place = format!("{} seed {seed} step {index}", recording.name);
        if index > 0 {
            match &mut action[0] {
                Column::I64(values) => values[0] = step["action"].as_f64().unwrap() as i64,
                Column::F32(values) => values[0] = step["action"].as_f64().unwrap() as f32,
                _ => panic!("unexpected action column"),
            }
            let outcome = env
                .step(&RowRef::new(column_refs(&action)), &mut Row::new(column_muts(&mut observation)))
                .unwrap();
            assert_eq!(step["reward"].as_f64(), Some(outcome.reward), "{place}");
            if outcome.ended() {
                return;
            }
        }
        let expected: Vec<f32> = step["observation"]
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value.as_f64().unwrap() as f32)
            .collect();
        assert_eq!(observation[0], Column::F32(expected), "{place}");
    }
}

#[test]
fn single_environments_equal_gymnasium_for_all_seeds() {
    for recording in recordings() {
        let mut env = make_with(&recording.env, &recording.context).unwrap();
        let mut observation = env.observation_space().columns(1);
        let mut action = env.action_space().columns(1);
        for seed in 0..recording.hashes.len() as u64 {
            let mut play = Play::new(seed);
            for episode in 0..play.episodes(&recording) {
                let seed = (episode == 0).then_some(seed);
                env.reset(seed, &mut Row::new(column_muts(&mut observation))).unwrap();
                play.observe(observation[0].as_ref().f32().unwrap());
                loop {
                    play.act(&recording, observation[0].as_ref().f32().unwrap(), &mut action[0], 0);
                    let (action, mut row) =
                        (RowRef::new(column_refs(&action)), Row::new(column_muts(&mut observation)));
                    let step = env.step(&action, &mut row).unwrap();
                    let observed = observation[0].as_ref().f32().unwrap();
                    play.result(observed, step.reward, step.terminated, step.truncated);
                    if step.ended() {
                        break;
                    }
                }
                play.end(&recording, &env.save_state().unwrap(), 0);
            }
            check(&recording, &play, "single");
        }
    }
}

/// Batches that are no multiple of any block or vector width, so that remainders of loops are met too.
#[test]
fn vector_environments_equal_gymnasium_for_all_seeds() {
    for recording in recordings() {
        for num_envs in [1, 7, 131] {
            play_together(&recording, num_envs);
        }
    }
}

fn play_together(recording: &Recording, num_envs: usize) {
    let mut envs = make_vec(&recording.env, num_envs, &recording.context).unwrap();
    let width = envs.observation_space().flat_width();
    let mut observations = envs.observation_space().columns(num_envs);
    let mut actions = envs.action_space().columns(num_envs);
    let mut outcomes = Outcomes::default();
    let seeds = (recording.hashes.len() as u64).min(40 * num_envs as u64);
    let mut next_seed = num_envs as u64;
    let mut checked = 0;
    let mut plays: Vec<Play> = (0..num_envs as u64).map(Play::new).collect();
    for (env, play) in plays.iter_mut().enumerate() {
        envs.reset(env, Some(play.seed), &mut column_muts(&mut observations)).unwrap();
        play.observe(row(&observations, width, env));
    }
    while checked < seeds {
        let mut saved = None;
        for (env, play) in plays.iter_mut().enumerate() {
            play.act(recording, row(&observations, width, env), &mut actions[0], env);
        }
        envs.step(&column_refs(&actions), &mut column_muts(&mut observations), &mut outcomes).unwrap();
        for (env, play) in plays.iter_mut().enumerate() {
            let flags = (outcomes.terminated[env], outcomes.truncated[env]);
            play.result(row(&observations, width, env), outcomes.rewards[env], flags.0, flags.1);
            if !outcomes.ended(env) {
                continue;
            }
            play.end(recording, saved.get_or_insert_with(|| envs.save_state().unwrap()), env);
            play.episode += 1;
            let mut seed = None;
            if play.episode == play.episodes(recording) {
                if play.seed < seeds {
                    check(recording, play, "vector");
                    checked += 1;
                }
                *play = Play::new(next_seed);
                seed = Some(next_seed);
                next_seed += 1;
            }
            envs.reset(env, seed, &mut column_muts(&mut observations)).unwrap();
            play.observe(row(&observations, width, env));
        }
    }
}

fn row(observations: &[Column], width: usize, env: usize) -> &[f32] {
    &observations[0].as_ref().f32().unwrap()[env * width..(env + 1) * width]
}
