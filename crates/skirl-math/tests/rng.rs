//! The randomness tree: frozen answers, uniformity, independence, index draws past 2^24.

use skirl_math::rng::{StreamKey, open_unit_f32, uniforms, unit_f32};

/// χ² statistic of counts against equal expectation, as a number of standard deviations above its mean.
fn chi2_z(counts: &[u64]) -> f64 {
    let total: u64 = counts.iter().sum();
    let expected = total as f64 / counts.len() as f64;
    let chi2: f64 = counts.iter().map(|&c| (c as f64 - expected).powi(2) / expected).sum();
    let dof = (counts.len() - 1) as f64;
    (chi2 - dof) / (2.0 * dof).sqrt()
}

/// Computed by an independent Python transcription of the formulas in the module's documentation.
const FROZEN: [u64; 6] = [
    0xb29e_d950_786f_5ae3,
    0x674b_c965_d549_72c3,
    0x1c1c_3d04_811b_36a0,
    0x1e0a_2e84_a237_dc66,
    0x9908_9537_e808_e41b,
    0x87bc_fe23_26b9_882d,
];
const ORDER: [u32; 8] = [7, 1, 6, 4, 3, 0, 2, 5];

#[test]
fn answers_are_frozen() {
    let root = StreamKey::root(42);
    let env = root.child("env").index(3);
    let words = [root.0, env.0, env.word(0), env.word(1), env.word(u64::MAX), env.word_at(1, 2)];
    assert_eq!(words, FROZEN, "{words:#x?}");
    let mut order = Vec::new();
    root.child("shuffle").stream().permutation(8, &mut order);
    assert_eq!(order, ORDER);
}

#[test]
fn names_and_indices_never_meet() {
    let root = StreamKey::root(0);
    let keys = [
        root,
        StreamKey::root(1),
        root.child(""),
        root.child("a"),
        root.child("a\0"),
        root.child("ab"),
        root.child("a").child("b"),
        root.child("abcdefgh"),
        root.child("abcdefgh").child(""),
        root.child("abcdefghi"),
        root.child("3"),
        root.index(3),
        root.index(0),
        root.index(0).index(0),
    ];
    let mut sorted = keys.to_vec();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), keys.len());
}

#[test]
fn words_are_uniform_in_every_byte() {
    for seed in 0..3 {
        let mut stream = StreamKey::root(seed).child("bytes").stream();
        let mut counts = vec![[0u64; 256]; 8];
        for _ in 0..200_000 {
            for (count, byte) in counts.iter_mut().zip(stream.next_u64().to_le_bytes()) {
                count[byte as usize] += 1;
            }
        }
        for count in &counts {
            assert!(chi2_z(count).abs() < 5.0, "{}", chi2_z(count));
        }
    }
}

#[test]
fn neighbouring_streams_are_independent() {
    let root = StreamKey::root(7);
    for pick in 0..3 {
        let mut joint = vec![0u64; 32 * 32];
        for i in 0..200_000u64 {
            let (a, b) = match pick {
                0 => (root.index(i).word(0), root.index(i + 1).word(0)), // siblings
                1 => (root.index(5).word(i), root.index(6).word(i)),     // in step
                _ => (root.word_at(i, 1), root.word_at(i, 2)),           // words of one counter
            };
            joint[((a >> 59) * 32 + (b >> 59)) as usize] += 1;
        }
        assert!(chi2_z(&joint).abs() < 5.0, "case {pick}: {}", chi2_z(&joint));
    }
}

#[test]
fn flipping_any_key_or_counter_bit_flips_half_the_word() {
    let key = StreamKey::root(3);
    for bit in 0..64 {
        let flips = |other: u64, c: u64| (key.word(c) ^ other).count_ones();
        let n = 256;
        let by_key: u32 = (0..n).map(|c| flips(StreamKey(key.0 ^ (1 << bit)).word(c), c)).sum();
        let by_counter: u32 = (0..n).map(|c| flips(key.word(c ^ (1 << bit)), c)).sum();
        for mean in [by_key, by_counter] {
            assert!((f64::from(mean) / n as f64 - 32.0).abs() < 2.0, "bit {bit}: {mean}");
        }
    }
}

#[test]
fn keys_a_counter_step_apart_do_not_overlap() {
    // Plain SplitMix64 would give key.word(1) == StreamKey(key + φ).word(0).
    let key = StreamKey::root(9);
    let shifted = StreamKey(key.0.wrapping_add(0x9E37_79B9_7F4A_7C15));
    assert_ne!(key.word(1), shifted.word(0));
}

#[test]
fn bulk_uniforms_equal_single_draws() {
    let keys: Vec<_> = (0..67).map(|i| StreamKey::root(1).index(i)).collect();
    let mut out = vec![0.0; 67];
    uniforms(&keys, 12345, &mut out);
    for (key, u) in keys.iter().zip(&out) {
        assert_eq!(*u, unit_f32(key.word(12345)));
    }
}

#[test]
fn unit_intervals_keep_their_ends() {
    assert_eq!(unit_f32(0), 0.0);
    assert_eq!(unit_f32(u64::MAX), 1.0 - f32::EPSILON / 2.0);
    assert_eq!(open_unit_f32(0), f32::EPSILON / 2.0);
    assert_eq!(open_unit_f32(u64::MAX), 1.0 - f32::EPSILON / 2.0);
}

#[test]
fn below_is_uniform_past_2_to_the_24() {
    // An index made from a 24-bit float never hits most odd slots beyond 2^24 (T14).
    let n = 50_000_000;
    let mut stream = StreamKey::root(11).stream();
    let mut parity = [0u64; 2];
    let mut low_bits = vec![0u64; 64];
    let mut buckets = vec![0u64; 100];
    for _ in 0..400_000 {
        let i = stream.below(n);
        assert!(i < n);
        parity[(i & 1) as usize] += 1;
        low_bits[(i & 63) as usize] += 1;
        buckets[(i * 100 / n) as usize] += 1;
    }
    for counts in [&parity[..], &low_bits, &buckets] {
        assert!(chi2_z(counts).abs() < 5.0, "{}", chi2_z(counts));
    }
}

#[test]
fn below_is_unbiased_where_rejection_matters() {
    // n = 3·2^62: without rejection the multiples of 3 come up twice as often as the others.
    let n = 3u64 << 62;
    let mut stream = StreamKey::root(12).stream();
    let mut thirds = [0u64; 3];
    for _ in 0..90_000 {
        thirds[(stream.below(n) % 3) as usize] += 1;
    }
    assert!(chi2_z(&thirds).abs() < 5.0);
    assert_eq!((stream.below(0), stream.below(1)), (0, 0));
}

#[test]
fn permutations_are_uniform() {
    let mut stream = StreamKey::root(13).stream();
    let mut counts = [0u64; 24];
    let mut order = Vec::new();
    for _ in 0..48_000 {
        stream.permutation(4, &mut order);
        let rank = |i: usize| order[i + 1..].iter().filter(|&&x| x < order[i]).count();
        counts[rank(0) * 6 + rank(1) * 2 + rank(2)] += 1;
    }
    assert!(chi2_z(&counts).abs() < 5.0);
}

#[test]
fn normals_have_the_right_moments() {
    let mut stream = StreamKey::root(14).stream();
    let n = 200_000;
    let xs: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
    let moment = |k: i32| xs.iter().map(|x| x.powi(k)).sum::<f64>() / f64::from(n);
    let sigma = |variance: f64| 5.0 * (variance / f64::from(n)).sqrt();
    assert!(moment(1).abs() < sigma(1.0));
    assert!((moment(2) - 1.0).abs() < sigma(2.0));
    assert!(moment(3).abs() < sigma(15.0));
    assert!((moment(4) - 3.0).abs() < sigma(96.0));
}
