//! What ships: tuned configurations, by the names under which `skirl train` and `skirl example` find them, and programs in
//! Rust. A test compares both with the files that exist.

use std::path::Path;

use skirl::plan::tuned_configs;

/// A tuned configuration.
#[derive(Debug)]
pub(crate) struct Tuned {
    /// The shortest name that finds it: `cartpole`, or with its folder where another one has that name already.
    pub(crate) name: String,
    /// Its file in the repository.
    pub(crate) file: &'static str,
    /// The file's text.
    pub(crate) text: &'static str,
}

impl Tuned {
    /// Its first line, a comment that says what it does.
    pub(crate) fn summary(&self) -> &'static str {
        let first = self.text.lines().next().unwrap_or_default();
        first.trim_start_matches(['#', ' ']).trim_end_matches('.')
    }
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = Tuned> {
    tuned_configs().map(|(file, text)| Tuned { name: short_name(file), file, text })
}

/// The one of this name: `cartpole`, `cartpole.toml`, `ppo/cartpole`, `configs/ppo/cartpole.toml`.
pub(crate) fn find(name: &str) -> Option<Tuned> {
    all().find(|tuned| answers_to(tuned.file, name))
}

fn short_name(file: &str) -> String {
    let whole = without_ending(file);
    let starts = whole.rmatch_indices('/').map(|(at, _)| &whole[at + 1..]);
    let finds_it = |name: &&str| {
        tuned_configs().find(|(other, _)| answers_to(other, name)).is_some_and(|(first, _)| first == file)
    };
    starts.into_iter().find(finds_it).unwrap_or(whole).to_owned()
}

/// Whether a name is a file's path, or the end of it, with or without the ending.
fn answers_to(file: &str, name: &str) -> bool {
    let ends =
        |path: &str| path.strip_suffix(name).is_some_and(|head| head.is_empty() || head.ends_with('/'));
    !name.is_empty() && (ends(file) || ends(without_ending(file)))
}

fn without_ending(file: &str) -> &str {
    let ending = Path::new(file).extension().map_or(0, |ending| ending.len() + 1);
    &file[..file.len() - ending]
}

/// A program in `examples/rust/`.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// The first line of its documentation.
    pub(crate) summary: &'static str,
    /// How to run it in the repository.
    pub(crate) command: &'static str,
}

/// All of them, the simplest first.
pub(crate) const PROGRAMS: [Program; 8] = [
    Program {
        name: "train",
        summary: "The library in twenty lines; the README shows what follows the first blank line",
        command: "cargo run --release --example train",
    },
    Program {
        name: "corridor",
        summary: "An environment of your own in under 50 lines, in the same command as the ones that come with skirl",
        command: "cargo run --release --example corridor -- train --run=PPO --env=Corridor-v0",
    },
    Program {
        name: "own_middleware",
        summary: "Own middlewares on own slots: an ε-greedy bandit in four stages, two of them running side by side",
        command: "cargo run --release -p skirl --example own_middleware",
    },
    Program {
        name: "callbacks",
        summary: "Callbacks: a metric of each episode, a key of one's own in the results, and a stop criterion on it",
        command: "cargo run --release -p skirl --example callbacks",
    },
    Program {
        name: "trajectory",
        summary: "Rewriting trajectories: a late reward is spread over the steps that earned it, and looking around is paid for",
        command: "cargo run --release -p skirl --example trajectory",
    },
    Program {
        name: "curriculum",
        summary: "A curriculum, from a training loop and from a callback: the corridor grows as the agent learns to walk it",
        command: "cargo run --release -p skirl --example curriculum",
    },
    Program {
        name: "custom_evaluation",
        summary: "An own evaluation function: how far does the policy carry a pole that starts tilted?",
        command: "cargo run --release -p skirl --example custom_evaluation",
    },
    Program {
        name: "shared_counter",
        summary: "Counters that all environments share, and that the training loop reads and writes: a mine with ore for all miners",
        command: "cargo run --release -p skirl --example shared_counter",
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;

    fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// Files under a folder of the repository with this ending, by their path in it.
    fn files(folder: &str, ending: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in repository().join(&folder).read_dir().expect("folder").flatten() {
                let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
                match entry.path().is_dir() {
                    true => folders.push(path),
                    false if path.ends_with(ending) => drop(found.insert(path)),
                    false => {}
                }
            }
        }
        found
    }

    #[test]
    fn every_configuration_in_the_repository_ships_under_a_name_that_finds_it() {
        let listed: BTreeSet<String> = all().map(|tuned| tuned.file.to_owned()).collect();
        assert_eq!(listed, files("configs", ".toml"), "list it in crates/skirl/src/plan/tuned.rs");
        for tuned in all() {
            for name in [&tuned.name, tuned.file, without_ending(tuned.file)] {
                assert_eq!(find(name).expect("found").file, tuned.file, "{name}");
            }
            assert!(tuned.summary().len() > 20, "{}: the first line says what it does", tuned.file);
            let text = std::fs::read_to_string(repository().join(tuned.file)).expect("file");
            assert_eq!(text, tuned.text);
        }
        assert_eq!(find("cartpole").map(|tuned| tuned.file), Some("configs/ppo/cartpole.toml"));
        for wrong in ["", "/", "pole", "toml", "artpole.toml", "cartpole.yaml"] {
            assert!(find(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn every_program_in_the_repository_is_listed_with_what_its_head_says() {
        let listed: BTreeSet<String> =
            PROGRAMS.iter().map(|program| format!("examples/rust/{}.rs", program.name)).collect();
        let why = "list it in PROGRAMS, crates/skirl-cli/src/examples.rs";
        assert_eq!(listed, files("examples/rust", ".rs"), "{why}");
        for program in &PROGRAMS {
            let path = repository().join(format!("examples/rust/{}.rs", program.name));
            let text = std::fs::read_to_string(path).expect("file");
            let head: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
            let first = head[0].trim_start_matches("//! ").trim_end_matches(['.', ':']);
            assert_eq!(first, program.summary, "{}: {why}", program.name);
            assert!(head.concat().contains(program.command), "{}: {why}", program.name);
        }
    }
}
