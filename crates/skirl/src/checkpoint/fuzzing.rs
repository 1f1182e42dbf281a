//! Any bytes as a checkpoint: a sound one of a small run, one of whose files is replaced or edited.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::json;

use super::fs::{Fs, Kind, SyncError};
use super::load::{load_component_in, load_in};
use super::manifest::{FileRecord, Manifest};
use super::save::encode_all;
use super::{LoadOptions, MANIFEST, RL_MODULE_DIRECTORY, Snapshot};
use crate::Algorithm;
use crate::contract::Policy;

const ROOT: &str = "/checkpoints/step-000000000008";

/// Loads a checkpoint made from `input`, and puts what loads into an algorithm.
///
/// Byte 0: bit 0 makes all hashes fit again, so that the content itself is read; bit 1 replaces a file by the rest of
/// the input, else the rest are edits (two bytes of position, one to exclusive-or); bits 2 and 3 choose what is loaded: a
/// checkpoint, a directory of checkpoints, the module, a component of it. Byte 1: the file, counted from the first.
pub fn checkpoint(input: &[u8]) {
    let [flags, index, rest @ ..] = input else { return };
    let mut files = base_files();
    let Some(name) = files.keys().nth(usize::from(*index) % files.len()).cloned() else { return };
    if let Some(bytes) = files.get_mut(&name) {
        if flags & 2 == 2 { rest.clone_into(bytes) } else { edit(bytes, rest) }
    }
    if flags & 1 == 1 {
        make_hashes_fit(&mut files, &name);
    }
    let fs = MemoryFs {
        files: files.into_iter().map(|(name, bytes)| (Path::new(ROOT).join(name), bytes)).collect(),
    };
    let (root, options) = (Path::new(ROOT), LoadOptions::default());
    match flags >> 2 & 3 {
        0 => {
            if let Ok(loaded) = load_in(&fs, root, options) {
                put_back(&loaded.snapshot);
            }
        }
        1 => {
            let _ = load_in(&fs, Path::new("/checkpoints"), options);
        }
        2 => {
            let module = root.join(RL_MODULE_DIRECTORY).join("default_policy");
            if let Ok(component) = load_component_in(&fs, &module, options) {
                let _ = Policy::from_component(&component);
            }
        }
        _ => {
            let _ = load_component_in(&fs, &root.join("env_runner"), options);
        }
    }
}

/// Content by path of the checkpoint that is changed.
pub fn base_files() -> BTreeMap<String, Vec<u8>> {
    static BASE: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    BASE.get_or_init(|| with_algorithm(|algorithm| encode(&snapshot_of(algorithm)))).clone()
}

fn encode(snapshot: &Snapshot) -> BTreeMap<String, Vec<u8>> {
    encode_all(snapshot).unwrap_or_default()
}

fn snapshot_of(algorithm: &Algorithm) -> Snapshot {
    algorithm.snapshot().unwrap_or_default()
}

/// A state that loads is refused or fits; then the next iteration ends with a result or an error.
fn put_back(snapshot: &Snapshot) {
    with_algorithm(|algorithm| {
        let before = snapshot_of(algorithm);
        match algorithm.restore(snapshot) {
            Ok(()) => drop(algorithm.train()),
            Err(error) => assert_eq!(encode(&snapshot_of(algorithm)), encode(&before), "{error}"),
        }
        let restored = algorithm.restore(&before);
        assert!(restored.is_ok(), "{restored:?}");
    });
}

/// Calls `body` with an algorithm of this thread, small, and trained for one iteration.
fn with_algorithm<T>(body: impl FnOnce(&mut Algorithm) -> T) -> T {
    thread_local! {
        static ALGORITHM: RefCell<Algorithm> = RefCell::new(small());
    }
    ALGORITHM.with_borrow_mut(body)
}

#[allow(clippy::expect_used, reason = "a fuzz target may end the process when it cannot start")]
fn small() -> Algorithm {
    let document = json!({
        "run": "PPO", "env": "CartPole-v1",
        "training": { "train_batch_size": 8, "minibatch_size": 4, "num_epochs": 1 },
        "env_runners": { "num_env_runners": 0, "num_envs_per_env_runner": 2, "observation_filter": "MeanStdFilter" },
        "rl_module": { "fcnet_hiddens": [2] },
        "debugging": { "seed": 1 },
    });
    let config = crate::config::from_value(&document).expect("the document above is a sound configuration");
    let mut algorithm =
        Algorithm::build(config).expect("CartPole-v1 and a network of two units can be built");
    algorithm.train().expect("eight steps of CartPole-v1 can be trained on");
    algorithm
}

fn edit(bytes: &mut [u8], edits: &[u8]) {
    for [low, high, flip] in edits.as_chunks().0 {
        let len = bytes.len().max(1);
        if let Some(byte) = bytes.get_mut(usize::from(u16::from_le_bytes([*low, *high])) % len) {
            *byte ^= flip;
        }
    }
}

/// Gives the changed file `name` the hashes of its new content wherever they stand.
fn make_hashes_fit(files: &mut BTreeMap<String, Vec<u8>>, name: &str) {
    let (manifests, payloads): (Vec<_>, Vec<_>) =
        files.keys().cloned().partition(|path| Manifest::is_name(path));
    if let Some(bytes) = files.get_mut(name).filter(|_| Manifest::is_name(name)) {
        Manifest::sign(bytes);
    }
    // Components first: the manifest of the whole has their hashes.
    for path in manifests
        .iter()
        .filter(|path| *path != MANIFEST)
        .chain(manifests.iter().filter(|path| *path == MANIFEST))
    {
        if path == name {
            continue;
        }
        let Some(Ok(mut manifest)) = files.get(path).map(|bytes| Manifest::decode(Path::new(path), bytes))
        else {
            continue;
        };
        let directory = path.rsplit_once('/').map_or(String::new(), |(directory, _)| format!("{directory}/"));
        for (file, record) in &mut manifest.files {
            let file = format!("{directory}{file}");
            if let Some(bytes) =
                files.get(&file).filter(|_| payloads.contains(&file) || manifests.contains(&file))
            {
                *record = FileRecord::of(&file, bytes);
            }
        }
        if let Ok(bytes) = manifest.encode() {
            files.insert(path.clone(), bytes);
        }
    }
}

/// Files in memory, to be read only.
#[derive(Debug)]
struct MemoryFs {
    files: BTreeMap<PathBuf, Vec<u8>>,
}

fn read_only<T>() -> Result<T> {
    Err(Error::from(ErrorKind::ReadOnlyFilesystem))
}

impl Fs for MemoryFs {
    fn create_dir_all(&self, _: &Path) -> Result<()> {
        read_only()
    }

    fn write_new(&self, _: &Path, _: &[u8]) -> Result<()> {
        read_only()
    }

    fn sync_file(&self, _: &Path) -> Result<()> {
        read_only()
    }

    fn sync_dir(&self, _: &Path) -> Result<()> {
        read_only()
    }

    fn sync_all(&self, _: &[PathBuf], _: &[PathBuf]) -> std::result::Result<(), SyncError> {
        Ok(())
    }

    fn rename(&self, _: &Path, _: &Path) -> Result<()> {
        read_only()
    }

    fn remove_dir_all(&self, _: &Path) -> Result<()> {
        read_only()
    }

    fn remove_file(&self, _: &Path) -> Result<()> {
        read_only()
    }

    fn free_space(&self, _: &Path) -> Result<Option<u64>> {
        Ok(None)
    }

    fn read(&self, path: &Path, max_len: u64) -> Result<Vec<u8>> {
        let bytes = self.files.get(path).ok_or(ErrorKind::NotFound)?;
        if bytes.len() as u64 > max_len { Err(ErrorKind::InvalidData.into()) } else { Ok(bytes.clone()) }
    }

    fn list_dir(&self, path: &Path) -> Result<Vec<String>> {
        let below = self.files.keys().filter_map(|file| file.strip_prefix(path).ok()?.components().next());
        let mut names: Vec<String> =
            below.filter_map(|name| name.as_os_str().to_str().map(str::to_owned)).collect();
        names.dedup();
        Ok(names)
    }

    fn kind(&self, path: &Path) -> Result<Kind> {
        if let Some(bytes) = self.files.get(path) {
            return Ok(Kind::File(bytes.len() as u64));
        }
        let is_directory = self.files.keys().any(|file| file.starts_with(path));
        Ok(if is_directory { Kind::Directory } else { Kind::Absent })
    }
}
