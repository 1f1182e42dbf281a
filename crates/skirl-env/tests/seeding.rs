//! `SeedSequence` and `Generator` against NumPy (`tests/goldens/seeding.py`).

#![allow(clippy::unwrap_used)]

use std::f64::consts::PI;

use serde_json::Value;
use skirl_env::Generator;
use skirl_env::seeding::SeedSequence;

fn goldens() -> Vec<Value> {
    serde_json::from_str(include_str!("goldens/seeding.json")).unwrap()
}

fn seed(golden: &Value) -> u64 {
    golden["seed"].as_str().unwrap().parse().unwrap()
}

fn words(golden: &Value, key: &str) -> Vec<u64> {
    golden[key].as_array().unwrap().iter().map(|word| word.as_str().unwrap().parse().unwrap()).collect()
}

fn floats(golden: &Value, key: &str) -> Vec<f64> {
    golden[key].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

fn integers(golden: &Value, key: &str) -> Vec<i64> {
    let read = |value: &Value| value.as_i64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap());
    golden[key].as_array().unwrap().iter().map(read).collect()
}

#[test]
fn seed_sequences_equal_numpys() {
    for golden in goldens() {
        let mut state = [0; 4];
        SeedSequence::new(seed(&golden)).generate(&mut state);
        assert_eq!(state.to_vec(), words(&golden, "sequence"));
        SeedSequence::with_spawn_key(seed(&golden), &[3, 7]).generate(&mut state);
        assert_eq!(state.to_vec(), words(&golden, "spawned"));
    }
}

#[test]
fn draws_equal_numpys() {
    for golden in goldens() {
        let mut rng = Generator::seeded(seed(&golden));
        assert_eq!((0..5).map(|_| rng.random()).collect::<Vec<_>>(), floats(&golden, "random"));
        let bounds = [(-0.05, 0.05), (1.0, 1e6), (-PI, PI)];
        let uniform: Vec<f64> = bounds.iter().map(|&(low, high)| rng.uniform(low, high)).collect();
        assert_eq!(uniform, floats(&golden, "uniform"));
        check_integers(&golden, &mut rng);
    }
}

fn check_integers(golden: &Value, rng: &mut Generator) {
    let check = |key: &str, low: i64, high: i64, rng: &mut Generator| {
        let expected = integers(golden, key);
        let found: Vec<i64> = expected.iter().map(|_| rng.integers(low, high)).collect();
        assert_eq!(found, expected, "{key} with seed {}", seed(golden));
    };
    check("small", 0, 5, rng);
    check("one", 3, 4, rng);
    assert_eq!(Some(rng.random()), golden["between"].as_f64());
    check("bytes", 0, 1 << 32, rng);
    check("large", -(1 << 40), 1 << 41, rng);
    let all: Vec<i64> = (0..3).map(|_| rng.next_u64().wrapping_add(i64::MIN as u64) as i64).collect();
    assert_eq!(all, integers(golden, "all"));
    check("odd", 0, 3_000_000_001, rng);
    assert_eq!(Some(rng.random()), golden["last"].as_f64());
}

#[test]
fn a_saved_generator_goes_on() {
    let mut rng = Generator::seeded(5);
    rng.integers(0, 10);
    let mut restored = Generator::restore(&rng.save()).unwrap();
    assert_eq!(restored, rng);
    assert_eq!(restored.integers(0, 10), rng.integers(0, 10));
    assert!(Generator::restore(&[1, 2]).is_err());
}
