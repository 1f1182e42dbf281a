//! One agent's rows of one episode within a rollout, to be rewritten before advantages are estimated.

use skirl_env::Space;
use skirl_math::chain::END;
use skirl_nn::distributions::ActionsRef;

use super::{CallbackList, Hook, Place};
use crate::contract::{Actions, Links, ModuleId, ModuleRollout, Policies, Rollout};
use crate::error::Error;

/// The rows of one agent in one episode, as far as they are in this rollout: a copy in contiguous columns, written back
/// after the callbacks.
///
/// May be changed: rewards, observations, values and the final value. What follows: the estimator works with the changed
/// rewards and values. Nothing is evaluated again: with changed observations the network learns from what it did not see
/// when it acted, so log-probabilities, distribution inputs and values stay those of the observations that it saw.
/// Episode returns stay those of the environment's raw rewards.
#[derive(Debug, Clone)]
pub struct Trajectory {
    module: ModuleId,
    agent: String,
    episode_id: u64,
    rows: Vec<u32>,
    columns: ModuleRollout,
    /// Where the end row is in the table.
    end: Option<usize>,
}

impl Trajectory {
    fn read(module: &str, agents: &[String], table: &ModuleRollout, rows: Vec<u32>) -> Self {
        let links = Links::Chained { next: Vec::new() };
        let mut columns = ModuleRollout::new(table.obs_width, table.dist_width, table.actions.empty(), links);
        columns.resize(rows.len(), rows.len());
        for (index, &row) in rows.iter().enumerate() {
            columns.copy_row(index, table, row as usize);
        }
        let last = rows.last().copied().unwrap_or(END);
        let end = table.ends.row.binary_search(&last).ok();
        if let Some(end) = end {
            let width = table.obs_width;
            columns.ends.push(rows.len() as u32 - 1, &table.ends.obs[end * width..(end + 1) * width]);
            columns.ends.values[0] = table.ends.values[end];
        }
        let agent = columns.agent.first().and_then(|&agent| agents.get(agent as usize));
        Self {
            module: module.to_owned(),
            agent: agent.cloned().unwrap_or_default(),
            episode_id: columns.episode.first().copied().unwrap_or(0),
            rows,
            columns,
            end,
        }
    }

    fn write(&self, table: &mut ModuleRollout) {
        let width = table.obs_width;
        for (index, &row) in self.rows.iter().enumerate() {
            let row = row as usize;
            table.obs[row * width..][..width].copy_from_slice(self.columns.obs_row(index));
            table.rewards[row] = self.columns.rewards[index];
            table.values[row] = self.columns.values[index];
        }
        if let Some(end) = self.end {
            table.ends.values[end] = self.columns.ends.values[0];
        }
    }

    fn check(&self) -> Result<(), String> {
        let columns = &self.columns;
        self.check_shape()?;
        check_finite("obs", &columns.obs)?;
        check_finite("rewards", &columns.rewards)?;
        check_finite("values", &columns.values)?;
        check_finite("final_value", &columns.ends.values)
    }

    /// Nothing that [`columns_mut`](Self::columns_mut) lets a hook do may reach beyond these rows.
    fn check_shape(&self) -> Result<(), String> {
        let columns = &self.columns;
        columns.check_lengths().map_err(|found| format!("it left {found}"))?;
        let (rows, ends) = (self.rows.len(), usize::from(self.end.is_some()));
        if (columns.rows, columns.ends.len()) != (rows, ends) {
            return Err(format!("it left {} rows, where {rows} were expected", columns.rows));
        }
        match columns.ends.values.first() {
            Some(&value) if self.terminated() && value != 0.0 => Err(format!(
                "it set final_value to {value} after a terminated episode, where nothing follows and 0 was expected"
            )),
            _ => Ok(()),
        }
    }

    fn place(&self) -> Place {
        Place { episode: Some(self.episode_id), env: Some(self.env_index()), env_step: None }
    }

    /// All columns as they are held, to be moved out and back in: rows in order of time, and one end row. What is written
    /// back are the observations, rewards and values of the rows and the value of the end row; lengths must stay.
    pub fn columns_mut(&mut self) -> &mut ModuleRollout {
        &mut self.columns
    }

    /// The module that acted and will learn.
    #[must_use]
    pub fn module(&self) -> &str {
        &self.module
    }

    /// The agent's id.
    #[must_use]
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// Id of the episode, as [`Episode::id`](super::Episode::id).
    #[must_use]
    pub fn episode_id(&self) -> u64 {
        self.episode_id
    }

    /// Index of the environment.
    #[must_use]
    pub fn env_index(&self) -> usize {
        self.columns.env.first().map_or(0, |&env| env as usize)
    }

    /// Rows, each one decision of the agent; at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always a row")]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether the episode ended after the last row, by the environment's own rules.
    #[must_use]
    pub fn terminated(&self) -> bool {
        self.columns.terminated.last() == Some(&true)
    }

    /// Whether the episode was cut after the last row. If neither, it goes on in the next rollout.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.columns.truncated.last() == Some(&true)
    }

    /// Width of one observation.
    #[must_use]
    pub fn obs_width(&self) -> usize {
        self.columns.obs_width
    }

    /// Module inputs `[len, obs_width]`: flattened, and normalised where a filter is on.
    #[must_use]
    pub fn obs(&self) -> &[f32] {
        &self.columns.obs
    }

    /// Module inputs, to change.
    pub fn obs_mut(&mut self) -> &mut [f32] {
        &mut self.columns.obs
    }

    /// The observation after the last row: the episode's final one, or that at which the rollout was cut.
    #[must_use]
    pub fn final_obs(&self) -> &[f32] {
        &self.columns.ends.obs
    }

    /// Actions `[len, width]` as drawn from the distribution.
    #[must_use]
    pub fn actions(&self) -> ActionsRef<'_> {
        self.columns.actions.view(0, self.rows.len())
    }

    /// The action column with its type.
    #[must_use]
    pub fn action_column(&self) -> &Actions {
        &self.columns.actions
    }

    /// log π(a|s) when the actions were drawn, `[len]`.
    #[must_use]
    pub fn logp(&self) -> &[f32] {
        &self.columns.logp
    }

    /// Distribution inputs when the actions were drawn, `[len, width]`.
    #[must_use]
    pub fn dist_inputs(&self) -> &[f32] {
        &self.columns.dist_inputs
    }

    /// Rewards after the reward connectors, `[len]`.
    #[must_use]
    pub fn rewards(&self) -> &[f32] {
        &self.columns.rewards
    }

    /// Rewards, to change.
    pub fn rewards_mut(&mut self) -> &mut [f32] {
        &mut self.columns.rewards
    }

    /// V of each row when its action was drawn, `[len]`.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.columns.values
    }

    /// Values, to change: a critic of one's own, for example one that sees all agents.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.columns.values
    }

    /// V of [`final_obs`](Self::final_obs), from which the last row is bootstrapped; 0 where the episode terminated.
    #[must_use]
    pub fn final_value(&self) -> f32 {
        self.columns.ends.values.first().copied().unwrap_or(0.0)
    }

    /// The final value, to change; `None` where the episode terminated, as nothing comes after it.
    pub fn final_value_mut(&mut self) -> Option<&mut f32> {
        let terminated = self.terminated();
        self.columns.ends.values.first_mut().filter(|_| !terminated)
    }
}

/// Refuses NaN and infinities that a hook left behind.
pub(super) fn check_finite(name: &str, column: &[f32]) -> Result<(), String> {
    match column.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => {
            Err(format!("it set {name}[{index}] to {}, where a finite number was expected", column[index]))
        }
    }
}

/// Refuses actions that the distribution cannot draw.
pub(super) fn check_actions(module: &str, actions: &Actions, space: &Space) -> Result<(), String> {
    let (data, width) = match actions {
        Actions::Continuous { data, .. } => return check_finite("actions", data),
        Actions::Discrete { data, width } => (data, (*width).max(1)),
    };
    let choices: Vec<i64> = match space {
        Space::Discrete(discrete) => vec![discrete.n],
        Space::MultiDiscrete(multi) => multi.nvec.clone(),
        _ => vec![2; width],
    };
    let illegal = |(index, action): (usize, &i64)| {
        let of = *choices.get(index % width)?;
        (!(0..of).contains(action)).then_some((index / width, *action, of - 1))
    };
    let Some((row, action, last)) = data.iter().enumerate().find_map(illegal) else { return Ok(()) };
    Err(format!(
        "it set an action of row {row} of module '{module}' to {action}, where 0 to {last} was expected (counted from 0, as \
         drawn from the distribution of {space})"
    ))
}

/// Calls `on_postprocess_trajectory` for every trajectory, by module, environment, agent and time; then `on_sample_end`.
pub(crate) fn postprocess(
    callbacks: &CallbackList,
    agents: &[String],
    policies: &Policies,
    sample: &mut Rollout,
) -> Result<(), Error> {
    if callbacks.wants(Hook::PostprocessTrajectory) {
        for (module, table) in &mut sample.modules {
            for rows in trajectories(table) {
                let mut trajectory = Trajectory::read(module, agents, table, rows);
                callbacks.call(Hook::PostprocessTrajectory, trajectory.place(), |callbacks| {
                    callbacks.on_postprocess_trajectory(&mut trajectory)?;
                    Ok(trajectory.check()?)
                })?;
                trajectory.write(table);
            }
        }
    }
    callbacks.call(Hook::SampleEnd, Place::default(), |callbacks| {
        callbacks.on_sample_end(sample)?;
        Ok(check_sample(sample, policies)?)
    })
}

/// The rows of each agent's episodes, in the order of environment, agent and time.
fn trajectories(table: &ModuleRollout) -> Vec<Vec<u32>> {
    let mut first = vec![true; table.rows];
    for row in 0..table.rows as u32 {
        if let Some(first) = first.get_mut(table.successor(row as usize) as usize) {
            *first = false;
        }
    }
    let mut heads: Vec<u32> = (0..table.rows as u32).filter(|&row| first[row as usize]).collect();
    heads.sort_by_key(|&row| (table.env[row as usize], table.agent[row as usize], row));
    let follow = |head: u32| {
        std::iter::successors(Some(head), |&row| {
            Some(table.successor(row as usize)).filter(|&next| next != END)
        })
    };
    heads.into_iter().map(|head| follow(head).collect()).collect()
}

/// What a rollout must still be after a hook had it in hand.
fn check_sample(sample: &Rollout, policies: &Policies) -> Result<(), String> {
    for (module, table) in &sample.modules {
        table.check_lengths().map_err(|found| format!("it left module '{module}' with {found}"))?;
        for (name, column) in [
            ("obs", table.all_obs()),
            ("rewards", &table.rewards),
            ("values", &table.values),
            ("logp", &table.logp),
            ("ends.obs", &table.ends.obs),
            ("ends.values", &table.ends.values),
        ] {
            check_finite(name, column)?;
        }
        if let Some(policy) = policies.get(module) {
            check_actions(module, &table.actions, &policy.action_space)?;
        }
        table.check_ends().map_err(|found| format!("it left module '{module}' with wrong {found}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(links: Links, rows: usize) -> ModuleRollout {
        let mut table = ModuleRollout::new(1, 1, Actions::zeros(true, 1, 0), links.clone());
        table.resize(rows, rows);
        table.links = links;
        table
    }

    #[test]
    fn a_rectangle_is_cut_at_its_ends_and_at_its_border() {
        let mut table = table(Links::Rectangular { num_envs: 2 }, 6);
        table.env = vec![4, 5, 4, 5, 4, 5];
        table.terminated[2] = true;
        table.truncated[5] = true;
        assert_eq!(trajectories(&table), [vec![0, 2], vec![4], vec![1, 3, 5]]);
    }

    #[test]
    fn chains_are_followed() {
        let mut table = table(Links::Chained { next: vec![2, END, 4, END, END] }, 5);
        table.env = vec![1, 0, 1, 0, 1];
        table.agent = vec![0, 1, 0, 0, 0];
        assert_eq!(trajectories(&table), [vec![3], vec![1], vec![0, 2, 4]]);
    }
}
