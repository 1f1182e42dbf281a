//! Whole episodes out of rollouts.

use std::collections::BTreeMap;

use skirl::Error;
use skirl::collect::EnvRunner;
use skirl::collect::episodes::EpisodeRecord;
use skirl::contract::{Links, ModuleId, ModuleRollout, Rollout};
use skirl_math::chain::END;
use skirl_math::rng::StreamKey;

/// Steps of every environment between two looks at what ended.
const FRAGMENT: usize = 32;

/// Plays `episodes` whole episodes from fresh resets with streams under `root`, as many in each environment (up to one), and returns their rows: episode
/// by episode, agent by agent, in order of time. With them the records of these episodes.
pub(super) fn sample_episodes(
    runner: &mut EnvRunner,
    root: StreamKey,
    episodes: usize,
    explore: Option<bool>,
) -> Result<(Rollout, Vec<EpisodeRecord>), Error> {
    runner.reset_with(root)?;
    runner.take_finished();
    let num_envs = runner.num_envs();
    let quota = |env: usize| episodes / num_envs + usize::from(env < episodes % num_envs);
    let mut records: Vec<Vec<EpisodeRecord>> = vec![Vec::new(); num_envs];
    let (mut missing, mut whole) = (episodes, Rollout::default());
    let mut parts: BTreeMap<ModuleId, Vec<ModuleRollout>> = BTreeMap::new();
    while missing > 0 {
        let rollout = runner.sample_explore(FRAGMENT, explore)?;
        whole.weights_version = rollout.weights_version;
        for (module, table) in rollout.modules {
            parts.entry(module).or_default().push(table);
        }
        for record in runner.take_finished() {
            if records[record.env].len() < quota(record.env) {
                records[record.env].push(record);
                missing -= 1;
            }
        }
    }
    let records: Vec<EpisodeRecord> = records.into_iter().flatten().collect();
    whole.env_steps = records.iter().map(|record| record.len).sum();
    for (module, tables) in parts {
        let table = rows_of(&tables, &records);
        whole.agent_steps += table.rows as u64;
        whole.modules.insert(module, table);
    }
    Ok((whole, records))
}

/// The rows of these episodes.
fn rows_of(tables: &[ModuleRollout], records: &[EpisodeRecord]) -> ModuleRollout {
    let order: BTreeMap<u64, usize> =
        records.iter().enumerate().map(|(index, record)| (record.id, index)).collect();
    let mut picked: Vec<(usize, u32, usize, usize)> = Vec::new();
    for (part, table) in tables.iter().enumerate() {
        for row in 0..table.rows {
            if let Some(&episode) = order.get(&table.episode[row]) {
                picked.push((episode, table.agent[row], part, row));
            }
        }
    }
    picked.sort_unstable();
    let (obs_width, dist_width, actions) = tables.first().map_or_else(
        || (0, 0, skirl::contract::Actions::zeros(true, 1, 0)),
        |table| (table.obs_width, table.dist_width, table.actions.empty()),
    );
    let mut whole = ModuleRollout::new(obs_width, dist_width, actions, Links::Chained { next: Vec::new() });
    whole.resize(picked.len(), picked.len());
    let mut next = vec![END; picked.len()];
    for (index, &(episode, agent, part, row)) in picked.iter().enumerate() {
        let table = &tables[part];
        whole.copy_row(index, table, row);
        let follows = picked.get(index + 1).is_some_and(|other| (other.0, other.1) == (episode, agent));
        if follows {
            next[index] = index as u32 + 1;
        } else if let Ok(end) = table.ends.row.binary_search(&(row as u32)) {
            let width = table.obs_width;
            whole.ends.push(index as u32, &table.ends.obs[end * width..][..width]);
            if let Some(value) = whole.ends.values.last_mut() {
                *value = table.ends.values[end];
            }
        }
    }
    whole.links = Links::Chained { next };
    whole
}
