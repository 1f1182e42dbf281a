//! Physics over lanes, as a single environment or as a vector environment.

use crate::column::{Column, ColumnMut, ColumnRef, Element};
use crate::env::{Env, EnvState, Step};
use crate::episode_clock::EpisodeClock;
use crate::error::{EnvError, Place};
use crate::row::{Row, RowRef};
use crate::scene::Scene;
use crate::seeding::{Generator, SeedSequence};
use crate::space::Space;
use crate::state::{entry, restore_generators, save_generators};
use crate::vector::{Outcomes, VectorEnv};

/// State variables of many environments: one array for each variable, one lane for each environment.
pub type Lanes = Vec<Vec<f64>>;

/// What a step writes, one lane (observations: one row) for each environment.
#[derive(Debug)]
pub struct Results<'a> {
    /// `[lanes, WIDTH]`.
    pub observations: &'a mut [f32],
    /// `[lanes]`.
    pub rewards: &'a mut [f64],
    /// `[lanes]`.
    pub terminated: &'a mut [bool],
}

/// The physics of one kind of environment, over lanes. Observations are one `f32` box, actions one element.
pub trait Physics: Send + 'static {
    /// Names of the state variables.
    const STATE: &'static [&'static str];
    /// Width of an observation.
    const WIDTH: usize;
    /// Element type of the action.
    type Action: Element;

    /// Space of observations.
    fn observation_space(&self) -> Space;

    /// Space of actions.
    fn action_space(&self) -> Space;

    /// Draws an initial state into lane `lane` and writes its observation.
    fn start(&self, generator: &mut Generator, state: &mut Lanes, lane: usize, observation: &mut [f32]);

    /// The lane of the first action outside the action space.
    fn bad_action(&self, actions: &[Self::Action]) -> Option<usize>;

    /// Steps all lanes. The actions were checked, all slices have matching lengths.
    fn advance(&self, actions: &[Self::Action], state: &mut Lanes, out: Results<'_>);

    /// Lane `lane` of the state as a picture, or `None` if there is none.
    fn draw(&self, _state: &Lanes, _lane: usize) -> Option<Scene> {
        None
    }
}

/// The lanes as an array of slices. Empty if there is another number of variables than `S`.
pub(crate) fn split<const S: usize>(state: &mut Lanes) -> [&mut [f64]; S] {
    let mut variables = state.iter_mut();
    std::array::from_fn(|_| variables.next().map_or(&mut [][..], Vec::as_mut_slice))
}

/// The lane of the first action that is NaN or infinite.
pub(crate) fn first_non_finite(actions: &[f32]) -> Option<usize> {
    // All bits of the exponent set: NaN or infinity. Combining the answers vectorises; the search is for the error only.
    const EXPONENT: u32 = 0xff << 23;
    let is_bad = |action: &f32| u32::from(action.to_bits() & EXPONENT == EXPONENT);
    if actions.iter().fold(0, |any, action| any | is_bad(action)) == 0 {
        return None;
    }
    actions.iter().position(|action| !action.is_finite())
}

/// The generator before any seed was given: fixed, another one for each lane.
fn unseeded(lane: usize) -> Generator {
    Generator::from_sequence(&SeedSequence::with_spawn_key(0, &[lane as u32]))
}

fn save_lanes<P: Physics>(state: &Lanes, saved: &mut EnvState) {
    for (name, values) in P::STATE.iter().zip(state) {
        saved.insert((*name).to_owned(), Column::F64(values.clone()));
    }
}

fn restore_lanes<P: Physics>(state: &mut Lanes, saved: &EnvState) -> Result<(), EnvError> {
    for (name, values) in P::STATE.iter().zip(state) {
        let saved = entry(saved, name, values.len())?;
        values.copy_from_slice(saved);
    }
    Ok(())
}

/// One environment.
#[derive(Debug, Clone)]
pub struct Native<P> {
    physics: P,
    state: Lanes,
    generator: Generator,
    status: Status,
}

/// Whether `step` may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    NeverReset,
    Running,
    Ended,
}

impl<P: Physics> Native<P> {
    /// One environment with this physics.
    pub fn new(physics: P) -> Native<P> {
        Native {
            physics,
            state: vec![vec![0.0]; P::STATE.len()],
            generator: unseeded(0),
            status: Status::NeverReset,
        }
    }
}

impl<P: Physics> Env for Native<P> {
    fn observation_space(&self) -> Space {
        self.physics.observation_space()
    }

    fn action_space(&self) -> Space {
        self.physics.action_space()
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        if let Some(seed) = seed {
            self.generator = Generator::seeded(seed);
        }
        let observation = observation.f32(0)?;
        check_width::<P>(observation.len())?;
        self.physics.start(&mut self.generator, &mut self.state, 0, observation);
        self.status = Status::Running;
        Ok(())
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        match self.status {
            Status::Running => {}
            Status::Ended => return Err(EnvError::StepAfterEnd { place: Place::default() }),
            Status::NeverReset => return Err(EnvError::StepBeforeReset { place: Place::default() }),
        }
        let actions = action.values::<P::Action>(0)?;
        check_actions(&self.physics, actions, 1)?;
        let observations = observation.f32(0)?;
        check_width::<P>(observations.len())?;
        let (mut rewards, mut terminated) = ([0.0], [false]);
        let out = Results { observations, rewards: &mut rewards, terminated: &mut terminated };
        self.physics.advance(actions, &mut self.state, out);
        if terminated[0] {
            self.status = Status::Ended;
        }
        Ok(Step { reward: rewards[0], terminated: terminated[0], truncated: false })
    }

    fn save_state(&self) -> Option<EnvState> {
        let mut saved = EnvState::new();
        save_lanes::<P>(&self.state, &mut saved);
        saved.insert("generator".to_owned(), save_generators([&self.generator]));
        saved.insert("status".to_owned(), Column::U8(vec![self.status as u8]));
        Some(saved)
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        restore_lanes::<P>(&mut self.state, state)?;
        if let Some(generator) = restore_generators(state, "generator", 1)?.pop() {
            self.generator = generator;
        }
        self.status = match entry::<u8>(state, "status", 1)?[0] {
            0 => Status::NeverReset,
            1 => Status::Running,
            _ => Status::Ended,
        };
        Ok(())
    }

    fn draw(&self) -> Option<Scene> {
        self.physics.draw(&self.state, 0)
    }
}

fn check_width<P: Physics>(found: usize) -> Result<(), EnvError> {
    if found == P::WIDTH {
        return Ok(());
    }
    Err(EnvError::WrongShape {
        field: "observation".to_owned(),
        expected: format!("[{}]", P::WIDTH),
        found: format!("[{found}]"),
        place: Place::default(),
    })
}

fn check_actions<P: Physics>(physics: &P, actions: &[P::Action], lanes: usize) -> Result<(), EnvError> {
    if actions.len() != lanes {
        return Err(EnvError::WrongShape {
            field: "action".to_owned(),
            expected: format!("[{lanes}]"),
            found: format!("[{}]", actions.len()),
            place: Place::default(),
        });
    }
    match physics.bad_action(actions) {
        None => Ok(()),
        Some(lane) => {
            let found = format!("{:?}", actions.get(lane));
            let found = found.trim_start_matches("Some(").trim_end_matches(')');
            let error = EnvError::invalid_action(found, physics.action_space().to_string());
            Err(if lanes == 1 { error } else { error.at_env(lane) })
        }
    }
}

/// Many environments, stepped as structure of arrays.
#[derive(Debug, Clone)]
pub struct NativeVector<P> {
    physics: P,
    observation_space: Space,
    action_space: Space,
    state: Lanes,
    generators: Vec<Generator>,
    clock: EpisodeClock,
}

impl<P: Physics> NativeVector<P> {
    /// `num_envs` environments whose episodes are truncated after `max_episode_steps` steps.
    pub fn new(physics: P, num_envs: usize, max_episode_steps: Option<u32>) -> NativeVector<P> {
        NativeVector {
            observation_space: physics.observation_space(),
            action_space: physics.action_space(),
            state: vec![vec![0.0; num_envs]; P::STATE.len()],
            generators: (0..num_envs).map(unseeded).collect(),
            clock: EpisodeClock::new(num_envs, max_episode_steps),
            physics,
        }
    }
}

fn observations_of<'a, P: Physics>(
    columns: &'a mut [ColumnMut<'_>],
    num_envs: usize,
) -> Result<&'a mut [f32], EnvError> {
    let expected = num_envs * P::WIDTH;
    let fits = matches!(&*columns, [ColumnMut::F32(values)] if values.len() == expected);
    match columns.first_mut() {
        Some(ColumnMut::F32(values)) if fits => Ok(values),
        _ => Err(EnvError::WrongShape {
            field: "observation columns".to_owned(),
            expected: format!("one float32 column of {num_envs} × {} elements", P::WIDTH),
            found: "other columns".to_owned(),
            place: Place::default(),
        }),
    }
}

impl<P: Physics> VectorEnv for NativeVector<P> {
    fn num_envs(&self) -> usize {
        self.generators.len()
    }

    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn action_space(&self) -> &Space {
        &self.action_space
    }

    fn max_episode_steps(&self) -> Option<u32> {
        self.clock.limit()
    }

    fn reset(
        &mut self,
        env: usize,
        seed: Option<u64>,
        observations: &mut [ColumnMut<'_>],
    ) -> Result<(), EnvError> {
        self.clock.start(env)?;
        let observations = observations_of::<P>(observations, self.generators.len())?;
        let generator = &mut self.generators[env];
        if let Some(seed) = seed {
            *generator = Generator::seeded(seed);
        }
        let row = &mut observations[env * P::WIDTH..(env + 1) * P::WIDTH];
        self.physics.start(generator, &mut self.state, env, row);
        Ok(())
    }

    fn step(
        &mut self,
        actions: &[ColumnRef<'_>],
        observations: &mut [ColumnMut<'_>],
        outcomes: &mut Outcomes,
    ) -> Result<(), EnvError> {
        let num_envs = self.generators.len();
        let here = self.clock.total_steps() + 1;
        self.clock.before_step()?;
        let actions = actions_of::<P>(actions).map_err(|error| error.at_step(here))?;
        check_actions(&self.physics, actions, num_envs).map_err(|error| error.at_step(here))?;
        let observations = observations_of::<P>(observations, num_envs)?;
        outcomes.resize(num_envs);
        let out =
            Results { observations, rewards: &mut outcomes.rewards, terminated: &mut outcomes.terminated };
        self.physics.advance(actions, &mut self.state, out);
        self.clock.after_step(&outcomes.terminated, &mut outcomes.truncated);
        Ok(())
    }

    fn save_state(&self) -> Option<EnvState> {
        let mut saved = EnvState::new();
        save_lanes::<P>(&self.state, &mut saved);
        saved.insert("generators".to_owned(), save_generators(&self.generators));
        self.clock.save(&mut saved);
        Some(saved)
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.clock.restore(state)?;
        restore_lanes::<P>(&mut self.state, state)?;
        self.generators = restore_generators(state, "generators", self.generators.len())?;
        Ok(())
    }

    fn draw(&self, env: usize) -> Option<Scene> {
        (env < self.num_envs()).then(|| self.physics.draw(&self.state, env))?
    }
}

fn actions_of<'a, P: Physics>(columns: &[ColumnRef<'a>]) -> Result<&'a [P::Action], EnvError> {
    let [column] = columns else {
        return Err(EnvError::WrongShape {
            field: "action".to_owned(),
            expected: "one column".to_owned(),
            found: format!("{} columns", columns.len()),
            place: Place::default(),
        });
    };
    column.typed().ok_or_else(|| EnvError::WrongDType {
        field: "action".to_owned(),
        expected: P::Action::DTYPE,
        found: column.dtype(),
        place: Place::default(),
    })
}
