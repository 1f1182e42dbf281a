//! The checker: clean on the environments that come with the crate, and for each of its checks an environment that
//! fails it.

#![allow(clippy::unwrap_used)]

use skirl_env::check::{Check, CheckOptions, Finding, Severity, check_env};
use skirl_env::classic::{CartPole, Native};
use skirl_env::testing::{Fault, FaultyEnv};
use skirl_env::{DType, Env, EnvError, EnvState, Row, RowRef, Space, Step, info, make, names};

fn findings(mut env: impl Env) -> Vec<Finding> {
    check_env(&mut env, CheckOptions { steps: 1200, seed: 1 })
}

fn checks(env: impl Env) -> Vec<(Severity, Check)> {
    findings(env).iter().map(|finding| (finding.severity, finding.check)).collect()
}

#[test]
fn registered_environments_are_clean() {
    for name in names(true) {
        if name.starts_with("testing/") || info(&name).unwrap().multi_agent {
            continue;
        }
        let mut found = findings(make(&name).unwrap());
        // Some probes have no randomness at all.
        found.retain(|finding| !(name.starts_with("probe/") && finding.check == Check::Seeds));
        assert_eq!(found, [], "{name}");
    }
}

fn faulty(fault: Fault) -> impl Env {
    FaultyEnv::new(make("CartPole-v1").unwrap(), fault, 1).times(u64::MAX)
}

#[test]
fn every_planted_fault_is_found() {
    let error = |check| vec![(Severity::Error, check)];
    let three = |check| vec![(Severity::Error, check); 3];
    assert_eq!(checks(faulty(Fault::Raise)), error(Check::Runs));
    assert_eq!(checks(faulty(Fault::NanReward)), three(Check::Rewards));
    assert_eq!(checks(faulty(Fault::InfiniteReward)), three(Check::Rewards));
    assert_eq!(checks(faulty(Fault::NanObservation)), three(Check::Observations));
    assert_eq!(checks(faulty(Fault::OutOfBounds)), three(Check::Observations));
    assert_eq!(checks(faulty(Fault::WrongShape)), error(Check::Runs));
    assert_eq!(checks(faulty(Fault::WrongDType)), error(Check::Runs));
    assert_eq!(checks(faulty(Fault::Unwritten)), error(Check::Unwritten));
    let found = checks(faulty(Fault::Nondeterministic));
    assert!(found.contains(&(Severity::Error, Check::Determinism)), "{found:?}");
    let found = checks(faulty(Fault::IgnoresSeed));
    assert!(found.contains(&(Severity::Error, Check::Determinism)), "{found:?}");
    assert_eq!(checks(faulty(Fault::ForgetsState)), error(Check::Resume));
}

#[test]
fn messages_are_plain() {
    let found = findings(faulty(Fault::NanReward));
    assert_eq!(
        found[0].to_string(),
        "error: reward is NaN, expected a finite number, after 1 resets and steps"
    );
    let found = findings(faulty(Fault::WrongShape));
    let expected = "error: step with action [0] failed: observation leaf 0 has shape [5], expected [4] as its space says";
    assert!(found[0].to_string().starts_with(expected), "{}", found[0]);
}

#[test]
fn an_environment_without_guards_gets_warnings() {
    // The native environments refuse steps after the end by themselves; this one counts to three and forgets.
    assert_eq!(
        checks(Careless::default()),
        [
            (Severity::Warning, Check::Spaces),
            (Severity::Warning, Check::Seeds),
            (Severity::Warning, Check::StepAfterEnd),
            (Severity::Warning, Check::InvalidActions),
            (Severity::Warning, Check::Resume),
        ]
    );
    assert_eq!(checks(Native::new(CartPole::default())), []);
}

#[test]
fn a_changing_or_senseless_space_is_found() {
    let changing = Careless { observation: Space::discrete(0), ..Careless::default() };
    let found = findings(changing);
    assert_eq!(found[0].check, Check::Spaces);
    assert!(found[0].message.contains("n is 0, expected at least 1"), "{}", found[0]);
}

#[test]
fn an_endless_environment_gets_a_warning() {
    let endless = Careless { length: u32::MAX, ..Careless::default() };
    assert!(checks(endless).contains(&(Severity::Warning, Check::Ends)));
}

#[test]
fn seeding_anew_at_every_reset_is_found() {
    let found = checks(ReseedsAlways(Native::new(CartPole::default()), 0));
    assert!(found.contains(&(Severity::Error, Check::UnseededReset)), "{found:?}");
}

/// No randomness, no refusals, no saved state, unbounded actions.
struct Careless {
    observation: Space,
    length: u32,
    steps: u32,
}

impl Default for Careless {
    fn default() -> Careless {
        Careless { observation: Space::boxed(0.0, 1e9, &[1], DType::F32), length: 3, steps: 0 }
    }
}

impl Env for Careless {
    fn observation_space(&self) -> Space {
        self.observation.clone()
    }

    fn action_space(&self) -> Space {
        Space::boxed(0.0, f64::INFINITY, &[1], DType::F32)
    }

    fn reset(&mut self, _seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        self.steps = 0;
        observation.set(&[0.0])
    }

    fn step(&mut self, _action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        self.steps += 1;
        observation.set(&[self.steps as f32])?;
        Ok(Step { reward: 0.0, terminated: self.steps >= self.length, truncated: false })
    }
}

/// Remembers the last seed and uses it at every reset.
struct ReseedsAlways(Native<CartPole>, u64);

impl Env for ReseedsAlways {
    fn observation_space(&self) -> Space {
        self.0.observation_space()
    }

    fn action_space(&self) -> Space {
        self.0.action_space()
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        self.1 = seed.unwrap_or(self.1);
        self.0.reset(Some(self.1), observation)
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        self.0.step(action, observation)
    }

    fn save_state(&self) -> Option<EnvState> {
        self.0.save_state()
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.0.restore_state(state)
    }
}
