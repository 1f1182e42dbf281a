//! Sizes are checked before a kernel runs, in release builds too; small enough to run whole under Miri, where any access
//! out of bounds is an error: `cargo +nightly miri test -p skirl-nn --test bounds`.
#![allow(missing_docs, clippy::unwrap_used)]

mod reference;

use std::panic::{AssertUnwindSafe, catch_unwind};

use reference::randomise;
use skirl_nn::kernels::through::NarrowGrads;
use skirl_nn::kernels::{activation, layer_norm, linear, narrow, through, vmath};
use skirl_nn::{Activation, ActorCritic, ActorCriticSpec, Block, Grads, Mat, MatMut, Module};

/// Memory of exactly the needed length: one element too far is out of bounds.
#[test]
fn kernels_stay_inside_exact_slices() {
    for (m, k, n) in [(1usize, 1usize, 5usize), (3, 17, 20), (7, 5, 16)] {
        let width = n.next_multiple_of(16);
        let x = vec![0.5; m * k];
        let w = vec![0.25; linear::panels_len(k, n)];
        let bias = vec![1.0; width];
        let mut out = vec![0.0; m * width];
        let x = Mat::new(&x, m, k);
        let panels = linear::Panels::new(&w, k, n);
        linear::forward(x, panels, Some(&bias), MatMut::with_stride(&mut out, m, n, width));
        assert!(
            out.chunks(width).all(|row| row[..n].iter().all(|y| (y - (1.0 + 0.125 * k as f32)).abs() < 1e-6))
        );
        let mut wt = vec![0.0; linear::panels_len(n, k)];
        linear::transpose(panels, &mut wt);
        let mut dw = vec![0.0; w.len()];
        linear::weight_gradient(x, Mat::with_stride(&out, m, n, width), &mut dw);
        let mut db = vec![0.0; width];
        linear::bias_gradient(Mat::with_stride(&out, m, n, width), &mut db);
        activation::forward_in_place(Activation::Tanh, MatMut::with_stride(&mut out, m, n, width));
        let mut y = vec![0.0; m * width];
        through::forward(Activation::Tanh, x, panels, &bias, MatMut::with_stride(&mut y, m, n, width));
        let (dz, v_width) = (Mat::with_stride(&y, m, n, width), k.next_multiple_of(16));
        let (v, mut dv, mut db) = (vec![0.5; m * v_width], vec![0.0; m * v_width], vec![0.0; v_width]);
        let (wt, v) = (linear::Panels::new(&wt, n, k), Mat::with_stride(&v, m, k, v_width));
        through::wide(Activation::Tanh, dz, wt, v, &mut db, MatMut::with_stride(&mut dv, m, k, v_width));
    }
    for n in 1..=linear::NARROW {
        let (x, w) = (vec![0.5; 3 * 16], vec![0.5; n * 16]);
        let (mut out, mut dw, mut dx) = (vec![0.0; 3 * n], vec![0.0; n * 16], vec![0.0; 3 * 16]);
        let x = Mat::with_stride(&x, 3, 9, 16);
        narrow::forward(x, &w, &vec![0.0; n], MatMut::new(&mut out, 3, n));
        narrow::weight_gradient(x, Mat::new(&out, 3, n), &mut dw);
        narrow::input_gradient(Mat::new(&out, 3, n), &w, MatMut::with_stride(&mut dx, 3, 9, 16));
        let (mut db, mut db_before) = (vec![0.0; n], vec![0.0; 16]);
        let grads = NarrowGrads { dw: &mut dw, db: Some(&mut db), db_before: &mut db_before };
        let dv = MatMut::with_stride(&mut dx, 3, 9, 16);
        through::narrow(Activation::Relu, Mat::new(&out, 3, n), &w, x, grads, dv);
    }
    for len in [0, 1, 15, 16, 17, 33] {
        let mut values = vec![0.5; len];
        vmath::tanh(&mut values);
        vmath::softplus(&mut values);
        assert!(vmath::all_finite(&values) && vmath::sum_of_squares(&values) >= 0.0);
    }
}

/// Every misuse is refused by a bounds check.
#[test]
fn sizes_that_do_not_fit_are_refused() {
    let data = vec![0.0; 64];
    let w = vec![0.0; 4 * 16];
    let refused = |what: &str, f: &mut dyn FnMut()| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let result = catch_unwind(AssertUnwindSafe(f));
        std::panic::set_hook(hook);
        assert!(result.is_err(), "{what} was accepted");
    };
    let mut out = vec![0.0; 64];
    refused("a matrix longer than its data", &mut || {
        let _ = Mat::new(&data, 5, 13);
    });
    refused("overlapping rows", &mut || {
        let _ = Mat::with_stride(&data, 2, 8, 4);
    });
    refused("sizes that overflow", &mut || {
        let _ = Mat::with_stride(&data, 1 << 40, 1, 1 << 40);
    });
    refused("weights of another size", &mut || {
        let _ = linear::Panels::new(&w, 5, 9);
    });
    let panels = linear::Panels::new(&w, 4, 9);
    let x = Mat::new(&data, 4, 4);
    refused("a narrow out", &mut || linear::forward(x, panels, None, MatMut::new(&mut out, 4, 9)));
    refused("another number of rows", &mut || {
        linear::forward(x, panels, None, MatMut::with_stride(&mut out, 3, 9, 16));
    });
    refused("another width", &mut || {
        linear::forward(Mat::new(&data, 4, 5), panels, None, MatMut::with_stride(&mut out, 4, 9, 16));
    });
    refused("a short bias", &mut || {
        linear::forward(x, panels, Some(&data[..9]), MatMut::with_stride(&mut out, 4, 9, 16));
    });
    refused("a short dw", &mut || {
        linear::weight_gradient(x, Mat::with_stride(&data, 4, 9, 16), &mut out[..60]);
    });
    refused("unpadded rows", &mut || {
        linear::weight_gradient(x, Mat::new(&data, 4, 9), &mut out);
    });
    refused("five narrow outputs", &mut || {
        narrow::forward(Mat::with_stride(&data, 2, 9, 16), &w, &data, MatMut::new(&mut out, 2, 5));
    });
    refused("unpadded narrow rows", &mut || {
        narrow::forward(Mat::new(&data[..18], 2, 9), &w[..16], &data, MatMut::new(&mut out, 2, 1));
    });
    refused("an activation that needs its input", &mut || {
        let y = MatMut::with_stride(&mut out, 4, 9, 16);
        through::forward(Activation::Gelu, x, panels, &data[..16], y);
    });
    let (wt, y) = (linear::Panels::new(&w, 4, 9), Mat::with_stride(&data, 4, 9, 16));
    refused("a short bias of the layer before", &mut || {
        through::wide(Activation::Tanh, x, wt, y, &mut [0.0; 9], MatMut::with_stride(&mut out, 4, 9, 16));
    });
    refused("another number of outputs", &mut || {
        let (x, dv) = (Mat::new(&data, 3, 4), MatMut::with_stride(&mut out, 4, 9, 16));
        through::wide(Activation::Tanh, x, wt, y, &mut [0.0; 16], dv);
    });
    refused("unpadded outputs", &mut || {
        let (y, dv) = (Mat::new(&data[..36], 4, 9), MatMut::with_stride(&mut out, 4, 9, 16));
        through::wide(Activation::Tanh, x, wt, y, &mut [0.0; 16], dv);
    });
    refused("a short dw of a narrow layer", &mut || {
        let (mut dw, mut db_before) = ([0.0; 9], [0.0; 16]);
        let grads = NarrowGrads { dw: &mut dw, db: None, db_before: &mut db_before };
        let dv = MatMut::with_stride(&mut out, 4, 9, 16);
        through::narrow(Activation::Tanh, Mat::new(&data, 4, 1), &w[..16], y, grads, dv);
    });
    refused("a short gain", &mut || {
        let z = Mat::with_stride(&data, 2, 9, 16);
        layer_norm::gain_gradient(z, z, &mut out[..9]);
    });
    refused("unpadded activations", &mut || {
        activation::forward_in_place(Activation::Relu, MatMut::new(&mut out[..18], 2, 9));
    });
    refused("more rows than a block has", &mut || {
        let _ = Block::zeros(2, 3).mat(3);
    });
}

/// A sub-view beyond the matrix is empty, not wrapped around.
#[test]
fn views_do_not_wrap() {
    let data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let mat = Mat::new(&data, 2, 3);
    assert_eq!(mat.rows(1..9).num_rows(), 1);
    assert_eq!(mat.rows(5..9).num_rows(), 0);
    assert_eq!(mat.cols(1..3).row(1), [5.0, 6.0]);
    assert_eq!(mat.cols(7..9).num_cols(), 0);
}

/// One forward and backward of a small module, all kinds of kernels in it.
#[test]
fn a_whole_step() {
    for vf_share_layers in [false, true] {
        let spec = ActorCriticSpec {
            obs_width: 3,
            hidden: vec![17],
            num_dist_inputs: 4,
            free_log_std: Some(2),
            layer_norm: true,
            vf_share_layers,
            activation: Activation::Gelu,
            ..ActorCriticSpec::default()
        };
        let mut net = ActorCritic::new(&spec).unwrap();
        randomise(&mut net, 1);
        let x = vec![0.3; 9];
        let mut tape = net.tape(3);
        net.forward(&[Mat::new(&x, 3, 3)], None, &mut tape).unwrap();
        tape.d_output_mut(0).fill(1.0);
        tape.d_output_mut(1).fill(1.0);
        let mut grads = Grads::new(net.params());
        net.backward(&mut tape, Some(&mut grads), true).unwrap();
        assert!(vmath::all_finite(grads.values()));
    }
}
