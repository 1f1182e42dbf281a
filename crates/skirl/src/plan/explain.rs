//! The plan in words.

use std::fmt;

use super::{ModulePlan, Plan};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seed = self.seed.map_or("chosen at the start".to_owned(), |seed| seed.to_string());
        writeln!(f, "algorithm    {}", self.algorithm)?;
        writeln!(f, "environment  {} × {}", self.environment.env, self.environment.num_envs)?;
        for agent in &self.agents {
            writeln!(f, "  agent      {}", agent.agent)?;
            writeln!(f, "    sees     {}", agent.observation)?;
            writeln!(f, "    does     {}", agent.action)?;
        }
        writeln!(f, "threads      {}", self.num_threads)?;
        writeln!(f, "seed         {seed}")?;
        for (id, module) in &self.modules {
            module.explain(id, f)?;
        }
        if self.mapping.len() > 1 {
            let pairs: Vec<String> =
                self.mapping.iter().map(|(agent, id)| format!("{agent} → {id}")).collect();
            writeln!(f, "mapping      {}", pairs.join(", "))?;
        }
        writeln!(f, "batch        {}", self.batch)?;
        writeln!(
            f,
            "memory       at least {:.1} MB for weights, optimizer and the rows of an iteration",
            self.memory as f64 / 1e6
        )?;
        writeln!(f, "pipeline")?;
        self.stages.iter().try_for_each(|stage| writeln!(f, "  {stage}"))?;
        match &self.tuned {
            Some(file) => writeln!(f, "tuned file   {file}"),
            None => Ok(()),
        }
    }
}

impl ModulePlan {
    fn explain(&self, id: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = &self.network;
        let layers = |hidden: &[usize], out: usize| {
            let sizes: Vec<String> = std::iter::once(network.obs_width)
                .chain(hidden.iter().copied())
                .chain([out])
                .map(|n| n.to_string())
                .collect();
            sizes.join("→")
        };
        let value = network.vf_hidden.as_ref().unwrap_or(&network.hidden);
        let trained = if self.trained { "" } else { ", not trained" };
        writeln!(
            f,
            "module       {id}: {} parameters, {:?}{trained}",
            self.num_parameters, network.activation
        )?;
        writeln!(
            f,
            "  policy     {} → {}",
            layers(&network.hidden, network.num_dist_inputs),
            self.distribution
        )?;
        match (network.critic, network.vf_share_layers) {
            (false, _) => writeln!(f, "  value      none"),
            (true, true) => writeln!(f, "  value      shares the policy's layers"),
            (true, false) => writeln!(f, "  value      {}", layers(value, 1)),
        }
    }
}

impl Plan {
    /// The plan as JSON, for machines.
    pub fn to_value(&self) -> serde_json::Value {
        let modules: serde_json::Map<String, serde_json::Value> = self
            .modules
            .iter()
            .map(|(id, module)| {
                let value = serde_json::json!({
                    "observation_space": module.observation_space.to_json(),
                    "action_space": module.action_space.to_json(),
                    "distribution": module.distribution,
                    "hidden": module.network.hidden,
                    "num_parameters": module.num_parameters,
                    "trained": module.trained,
                });
                (id.clone(), value)
            })
            .collect();
        serde_json::json!({
            "algorithm": self.algorithm,
            "env": self.environment.env,
            "num_envs": self.environment.num_envs,
            "num_threads": self.num_threads,
            "seed": self.seed,
            "modules": modules,
            "mapping": self.mapping.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "batch": {
                "rows": self.batch.rows,
                "fragment_length": self.batch.fragment_length,
                "minibatch_size": self.batch.minibatch_size,
                "minibatches": self.batch.minibatches(),
                "last_minibatch": self.batch.last_minibatch(),
                "num_epochs": self.batch.num_epochs,
                "updates": self.batch.updates(),
            },
            "memory_bytes": self.memory,
            "stages": self.stages,
            "tuned_config": self.tuned,
        })
    }
}
