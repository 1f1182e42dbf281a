//! A module's directory without its run: it loads, and its example proves it.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod runs;

use std::path::{Path, PathBuf};

use runs::trained;
use serde_json::json;
use skirl::checkpoint::{
    self, MODULE_EXAMPLE, MODULE_SPEC, MODULE_STATE, RL_MODULE_DIRECTORY, Snapshot, Tensor, TensorData,
    module_file,
};
use skirl::contract::Policy;

const ID: &str = "default_policy";

fn snapshot() -> Snapshot {
    trained("CartPole-v1", &json!({ "rl_module": { "fcnet_hiddens": [16, 8] } }), 2).snapshot().unwrap()
}

/// Saves, and gives the module's directory.
fn saved(directory: &Path, snapshot: &Snapshot) -> PathBuf {
    let path = directory.join(format!("checkpoint-{}", std::fs::read_dir(directory).unwrap().count()));
    checkpoint::save_to(&path, snapshot).unwrap().join(RL_MODULE_DIRECTORY).join(ID)
}

/// The error of loading a module whose file was changed by `change`, with all hashes as they should be.
fn refused(change: impl FnOnce(&mut Snapshot)) -> String {
    let directory = tempfile::tempdir().unwrap();
    let mut changed = snapshot();
    change(&mut changed);
    Policy::from_checkpoint(&saved(directory.path(), &changed)).unwrap_err().to_string()
}

/// Flips a bit of one number; bit 0 is the last of its fraction.
fn flip_bit(snapshot: &mut Snapshot, file: &str, tensor: &str, bit: u32) {
    let path = module_file(ID, file);
    let mut tensors = snapshot.tensors(&path).unwrap().all().clone();
    let old = tensors[tensor].clone();
    let TensorData::F32(mut values) = old.data().clone() else { panic!("{tensor} is no F32") };
    values[0] = f32::from_bits(values[0].to_bits() ^ 1 << bit);
    tensors.insert(tensor.to_owned(), Tensor::new(old.shape().to_vec(), values).unwrap());
    snapshot.put_tensors(path, tensors);
}

#[test]
fn a_copied_module_directory_loads_and_computes_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let algorithm = trained("CartPole-v1", &json!({}), 2);
    let module = saved(directory.path(), &algorithm.snapshot().unwrap());
    let copy = directory.path().join("elsewhere");
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(&module).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    for path in [&module, &copy] {
        let (policy, warnings) = Policy::from_checkpoint(path).unwrap();
        let original = &algorithm.policies()[ID];
        assert_eq!(policy.net.params().values(), original.net.params().values());
        assert_eq!(
            (&policy.observation_space, &policy.action_space),
            (&original.observation_space, &original.action_space)
        );
        assert!(warnings.is_empty(), "{warnings:?}");
    }
    std::fs::write(copy.join(MODULE_STATE), "short").unwrap();
    let message = Policy::from_checkpoint(&copy).unwrap_err().to_string();
    assert!(message.contains(MODULE_STATE) && message.contains("found 5 bytes"), "{message}");
}

#[test]
fn one_wrong_bit_is_noticed_though_every_hash_fits() {
    let tensor =
        snapshot().tensors(&module_file(ID, MODULE_STATE)).unwrap().all().keys().next().unwrap().clone();
    // The last bit of one weight among hundreds may vanish in the rounding of the sums; those of the outputs may not.
    let flips = [
        (MODULE_STATE, tensor.as_str(), 10),
        (MODULE_EXAMPLE, "vf_preds", 0),
        (MODULE_EXAMPLE, "action_dist_inputs", 0),
    ];
    for (file, tensor, bit) in flips {
        let message = refused(|snapshot| {
            flip_bit(snapshot, file, tensor, bit);
            // The whole checkpoint is proved likewise.
            let mut whole = trained("CartPole-v1", &json!({ "rl_module": { "fcnet_hiddens": [16, 8] } }), 0);
            let error = whole.restore(snapshot).unwrap_err().to_string();
            assert!(error.contains("stored example"), "{error}");
        });
        assert!(
            message.contains("stored example") && message.contains("bit by bit"),
            "{file} {tensor}: {message}"
        );
    }
}

#[test]
fn a_state_in_memory_needs_no_example_but_a_checkpoint_does() {
    let directory = tempfile::tempdir().unwrap();
    let mut bare = snapshot();
    bare.files.remove(&module_file(ID, MODULE_EXAMPLE));
    bare.files.remove(&module_file(ID, MODULE_SPEC));
    let mut whole = trained("CartPole-v1", &json!({ "rl_module": { "fcnet_hiddens": [16, 8] } }), 0);
    whole.restore(&bare).unwrap();
    assert_eq!(whole.snapshot().unwrap(), snapshot());
    let path = checkpoint::save_to(&directory.path().join("bare"), &bare).unwrap();
    let message = whole.restore_from_path(&path).unwrap_err().to_string();
    assert!(message.contains(MODULE_EXAMPLE), "{message}");
}

#[test]
fn another_instruction_set_is_allowed_small_differences_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let mut changed = snapshot();
    changed.manifest.isa = "another".into();
    flip_bit(&mut changed, MODULE_EXAMPLE, "vf_preds", 0);
    let (_, warnings) = Policy::from_checkpoint(&saved(directory.path(), &changed)).unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains("not bit by bit"), "{warnings:?}");
}

#[test]
fn another_network_is_refused() {
    let with_option = |name: &'static str, value: serde_json::Value| {
        move |snapshot: &mut Snapshot| {
            let path = module_file(ID, MODULE_SPEC);
            let mut spec = snapshot.json(&path).unwrap().clone();
            spec["rl_module"][name] = value;
            snapshot.put_json(path, spec);
        }
    };
    let message = refused(with_option("fcnet_hiddens", json!([8, 16])));
    assert!(message.contains("the network that module.json describes"), "{message}");
    let message = refused(with_option("fcnet_hiddens", json!([65_536, 65_536])));
    assert!(message.contains("at least 4295"), "{message}");
    let message = refused(with_option("fcnet_activation", json!("relu")));
    assert!(message.contains("stored example"), "{message}");
    let message = refused(with_option("fcnet_hidden", json!([8])));
    assert!(message.contains("fcnet_hidden"), "{message}");
}

#[test]
fn a_damaged_byte_names_its_tensor() {
    let directory = tempfile::tempdir().unwrap();
    let module = saved(directory.path(), &snapshot());
    let file = module.join(MODULE_STATE);
    let sound = std::fs::read(&file).unwrap();
    let header_len = 8 + usize::try_from(u64::from_le_bytes(*sound.first_chunk().unwrap())).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&sound[8..header_len]).unwrap();
    for (name, tensor) in header.as_object().unwrap() {
        for end in [0, 1] {
            let at =
                usize::try_from(tensor["data_offsets"][end].as_u64().unwrap()).unwrap() - end + header_len;
            let mut damaged = sound.clone();
            damaged[at] ^= 4;
            std::fs::write(&file, damaged).unwrap();
            let message = checkpoint::load_component(&module).unwrap_err().to_string();
            assert!(message.contains(&format!("damaged in tensor `{name}`")), "{message}");
            assert!(message.contains(MODULE_STATE), "{message}");
        }
    }
    for at in 0..header_len {
        let mut damaged = sound.clone();
        damaged[at] ^= 1;
        std::fs::write(&file, damaged).unwrap();
        let message = checkpoint::load_component(&module).unwrap_err().to_string();
        assert!(message.contains("is damaged") && message.contains("damaged in "), "{at}: {message}");
    }
}
