//! A round of evaluation, kept so that it can be played again: weights, statistics and tasks do not change within it, so a
//! worker that takes the place of a killed one comes to where that one was.

use skirl::collect::episodes::RunningEpisode;
use skirl_math::rng::StreamKey;

use crate::layout::Layout;
use crate::message::{Request, RunPlace};
use crate::process::Failure;
use crate::shard::RemoteRange;

/// What was played since the environments were reset together.
#[derive(Debug, Default)]
pub(crate) struct Round {
    began: Option<(RunPlace, StreamKey, Vec<RunningEpisode>)>,
    /// The reply to its beginning was taken.
    pub(crate) is_begun: bool,
    sampled: Vec<Sampled>,
    /// A failure was met: it is to be played again.
    pub(crate) is_due: bool,
}

/// A rollout that was delivered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sampled {
    pub(crate) steps: usize,
    pub(crate) explore: bool,
    pub(crate) version: u64,
    pub(crate) layout: Layout,
}

impl Round {
    /// A new one.
    pub(crate) fn begin(&mut self, place: RunPlace, seeds: StreamKey, episodes: &[RunningEpisode]) {
        self.began = Some((place, seeds, episodes.to_vec()));
        self.is_begun = false;
        self.sampled.clear();
    }

    /// One more rollout was delivered.
    pub(crate) fn sampled(&mut self, sampled: Sampled) {
        if self.began.is_some() {
            self.sampled.push(sampled);
        }
    }

    /// Whether it is evaluation's.
    pub(crate) fn can_be_played_again(&self) -> bool {
        self.began.is_some()
    }
}

impl RemoteRange {
    /// Brings the worker to where the one before it was. What it samples on the way was delivered already.
    pub(crate) fn play_again(&mut self) -> Result<(), Failure> {
        let place = self.place;
        // The counters of a round that cannot be played again are those of where it was.
        self.play_round().inspect_err(|_| self.place = place)
    }

    fn play_round(&mut self) -> Result<(), Failure> {
        let Some((place, seeds, episodes)) = self.round.began.clone() else { return Ok(()) };
        let sampled = std::mem::take(&mut self.round.sampled);
        self.place = place;
        let (was_begun, logged) = (self.round.is_begun, self.delivered.logged.len());
        // What is known of the running episodes is of a later moment, to which this leads.
        let now = std::mem::replace(&mut self.episodes, episodes);
        let begun = self.try_begin(seeds);
        self.episodes = now;
        begun?;
        if was_begun {
            self.delivered.logged.truncate(logged);
        }
        for rollout in sampled {
            let Sampled { steps, explore, version, layout } = rollout;
            // Its rows were delivered: they go nowhere.
            let layout = Layout { obs_elsewhere: true, ..layout };
            let (place, tables) = (self.place, self.tables.known());
            let request = Request::Sample { place, steps, explore, version, layout, table: None, tables };
            self.ask(&request, &self.statistics)?;
            self.place.steps += steps as u64;
            self.round.sampled.push(rollout);
        }
        Ok(())
    }
}
