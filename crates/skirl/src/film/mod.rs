//! Filming: pictures of the episodes that an evaluation plays.
//!
//! Flows in: environments. Flows out: the same environments with a camera in front of each, and a [`Film`] that fills while
//! they are stepped. What is played does not change: a camera draws after each reset and step, and draws no random numbers.

mod camera;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use skirl_env::{MultiAgentEnv, Scene, VectorEnv};

use crate::collect::Environments;
use camera::{MultiCamera, VectorCamera};

/// Pictures kept of one episode; an episode that goes on is filmed no further.
pub const MAX_PICTURES: usize = 20_000;

/// The pictures of some episodes. Copies are handles to one film.
#[derive(Debug, Clone, Default)]
pub struct Film(Arc<Mutex<Reel>>);

/// One filmed episode: its first observation, then one picture after every step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FilmedEpisode {
    /// The pictures.
    pub scenes: Vec<Scene>,
    /// Whether the episode ended before the film did.
    pub ended: bool,
}

#[derive(Debug, Default)]
struct Reel {
    /// Episodes to film of each environment.
    wanted: Vec<usize>,
    episodes: BTreeMap<usize, Vec<FilmedEpisode>>,
}

impl Film {
    /// A film of the first `wanted[env]` episodes of each environment.
    pub(crate) fn of_each(wanted: Vec<usize>) -> Self {
        Self(Arc::new(Mutex::new(Reel { wanted, episodes: BTreeMap::new() })))
    }

    /// The episodes, in the order of environments.
    pub fn episodes(&self) -> Vec<FilmedEpisode> {
        self.with(|reel| reel.episodes.values().flatten().cloned().collect())
    }

    /// Whether there is no picture: the environments do not draw themselves, or were not reset yet.
    pub fn is_blank(&self) -> bool {
        self.with(|reel| reel.episodes.is_empty())
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Reel) -> T) -> T {
        // A panic elsewhere leaves a film with a picture less at worst.
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An episode begins. The one before it ended, unless nothing happened in it: then it was reset twice.
    fn begin(&self, env: usize, draw: impl FnOnce() -> Option<Scene>) {
        self.with(|reel| {
            let wanted = reel.wanted.get(env).copied().unwrap_or(0);
            let Some(scene) = (wanted > 0).then(draw).flatten() else { return };
            let episodes = reel.episodes.entry(env).or_default();
            episodes.pop_if(|episode| episode.scenes.len() == 1);
            episodes.iter_mut().for_each(|episode| episode.ended = true);
            if episodes.len() < wanted {
                episodes.push(FilmedEpisode { scenes: vec![scene], ended: false });
            }
        });
    }

    /// A step was made.
    fn step(&self, env: usize, draw: impl FnOnce() -> Option<Scene>) {
        self.with(|reel| {
            let episode = reel.episodes.get_mut(&env).and_then(|episodes| episodes.last_mut());
            let Some(episode) = episode.filter(|episode| !episode.ended) else { return };
            if episode.scenes.len() < MAX_PICTURES {
                episode.scenes.extend(draw());
            }
        });
    }
}

/// Puts a camera in front of every environment.
pub(crate) fn film(environments: Environments, film: &Film) -> Environments {
    match environments {
        Environments::Single(shards) => {
            let filmed = shards.into_iter().map(|(first_env, env)| {
                let camera: Box<dyn VectorEnv> =
                    Box::new(VectorCamera { env, first_env, film: film.clone() });
                (first_env, camera)
            });
            Environments::Single(filmed.collect())
        }
        // Environments of other processes have no camera: evaluation, which films, steps its own in this one.
        remote @ Environments::Remote(_) => remote,
        Environments::Multi(envs) => {
            let filmed = envs.into_iter().enumerate().map(|(index, env)| {
                let camera: Box<dyn MultiAgentEnv> = Box::new(MultiCamera { env, index, film: film.clone() });
                camera
            });
            Environments::Multi(filmed.collect())
        }
    }
}
