//! Other modules in the middle of a run: what depends on them is built anew, and takes over all that still fits.

use super::actor::Actor;
use super::snapshot::in_module;
use super::{Algorithm, Hook};
use crate::config::{AlgorithmConfig, CommonConfig, MultiAgentOptions};
use crate::error::Error;
use crate::plan::{Mapping, ModulePlan, module_for};

impl Algorithm {
    /// Gives the algorithm other policies, another map from agents to them, or others that learn, between two iterations: a
    /// frozen copy as new opponent, for example.
    ///
    /// Weights, optimizers and observation statistics of modules that stay are kept to the last bit; counts, metrics, shared
    /// state, callbacks and random streams go on. A new module has the initial weights of its own stream, as a fresh build
    /// gives them. Environments are made anew, while the old ones are still there, and running episodes are given up; tasks
    /// stay. A module that does not learn any more gives up its optimizer's moments; one that begins to learn starts with
    /// none. `on_algorithm_init` is not called again, `on_environment_created` is.
    ///
    /// # Errors
    /// Options that contradict each other; a module without an agent; a module that stays, with other spaces; environments
    /// that cannot be made; a call from a hook other than `on_train_result`. The algorithm then stays as it was.
    pub fn change_modules(&mut self, multi_agent: MultiAgentOptions) -> Result<(), Error> {
        self.check_between_iterations()?;
        let mut config = self.config.clone_box();
        config.common_mut().multi_agent = multi_agent;
        config.validate()?;
        self.check_agents(config.common())?;
        let next = self.successor(config)?;
        self.callbacks.forget_episodes();
        *self = next;
        Ok(())
    }

    /// In the middle of an iteration or an evaluation something holds on to what would be replaced.
    fn check_between_iterations(&self) -> Result<(), Error> {
        let own_evaluation = &self.config.common().evaluation.custom_evaluation_function;
        let in_evaluation = own_evaluation.is_some() && self.own_evaluation.is_none();
        let hook = self.in_hooks.iter().find(|hook| **hook != Hook::TrainResult);
        let found = match hook {
            None if !in_evaluation => return Ok(()),
            None => "one from the evaluation function".to_owned(),
            Some(hook) => format!("one from the hook {hook:?}"),
        };
        Err(Error::Argument {
            what: "the modules of a running algorithm".to_owned(),
            expected: "a change between two iterations".to_owned(),
            found,
            remedy: "Change them in on_train_result, or between two calls of train".to_owned(),
        })
    }

    /// Modules exist for the agents that they act for: one without would have no network, and one that loses its last agent
    /// would lose its weights.
    fn check_agents(&self, common: &CommonConfig) -> Result<(), Error> {
        if let [only] = self.plan.agents.as_slice() {
            return Err(Error::Misfit {
                what: "the modules of a running algorithm".to_owned(),
                expected: "an environment of several agents".to_owned(),
                found: format!("the only agent '{}', which has one module", only.agent),
                remedy: "Replace its weights (set_weights), or build another algorithm".to_owned(),
            });
        }
        let module_of = |agent: &String| Ok((agent.clone(), module_for(common, agent)?));
        let agents = self.plan.agents.iter().map(|agent| &agent.agent);
        let mapping: Mapping = agents.map(module_of).collect::<Result<_, Error>>()?;
        let known = self.config.common().multi_agent.policy_names();
        let had_none = |id: &str| known.contains(&id) && !self.plan.modules.contains_key(id);
        let names = common.multi_agent.policy_names();
        let idle =
            names.into_iter().find(|id| !had_none(id) && mapping.iter().all(|(_, module)| module != id));
        let Some(id) = idle else { return Ok(()) };
        let mapped: Vec<String> =
            mapping.iter().map(|(agent, module)| format!("'{agent}' by '{module}'")).collect();
        Err(Error::Misfit {
            what: format!("module '{id}'"),
            expected: "at least one agent that it acts for".to_owned(),
            found: format!("none: {}", mapped.join(", ")),
            remedy: "A module exists as long as it acts for an agent. Map one to it, or remove the module, and keep its \
                     weights (get_weights) where they are needed later"
                .to_owned(),
        })
    }

    /// The algorithm as it goes on with another configuration of its modules; this one is left as it is.
    fn successor(&self, config: Box<dyn AlgorithmConfig>) -> Result<Self, Error> {
        let (callbacks, shared) = (self.callbacks.clone(), self.shared.clone());
        let mut next = Self::assemble(config, callbacks, shared, self.own_evaluation.clone())?;
        next.owns_shared = self.owns_shared;
        next.take_modules(self)?;
        next.parts.runner.lock().take_the_place_of(&self.parts.runner.lock())?;
        next.parts.task.restore_state(&self.parts.task.save_state()?)?;
        next.parts.task.set_stop_handle(self.parts.task.stop_handle());
        next.metrics.go_on_from(self.metrics.clone());
        next.metrics.retain_modules_of(&next.plan);
        next.evaluated.clone_from(&self.evaluated);
        next.evaluation_tasks.clone_from(&self.evaluation_tasks);
        next.actor = Actor::with_calls(self.actor.calls);
        next.warnings.clone_from(&self.warnings);
        next.in_hooks.clone_from(&self.in_hooks);
        if let Some(herald) = self.herald.clone() {
            next.set_herald(herald);
        }
        // As after a restore: what environments say while they are made and reset was said when the run began.
        next.plan.environment.shared.discard();
        next.plan.environment.shared.begin()?;
        Ok(next)
    }

    /// Takes over the modules that both have, and publishes all under the version that is out.
    fn take_modules(&mut self, before: &Self) -> Result<(), Error> {
        for (id, policy) in &before.parts.learners.policies() {
            let (Some(new), Some(old)) = (self.plan.modules.get(id), before.plan.modules.get(id)) else {
                continue;
            };
            check_same_spaces(id, old, new)?;
            let taken = match before.parts.learners.save_state(id).transpose()? {
                Some(state) => self.parts.learners.restore_state(id, &state),
                // It did not learn: if it does now, its optimizer is a fresh one.
                None => self.set_weights(id, &policy.net.params().export()),
            };
            taken.map_err(|error| in_module(id, error))?;
        }
        self.hang_out(before.parts.board.newest().version);
        Ok(())
    }
}

fn check_same_spaces(id: &str, old: &ModulePlan, new: &ModulePlan) -> Result<(), Error> {
    if (&old.observation_space, &old.action_space) == (&new.observation_space, &new.action_space) {
        return Ok(());
    }
    let spaces = |plan: &ModulePlan| format!("{} and actions {}", plan.observation_space, plan.action_space);
    Err(Error::Misfit {
        what: format!("the agents of module '{id}', which stays"),
        expected: format!("observations {}", spaces(old)),
        found: format!("observations {}", spaces(new)),
        remedy: "Map agents with other spaces to a new module".to_owned(),
    })
}
