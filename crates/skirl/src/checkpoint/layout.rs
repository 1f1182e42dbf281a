//! Names of the files of a checkpoint, relative to its directory.

/// Manifest of a whole checkpoint.
pub const MANIFEST: &str = "manifest.json";
/// Manifest of one component directory.
pub const COMPONENT_MANIFEST: &str = "component.json";
/// Counters, schedules, random streams, metrics windows.
pub const ALGORITHM_STATE: &str = "algorithm_state.json";
/// Resolved configuration.
pub const CONFIG: &str = "config.json";
/// Counters, parameters and sums that the run shares, if there are any.
pub const SHARED_STATE: &str = "shared_state/state.json";
/// Tensors of the shared parameters.
pub const SHARED_STATE_TENSORS: &str = "shared_state/state.safetensors";
/// Small state of the runner.
pub const ENV_RUNNER_STATE: &str = "env_runner/state.json";
/// In-flight episodes, current observations, environment states.
pub const ENV_RUNNER_TENSORS: &str = "env_runner/state.safetensors";
/// Statistics of the observation normaliser.
pub const ENV_TO_MODULE_TENSORS: &str = "env_runner/env_to_module_connector/state.safetensors";
/// Small state of the learner.
pub const LEARNER_STATE: &str = "learner_group/learner/state.json";
/// Moments of the optimizer.
pub const OPTIMIZER_TENSORS: &str = "learner_group/learner/optimizer.safetensors";
/// Directory of the modules.
pub const RL_MODULE_DIRECTORY: &str = "learner_group/learner/rl_module";
/// Weights, inside a module's directory.
pub const MODULE_STATE: &str = "module_state.safetensors";
/// Spaces, model configuration and distribution, inside a module's directory: enough to rebuild it for inference.
pub const MODULE_SPEC: &str = "module.json";
/// An example input with its output, inside a module's directory: proves a load.
pub const MODULE_EXAMPLE: &str = "example.safetensors";

/// Longest directory name made from a module id, in bytes.
const MAX_MODULE_NAME_LEN: usize = 200;

/// Path of `file` in the directory of a module.
///
/// Ids are free text, so bytes other than ASCII letters, digits, `-`, `_` and inner `.` are written as `%XX`.
pub fn module_file(module_id: &str, file: &str) -> String {
    format!("{RL_MODULE_DIRECTORY}/{}/{file}", encode_module_id(module_id))
}

/// Ids of the modules among the paths of a checkpoint, in order.
pub fn module_ids<'a>(paths: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut ids: Vec<String> = paths
        .filter_map(|path| path.strip_prefix(RL_MODULE_DIRECTORY)?.strip_prefix('/')?.split_once('/'))
        .filter_map(|(directory, _)| decode_module_id(directory))
        .collect();
    ids.dedup();
    ids
}

fn encode_module_id(module_id: &str) -> String {
    let is_plain =
        |i, byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte) || (byte == b'.' && i > 0);
    let encode =
        |(i, byte)| if is_plain(i, byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let mut name: String = module_id.bytes().enumerate().map(encode).collect();
    if name.len() > MAX_MODULE_NAME_LEN {
        // Not decodable, but unique and a legal name; the id itself is in `module.json`.
        name = format!("%{}", blake3::hash(module_id.as_bytes()).to_hex());
    }
    name
}

fn decode_module_id(directory: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = directory.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let (digits, tail) = tail.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = tail;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_module_id_is_one_directory() {
        for id in ["default_policy", "team/1", "..", ".hidden", "a b", "ü%", "p.1"] {
            let path = module_file(id, MODULE_STATE);
            let name = path.split('/').nth(3).unwrap();
            assert_eq!(path.split('/').count(), 5, "{path}");
            assert!(!name.starts_with('.'), "{path}");
            assert_eq!(module_ids([path.clone()].iter()), [id]);
        }
        assert_eq!(module_file("default_policy", "x"), "learner_group/learner/rl_module/default_policy/x");
        assert!(module_file(&"a".repeat(1000), "x").len() < 255);
    }
}
