//! The shortest way through the public API.

use skirl_env::column::{column_muts, column_refs};
use skirl_env::{EnvContext, Outcomes, make_vec};

#[test]
fn cart_pole_starts_where_gymnasium_starts() {
    let mut envs = make_vec("CartPole-v1", 3, &EnvContext::default()).unwrap();
    let mut observations = envs.observation_space().columns(3);
    let mut actions = envs.action_space().columns(3);
    let mut outcomes = Outcomes::default();
    for env in 0..3 {
        envs.reset(env, Some(123 + env as u64), &mut column_muts(&mut observations)).unwrap();
    }
    // gymnasium.make("CartPole-v1").reset(seed=123)[0]
    let first = &observations[0].as_ref().f32().unwrap()[..4];
    assert_eq!(first, [0.018235186, -0.0446179, -0.027964013, -0.03156282]);
    actions[0] = vec![0_i64, 1, 0].into();
    envs.step(&column_refs(&actions), &mut column_muts(&mut observations), &mut outcomes).unwrap();
    assert_eq!(outcomes.rewards, [1.0; 3]);
}
