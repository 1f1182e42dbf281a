//! What the fuzz targets in `fuzz/` run, and what the tests run over their corpus: any bytes must give a value or an error,
//! never a panic, a hang or memory out of proportion.

use std::path::Path;

use serde_json::Value;
use skirl_env::Space;

pub use crate::checkpoint::fuzzing::{base_files, checkpoint};
use crate::config::{self, FileFormat};

/// A configuration file: the first byte chooses TOML, YAML or JSON, the rest is the text.
///
/// What is read must survive being written and read again.
pub fn config(input: &[u8]) {
    let Some((format, text)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let (format, name) = match format % 3 {
        0 => (FileFormat::Toml, "fuzz.toml"),
        1 => (FileFormat::Yaml, "fuzz.yaml"),
        _ => (FileFormat::Json, "fuzz.json"),
    };
    match config::load_text(text, format, Path::new(name)) {
        Ok(config) => {
            if let Err(errors) = config.validate() {
                assert!(!errors.to_string().is_empty());
            }
            let document = config.to_value();
            match config::from_value(&document) {
                Ok(again) => assert_eq!(again.to_value(), document, "written and read again"),
                // Ranges are checked by `validate`, which has refused the same value above.
                Err(errors) => assert!(config.validate().is_err(), "{errors}"),
            }
        }
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
}

/// The JSON form of a space. What is read must be the same when it is written and read again.
pub fn space(input: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(input) else { return };
    match Space::from_json(&value) {
        // Millions of bounds are read once, in bounded time; again would only make the fuzzer slow.
        Ok(space) if space.flat_width() > 1 << 16 => {}
        Ok(space) => {
            let json = space.to_json();
            let again = Space::from_json(&json).map_err(|error| error.to_string());
            assert_eq!(again.as_ref(), Ok(&space), "{json}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    fn corpus(target: &str) -> Vec<PathBuf> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        // The published package has no corpus.
        let Ok(entries) = std::fs::read_dir(&directory) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        assert!(paths.len() >= 5, "{} has {} files", directory.display(), paths.len());
        paths
    }

    use super::*;

    fn run(target: &str, function: fn(&[u8])) {
        for path in corpus(target) {
            // Shown only when the test fails: which file it was.
            println!("{}", path.display());
            function(&std::fs::read(path).unwrap());
        }
    }

    #[test]
    fn corpus_of_the_checkpoint_target() {
        run("checkpoint", checkpoint);
    }

    #[test]
    fn corpus_of_the_config_target() {
        run("config", config);
    }

    #[test]
    fn corpus_of_the_space_target() {
        run("space", space);
    }

    /// `SKIRL_WRITE_CORPUS=1 cargo test -p skirl seeds_of_the_checkpoint` writes each file of the base checkpoint as a seed,
    /// once after its layout has changed.
    #[test]
    fn seeds_of_the_checkpoint_target_are_those_of_this_layout() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/checkpoint");
        let write = std::env::var_os("SKIRL_WRITE_CORPUS").is_some();
        for (index, (name, bytes)) in base_files().into_iter().enumerate() {
            let seed = [&[0b11, index as u8], bytes.as_slice()].concat();
            checkpoint(&seed);
            if write {
                std::fs::write(directory.join(format!("seed-{}", name.replace('/', "-"))), &seed).unwrap();
            }
        }
    }
}
