//! The single-agent probes have the values that their documentation promises, under the best policy.

#![allow(clippy::unwrap_used)]

use skirl_env::column::{column_muts, column_refs};
use skirl_env::{Column, Row, RowRef, make};

const GAMMA: f64 = 0.9;

/// Discounted return of one episode under a policy from observation leaves (as numbers) to an action.
fn value(name: &str, seed: u64, policy: impl Fn(&[Vec<f64>], usize) -> Column) -> (Vec<Vec<f64>>, f64) {
    let mut env = make(name).unwrap();
    let mut observation = env.observation_space().columns(1);
    env.reset(Some(seed), &mut Row::new(column_muts(&mut observation))).unwrap();
    let first = numbers(&observation);
    let (mut total, mut discount) = (0.0, 1.0);
    for step in 0.. {
        let action = [policy(&numbers(&observation), step)];
        let (action, mut row) = (RowRef::new(column_refs(&action)), Row::new(column_muts(&mut observation)));
        let step = env.step(&action, &mut row).unwrap();
        total += discount * step.reward;
        discount *= GAMMA;
        if step.truncated {
            // The state goes on for ever: what is left is the same again.
            return (first, total / (1.0 - discount));
        }
        if step.terminated {
            break;
        }
    }
    (first, total)
}

fn numbers(columns: &[Column]) -> Vec<Vec<f64>> {
    let leaf = |column: &Column| (0..column.len()).map(|i| column.as_ref().get_f64(i).unwrap()).collect();
    columns.iter().map(leaf).collect()
}

fn discrete(value: i64) -> Column {
    Column::I64(vec![value])
}

#[test]
fn values_are_as_documented() {
    let sign = |observation: &[Vec<f64>]| i64::from(observation[0][0] > 0.0);
    for seed in 0..30 {
        let value_of =
            |name: &str, policy: &dyn Fn(&[Vec<f64>], usize) -> Column| value(name, seed, policy).1;
        assert_eq!(value_of("probe/Constant-v0", &|_, _| discrete(0)), 1.0);
        let (observation, found) = value("probe/ObservationValue-v0", seed, |_, _| discrete(0));
        assert_eq!(found, observation[0][0]);
        assert_eq!(value_of("probe/DelayedReward-v0", &|_, _| discrete(0)), GAMMA);
        assert_eq!(value_of("probe/ActionReward-v0", &|_, _| discrete(1)), 1.0);
        assert_eq!(value_of("probe/ActionReward-v0", &|_, _| discrete(0)), 0.0);
        assert_eq!(value_of("probe/MatchObservation-v0", &|seen, _| discrete(sign(seen))), 1.0);
        assert_eq!(value_of("probe/MatchObservation-v0", &|seen, _| discrete(1 - sign(seen))), -1.0);
        let found = value_of("probe/TruncatedForever-v0", &|_, _| discrete(0));
        assert!((found - 1.0 / (1.0 - GAMMA)).abs() < 1e-12);
        assert_eq!(value_of("probe/ContinuousBound-v0", &|_, _| Column::F32(vec![3.0])), 1.0);
        assert_eq!(value_of("probe/ContinuousBound-v0", &|_, _| Column::F32(vec![-2.0])), 0.0);
        let copy =
            |seen: &[Vec<f64>], _: usize| Column::I64(seen[0].iter().map(|&value| value as i64).collect());
        assert_eq!(value_of("probe/MultiDiscrete-v0", &copy), 1.0);
        let both = |seen: &[Vec<f64>], _: usize| {
            let switch = seen[1][0] as i64;
            discrete(if seen[0][0] > 0.0 { switch } else { 2 - switch })
        };
        assert_eq!(value_of("probe/DictObservation-v0", &both), 1.0);
        let cue = value("probe/Memory-v0", seed, |_, _| discrete(0)).0[0][0];
        assert_eq!(value_of("probe/Memory-v0", &|_, _| discrete(i64::from(cue > 0.0))), GAMMA);
    }
}
