use std::path::{Path, PathBuf};

use super::*;

fn all_files(root: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all_files(&path, files) } else { files.push(path) }
    }
    files.sort();
}

/// A snapshot as small as it gets with all parts, so that every byte can be tried.
fn tiny() -> Snapshot {
    let mut snapshot = Snapshot::new("PPO");
    snapshot.manifest.counters.insert("n".into(), 12);
    snapshot.put_json(ALGORITHM_STATE, serde_json::json!({"a": 1}));
    let weights = Tensors::from([("w".to_string(), Tensor::vector(vec![0.5_f32, 2.0]))]);
    snapshot.put_tensors(module_file("p", MODULE_STATE), weights);
    snapshot
}

#[test]
fn every_flipped_byte_is_an_error_that_names_a_file_or_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let root = save_to(&directory.path().join("tiny"), &tiny()).unwrap();
    let mut files = Vec::new();
    all_files(&root, &mut files);
    assert_eq!(files.len(), 4);
    for file in files {
        let sound = std::fs::read(&file).unwrap();
        for at in 0..sound.len() {
            for flip in [1 << (at % 8), 0xff] {
                let mut damaged = sound.clone();
                damaged[at] ^= flip;
                std::fs::write(&file, &damaged).unwrap();
                let Err(error) = load(&root) else {
                    panic!("{} byte {at} flip {flip} was not noticed", file.display())
                };
                assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
            }
        }
        std::fs::write(&file, &sound).unwrap();
    }
    assert_eq!(load(&root).unwrap().snapshot, tiny());
}

#[test]
fn every_truncated_or_longer_file_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let root = save_to(&directory.path().join("tiny"), &tiny()).unwrap();
    let mut files = Vec::new();
    all_files(&root, &mut files);
    for file in files {
        let sound = std::fs::read(&file).unwrap();
        for len in 0..=sound.len() + 1 {
            let mut damaged = sound.clone();
            damaged.resize(len, b'\n');
            std::fs::write(&file, &damaged).unwrap();
            let result = load(&root);
            assert_eq!(result.is_ok(), len == sound.len(), "{} cut to {len}", file.display());
            if let Err(error) = result {
                assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
            }
        }
        std::fs::remove_file(&file).unwrap();
        assert!(load(&root).unwrap_err().to_string().contains(root.to_str().unwrap()));
        std::fs::write(&file, &sound).unwrap();
    }
}

#[test]
fn every_flipped_byte_of_latest_still_loads_a_sound_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    save(directory.path(), &step_name(1), &snapshot(1)).unwrap();
    save(directory.path(), &step_name(2), &snapshot(2)).unwrap();
    let file = directory.path().join("LATEST");
    let sound = std::fs::read(&file).unwrap();
    for at in 0..sound.len() {
        for bit in 0..8 {
            let mut damaged = sound.clone();
            damaged[at] ^= 1 << bit;
            std::fs::write(&file, &damaged).unwrap();
            let loaded = load(directory.path()).unwrap();
            assert_eq!(loaded.snapshot.manifest, snapshot(2).manifest, "byte {at} bit {bit}");
            assert_eq!(loaded.warnings.len(), 1, "byte {at} bit {bit}: {:?}", loaded.warnings);
        }
    }
}
