//! Instruction sets: the fast one is taken, all obey the same order, and AVX-512 and AVX2 give the same bytes. One test
//! in a process of its own, because the choice is process-wide.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod order;
mod reference;

use reference::Uniform;
use skirl_nn::kernels::{peak, vmath};
use skirl_nn::{Grads, Isa, Mat, Module, NnError, force_isa, isa};

/// Everything a training step computes, and the vectorised functions, as bits.
fn fingerprint() -> Vec<u32> {
    let mut bits = Vec::new();
    for module in order::modules() {
        train_fingerprint(&*module, &mut bits);
    }
    for f in [vmath::exp, vmath::ln, vmath::tanh, vmath::sigmoid, vmath::softplus, vmath::erf] {
        let mut values: Vec<f32> = (0..40_000).map(|i| (i as f32 - 20_000.0) * 0.004_9).collect();
        f(&mut values);
        // NaN (of ln) has many encodings.
        bits.extend(values.iter().map(|x| if x.is_nan() { 0 } else { x.to_bits() }));
    }
    let values = Uniform(4).vec(1003);
    bits.extend([vmath::sum(&values).to_bits(), vmath::sum_of_squares(&values).to_bits()]);
    bits
}

fn train_fingerprint(module: &dyn Module, bits: &mut Vec<u32>) {
    let rows = 77;
    let mut random = Uniform(12);
    let columns: Vec<Vec<f32>> = module.input_widths().iter().map(|w| random.vec(rows * w)).collect();
    let inputs: Vec<Mat<'_>> =
        columns.iter().zip(module.input_widths()).map(|(x, &w)| Mat::new(x, rows, w)).collect();
    let mut tape = module.tape(rows);
    module.forward(&inputs, None, &mut tape).unwrap();
    for (i, &w) in module.output_widths().iter().enumerate() {
        tape.d_output_mut(i).copy_from(Mat::new(&random.vec(rows * w), rows, w));
        bits.extend((0..rows).flat_map(|r| tape.output(i).row(r).to_vec()).map(f32::to_bits));
    }
    let mut grads = Grads::new(module.params());
    module.backward(&mut tape, Some(&mut grads), true).unwrap();
    bits.extend(grads.values().iter().map(|x| x.to_bits()));
    for i in 0..module.input_widths().len() {
        bits.extend((0..rows).flat_map(|r| tape.d_input(i).row(r).to_vec()).map(f32::to_bits));
    }
}

/// Best rate of independent multiply-adds, in GFLOP/s.
fn measured_peak() -> f64 {
    let rate = || {
        let start = std::time::Instant::now();
        let (value, flops) = std::hint::black_box(peak::multiply_adds(20_000));
        assert!(value.is_finite());
        flops as f64 / start.elapsed().as_secs_f64() / 1e9
    };
    (0..50).map(|_| rate()).fold(0.0, f64::max)
}

fn fast_path_is_taken() {
    let asked = std::env::var("SKIRL_ISA").ok();
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if asked.is_none() {
        let has_avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let has_avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl");
        let expected = match (has_avx2, has_avx512) {
            (true, true) => Isa::Avx512,
            (true, false) => Isa::Avx2,
            _ => Isa::Portable,
        };
        assert_eq!(isa(), expected);
    }
    if let Some(name) = asked {
        assert_eq!(isa().name(), name);
    }
}

/// The instructions themselves, not only the name: with vectors in registers the peak is far above the portable one.
fn fast_path_is_fast() {
    force_isa(Isa::Portable).unwrap();
    let portable = measured_peak();
    for isa in [Isa::Avx2, Isa::Avx512] {
        if force_isa(isa).is_ok() {
            let fast = measured_peak();
            println!("{isa}: {fast:.1} GFLOP/s, portable {portable:.1}");
            assert!(fast > 1.5 * portable, "{isa} reaches {fast:.1} GFLOP/s, plain Rust {portable:.1}");
        }
    }
}

#[test]
fn instruction_sets() {
    fast_path_is_taken();
    assert_eq!("sse9".parse::<Isa>(), Err(NnError::UnknownIsa { name: "sse9".to_owned() }));
    let mut seen: Vec<(Isa, Vec<u32>)> = Vec::new();
    for isa in Isa::ALL {
        if force_isa(isa).is_err() {
            assert!(!isa.is_available());
            continue;
        }
        assert_eq!(skirl_nn::isa(), isa);
        order::rows_do_not_depend_on_their_batch();
        order::gradients_fold_over_chunks();
        order::products_agree_with_naive_ones();
        order::one_pass_equals_separate_steps();
        if isa != Isa::Portable {
            seen.push((isa, fingerprint()));
        }
    }
    for pair in seen.windows(2) {
        assert_eq!(pair[0].1.len(), pair[1].1.len());
        let differing = pair[0].1.iter().zip(&pair[1].1).filter(|(a, b)| a != b).count();
        assert_eq!(differing, 0, "{} and {} differ in {differing} values", pair[0].0, pair[1].0);
    }
    if !cfg!(miri) {
        fast_path_is_fast();
    }
}
