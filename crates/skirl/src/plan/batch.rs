//! Batch arithmetic: from the configured numbers to rows, minibatches and updates.

/// How one iteration is cut up. All numbers are for one iteration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchPlan {
    /// Environments.
    pub num_envs: usize,
    /// Steps of each environment.
    pub fragment_length: usize,
    /// Rows (environment steps) that are collected; of whole episodes the least number.
    pub rows: usize,
    /// The batch consists of whole episodes.
    pub whole_episodes: bool,
    /// Rows that were asked for.
    pub train_batch_size: usize,
    /// Rows of a minibatch.
    pub minibatch_size: usize,
    /// Passes over the rows.
    pub num_epochs: usize,
    /// Learning copies the rows, into the order of its epochs.
    pub is_copied: bool,
}

impl BatchPlan {
    /// Minibatches of an epoch, the short one included.
    pub fn minibatches(&self) -> usize {
        self.rows.div_ceil(self.minibatch_size)
    }

    /// Rows of the last minibatch.
    pub fn last_minibatch(&self) -> usize {
        match self.rows % self.minibatch_size {
            0 => self.minibatch_size,
            short => short,
        }
    }

    /// Optimizer steps of an iteration.
    pub fn updates(&self) -> usize {
        self.minibatches().saturating_mul(self.num_epochs)
    }
}

impl std::fmt::Display for BatchPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.whole_episodes {
            write!(f, "whole episodes of {} environments, at least {} rows", self.num_envs, self.rows)?;
            write!(f, ", looked for every {} steps", self.fragment_length)?;
            return match self.updates() {
                1 => write!(f, "; 1 update with all of them"),
                _ => write!(f, "; minibatches of {}; × {} epochs", self.minibatch_size, self.num_epochs),
            };
        }
        write!(f, "{} environments × {} steps = {} rows", self.num_envs, self.fragment_length, self.rows)?;
        if self.rows != self.train_batch_size {
            write!(f, " (train_batch_size {} asked for)", self.train_batch_size)?;
        }
        if self.updates() == 1 {
            return write!(f, "; 1 update with all of them");
        }
        write!(f, "; {} minibatches of {}", self.minibatches(), self.minibatch_size)?;
        if self.last_minibatch() != self.minibatch_size {
            write!(f, ", the last one of {} rows, averaged over its own rows", self.last_minibatch())?;
        }
        write!(f, "; × {} epochs = {} updates", self.num_epochs, self.updates())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_indivisible_batch_shows_its_short_minibatch() {
        let plan = BatchPlan {
            num_envs: 2,
            fragment_length: 2000,
            rows: 4000,
            whole_episodes: false,
            train_batch_size: 4000,
            minibatch_size: 128,
            num_epochs: 30,
            is_copied: true,
        };
        assert_eq!((plan.minibatches(), plan.last_minibatch(), plan.updates()), (32, 32, 960));
        assert!(plan.to_string().contains("the last one of 32 rows"), "{plan}");
    }
}
