//! Saving and loading parameters: what comes back, and what is refused.
#![allow(missing_docs, clippy::unwrap_used)]

mod reference;

use reference::randomise;
use skirl_nn::{Mlp, MlpSpec, Module, NamedTensor, from_safetensors, to_safetensors};

fn network(seed: u64) -> Mlp {
    let spec = MlpSpec {
        input_widths: vec![5],
        hidden: vec![70, 9],
        output_width: 3,
        layer_norm: true,
        ..MlpSpec::default()
    };
    let mut net = Mlp::new(&spec).unwrap();
    randomise(&mut net, seed);
    net
}

#[test]
fn bytes_restore_every_value() {
    let (from, mut to) = (network(1), network(2));
    let bytes = from.params().to_safetensors().unwrap();
    assert_ne!(from.params().values(), to.params().values());
    to.params_mut().load_safetensors(&bytes).unwrap();
    assert_eq!(from.params().values(), to.params().values());
    assert_eq!(bytes, to.params().to_safetensors().unwrap());
}

#[test]
fn weights_are_row_major_out_by_in() {
    let mut net =
        Mlp::new(&MlpSpec { input_widths: vec![3], hidden: vec![], output_width: 70, ..MlpSpec::default() })
            .unwrap();
    net.params_mut().init_tensors(|t, values| {
        assert_eq!((t.fan_in(), t.fan_out()), if t.name() == "net.0.weight" { (3, 70) } else { (1, 70) });
        values.iter_mut().enumerate().for_each(|(i, x)| *x = i as f32);
    });
    net.refresh();
    let mut tape = net.tape(3);
    let eye = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    net.forward(&[skirl_nn::Mat::new(&eye, 3, 3)], None, &mut tape).unwrap();
    for input in 0..3 {
        let expected: Vec<f32> = (0..70).map(|out| (out * 3 + input) as f32 + out as f32).collect();
        assert_eq!(tape.output(0).row(input), expected);
    }
}

/// Each refused with its message, the parameters unchanged.
#[test]
fn wrong_tensors_are_refused_and_nothing_changes() {
    type Spoil = fn(&mut Vec<NamedTensor>);
    let cases: [(Spoil, &str); 6] = [
        (|t| drop(t.remove(1)), "tensor `net.0.bias` is missing: expected shape [70]"),
        (
            |t| t[0].shape = vec![5, 70],
            "shape of tensor `net.0.weight`: expected [70, 5], found [5, 70] with 350 values",
        ),
        (
            |t| t[1].data[69] = f32::NAN,
            "tensor `net.0.bias` holds NaN at flat index 69: expected only finite numbers",
        ),
        (
            |t| t[0].data[2] = f32::NEG_INFINITY,
            "tensor `net.0.weight` holds -inf at flat index 2: expected only finite numbers",
        ),
        (|t| t.push(t[0].clone()), "tensor `net.0.weight` is given more than once: expected each name once"),
        (
            |t| t.push(NamedTensor { name: "extra".to_owned(), shape: vec![1], data: vec![0.0] }),
            "tensor `extra` is not a parameter here: expected only net.0.weight,",
        ),
    ];
    let other = network(2).params().export();
    for (spoil, message) in cases {
        let mut net = network(1);
        let before = net.params().values().to_vec();
        let mut tensors = other.clone();
        spoil(&mut tensors);
        let error = net.params_mut().import(&tensors).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
        assert_eq!(net.params().values(), before);
    }
}

#[test]
fn damaged_bytes_are_refused() {
    let mut net = network(1);
    let bytes = net.params().to_safetensors().unwrap();
    let before = net.params().values().to_vec();
    for end in (0..bytes.len()).step_by(if cfg!(miri) { 2000 } else { 97 }) {
        assert!(net.params_mut().load_safetensors(&bytes[..end]).is_err(), "cut at {end}");
    }
    let mut long_header = bytes.clone();
    long_header[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(net.params_mut().load_safetensors(&long_header).is_err());
    assert_eq!(net.params().values(), before);
    // One damaged byte either changes a value or is an error; it never crashes.
    for at in (0..bytes.len()).step_by(if cfg!(miri) { 3000 } else { 53 }) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        let _ = net.params_mut().load_safetensors(&damaged);
    }
}

#[test]
fn other_number_types_are_refused() {
    let tensors = [NamedTensor { name: "w".to_owned(), shape: vec![1], data: vec![1.0] }];
    let text = to_safetensors(&tensors).unwrap();
    let other = text.iter().position(|&b| b == b'F').unwrap();
    let mut integers = text.clone();
    integers[other] = b'I';
    assert_eq!(
        from_safetensors(&integers).unwrap_err().to_string(),
        "weights file: tensor `w`: expected F32, found I32"
    );
}

#[test]
fn moments_share_the_packing() {
    let net = network(3);
    let moments: Vec<f32> = net.params().values().iter().map(|x| x * 2.0).collect();
    let named = net.params().export_buffer(&moments).unwrap();
    let mut back = vec![0.0; moments.len()];
    net.params().import_buffer(&named, &mut back).unwrap();
    assert_eq!(moments, back);
    assert!(net.params().import_buffer(&named, &mut back[1..]).is_err());
}
