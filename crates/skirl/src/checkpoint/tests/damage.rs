use std::path::{Path, PathBuf};

use super::sim_fs::SimFs;
use super::*;
use crate::checkpoint::fs::Fs;
use crate::checkpoint::load::load_in;
use crate::checkpoint::save::save_in;

/// A snapshot as small as it gets with all parts, so that every byte can be tried.
fn tiny() -> Snapshot {
    let mut snapshot = Snapshot::new("PPO");
    snapshot.manifest.counters.insert("n".into(), 12);
    snapshot.put_json(ALGORITHM_STATE, serde_json::json!({"a": 1}));
    let weights = Tensors::from([("w".to_string(), Tensor::vector(vec![0.5_f32, 2.0]))]);
    snapshot.put_tensors(module_file("p", MODULE_STATE), weights);
    snapshot
}

/// A disk in memory with the tiny checkpoint, its path, and its files.
fn tiny_disk() -> (SimFs, PathBuf, Vec<PathBuf>) {
    let fs = SimFs::new();
    let root = save_in(&fs, Path::new("/runs"), "tiny", &tiny()).unwrap();
    let files: Vec<PathBuf> = bytes_of(&tiny()).keys().map(|name| root.join(name)).collect();
    assert_eq!(files.len(), 4);
    (fs, root, files)
}

#[test]
fn every_flipped_byte_is_an_error_that_names_the_file() {
    let (fs, root, files) = tiny_disk();
    for file in files {
        let sound = fs.read(&file, u64::MAX).unwrap();
        for at in 0..sound.len() {
            for flip in [1 << (at % 8), 0x20, 0xff] {
                let mut damaged = sound.clone();
                damaged[at] ^= flip;
                fs.overwrite(&file, damaged);
                let Err(error) = load_in(&fs, &root, LoadOptions::default()) else {
                    panic!("{} byte {at} flip {flip} was not noticed", file.display())
                };
                assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
            }
        }
        fs.overwrite(&file, sound);
    }
    assert_eq!(load_in(&fs, &root, LoadOptions::default()).unwrap().snapshot, tiny());
}

#[test]
fn every_truncated_or_longer_file_is_an_error_that_names_it() {
    let (fs, root, files) = tiny_disk();
    for file in files {
        let sound = fs.read(&file, u64::MAX).unwrap();
        for len in 0..=sound.len() + 1 {
            let mut damaged = sound.clone();
            damaged.resize(len, b'\n');
            fs.overwrite(&file, damaged);
            let result = load_in(&fs, &root, LoadOptions::default());
            assert_eq!(result.is_ok(), len == sound.len(), "{} cut to {len}", file.display());
            if let Err(error) = result {
                assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
            }
        }
        fs.overwrite(&file, sound);
    }
}

#[test]
fn every_missing_file_is_an_error_that_names_it() {
    for name in bytes_of(&tiny()).keys() {
        let (fs, root, _) = tiny_disk();
        fs.remove_file(&root.join(name)).unwrap();
        // Without the manifest it is no checkpoint at all.
        let named = if name == MANIFEST { root.clone() } else { root.join(name) };
        let error = load_in(&fs, &root, LoadOptions::default()).unwrap_err().to_string();
        assert!(error.contains(named.to_str().unwrap()), "{error}");
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

#[test]
fn a_newer_checkpoint_without_its_manifest_does_not_stop_a_resumed_run() {
    let directory = tempfile::tempdir().unwrap();
    let name = step_name(2048);
    let path = save(directory.path(), &name, &tiny()).unwrap();
    std::fs::remove_file(path.join(MANIFEST)).unwrap();
    save(directory.path(), &name, &tiny()).unwrap();
    assert!(load(directory.path()).unwrap().warnings.is_empty());
    let kept = std::fs::read_dir(directory.path()).unwrap().flatten();
    assert!(
        kept.map(|entry| entry.file_name().into_string().unwrap()).any(|name| name.contains(".damaged-"))
    );
}
