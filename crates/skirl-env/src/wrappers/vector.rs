//! Environments around others: only what differs is written.

use std::any::Any;

use serde_json::Value;

use crate::column::{ColumnMut, ColumnRef};
use crate::env::{Env, EnvState};
use crate::error::EnvError;
use crate::scene::Scene;
use crate::space::Space;
use crate::vector::{Outcomes, VectorEnv};

/// Many environments that look on, or change something, while the ones inside are stepped. Whoever implements this is a
/// [`VectorEnv`]; everything but [`reset`](Self::reset) and [`step`](Self::step) is that of the inner environments.
pub trait VectorWrapper: Any + Send {
    /// The environments inside.
    fn inner(&self) -> &dyn VectorEnv;

    /// The environments inside, to be changed.
    fn inner_mut(&mut self) -> &mut dyn VectorEnv;

    /// As [`VectorEnv::reset`].
    ///
    /// # Errors
    /// Those of the environments inside.
    fn reset(
        &mut self,
        env: usize,
        seed: Option<u64>,
        observations: &mut [ColumnMut<'_>],
    ) -> Result<(), EnvError> {
        self.inner_mut().reset(env, seed, observations)
    }

    /// As [`VectorEnv::step`].
    ///
    /// # Errors
    /// Those of the environments inside.
    fn step(
        &mut self,
        actions: &[ColumnRef<'_>],
        observations: &mut [ColumnMut<'_>],
        outcomes: &mut Outcomes,
    ) -> Result<(), EnvError> {
        self.inner_mut().step(actions, observations, outcomes)
    }
}

impl<W: VectorWrapper> VectorEnv for W {
    fn num_envs(&self) -> usize {
        self.inner().num_envs()
    }

    fn observation_space(&self) -> &Space {
        self.inner().observation_space()
    }

    fn action_space(&self) -> &Space {
        self.inner().action_space()
    }

    fn max_episode_steps(&self) -> Option<u32> {
        self.inner().max_episode_steps()
    }

    fn rebuild(&mut self, env: usize) -> Result<(), EnvError> {
        self.inner_mut().rebuild(env)
    }

    fn will_reset(&mut self, seeds: &[(usize, u64)]) -> Result<(), EnvError> {
        self.inner_mut().will_reset(seeds)
    }

    fn reset(
        &mut self,
        env: usize,
        seed: Option<u64>,
        observations: &mut [ColumnMut<'_>],
    ) -> Result<(), EnvError> {
        VectorWrapper::reset(self, env, seed, observations)
    }

    fn step(
        &mut self,
        actions: &[ColumnRef<'_>],
        observations: &mut [ColumnMut<'_>],
        outcomes: &mut Outcomes,
    ) -> Result<(), EnvError> {
        VectorWrapper::step(self, actions, observations, outcomes)
    }

    fn save_state(&self) -> Option<EnvState> {
        self.inner().save_state()
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.inner_mut().restore_state(state)
    }

    fn draw(&self, env: usize) -> Option<Scene> {
        self.inner().draw(env)
    }

    fn env_mut(&mut self, env: usize) -> Option<&mut dyn Env> {
        self.inner_mut().env_mut(env)
    }

    fn set_task(&mut self, env: usize, task: &Value) -> Result<(), EnvError> {
        self.inner_mut().set_task(env, task)
    }

    fn get_task(&mut self, env: usize) -> Result<Value, EnvError> {
        self.inner_mut().get_task(env)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{self, EnvContext};

    struct Counts {
        envs: Box<dyn VectorEnv>,
        steps: usize,
    }

    impl VectorWrapper for Counts {
        fn inner(&self) -> &dyn VectorEnv {
            &*self.envs
        }

        fn inner_mut(&mut self) -> &mut dyn VectorEnv {
            &mut *self.envs
        }

        fn step(
            &mut self,
            actions: &[ColumnRef<'_>],
            observations: &mut [ColumnMut<'_>],
            outcomes: &mut Outcomes,
        ) -> Result<(), EnvError> {
            self.steps += 1;
            self.envs.step(actions, observations, outcomes)
        }
    }

    #[test]
    fn a_wrapper_adds_what_it_writes_and_is_the_inner_environments_otherwise() {
        let inner = || registry::make_vec("CartPole-v1", 2, &EnvContext::default()).unwrap();
        let mut wrapped: Box<dyn VectorEnv> = Box::new(Counts { envs: inner(), steps: 0 });
        let mut plain = inner();
        let mut seen = [vec![0f32; 8], vec![0f32; 8]];
        for (envs, seen) in [&mut wrapped, &mut plain].into_iter().zip(&mut seen) {
            (0..2).for_each(|env| envs.reset(env, Some(7), &mut [ColumnMut::F32(seen)]).unwrap());
            let mut outcomes = Outcomes::new(2);
            envs.step(&[ColumnRef::I64(&[0, 1])], &mut [ColumnMut::F32(seen)], &mut outcomes).unwrap();
        }
        assert_eq!(seen[0], seen[1]);
        assert_eq!(wrapped.max_episode_steps(), plain.max_episode_steps());
        assert_eq!(wrapped.save_state(), plain.save_state());
        let wrapped: Box<dyn Any> = wrapped;
        assert_eq!(wrapped.downcast_ref::<Counts>().unwrap().steps, 1);
    }
}
