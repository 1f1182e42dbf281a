use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::*;

fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        if path.is_dir() {
            files.extend(tree(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else {
            files.insert(name, std::fs::read(&path).unwrap());
        }
    }
    files
}

#[test]
fn save_load_save_gives_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let first = save(directory.path(), &step_name(4000), &snapshot(4000)).unwrap();
    assert!(first.ends_with("step-000000004000"));
    let loaded = load(&first).unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!(loaded.skirl_version, env!("CARGO_PKG_VERSION"));
    assert_eq!(loaded.snapshot.manifest, snapshot(4000).manifest);
    let second = save_to(&directory.path().join("again"), &loaded.snapshot).unwrap();
    assert_eq!(tree(&first), tree(&second));
    assert_eq!(tree(&first), bytes_of(&snapshot(4000)));
}

#[test]
fn tensors_are_read_with_type_and_shape() {
    let snapshot = snapshot(1);
    let path = module_file("default_policy", MODULE_STATE);
    let weights = snapshot.tensors(&path).unwrap();
    assert_eq!(weights.f32("actor.weight", &[2, 2]).unwrap(), [0.1, -0.0, 1e-40, 1.0]);
    let error = weights.f32("actor.weight", &[4]).unwrap_err().to_string();
    assert!(error.contains("should be F32[4], but is F32[2, 2]") && error.contains(&path), "{error}");
    let error = weights.f64("actor.bias", &[1]).unwrap_err().to_string();
    assert!(error.contains("should be F64[1], but is F32[1]"), "{error}");
    let error = weights.f32("critic.weight", &[1]).unwrap_err().to_string();
    assert!(error.contains("`critic.weight`; it has `actor.bias`, `actor.weight`"), "{error}");
    let error = snapshot.tensors(OPTIMIZER_TENSORS).unwrap_err().to_string();
    assert!(error.contains(OPTIMIZER_TENSORS) && error.contains(&path), "{error}");
    assert!(snapshot.tensors(CONFIG).unwrap_err().to_string().contains("expected tensors, found JSON"));
    assert_eq!(snapshot.json(CONFIG).unwrap()["lr"], json!(3e-4));
    assert_eq!(snapshot.module_ids(), ["default_policy"]);
}

#[test]
fn other_algorithms_and_spaces_are_refused() {
    let info = snapshot(1).manifest;
    info.check_algorithm("PPO").unwrap();
    let error = info.check_algorithm("DQN").unwrap_err().to_string();
    assert!(error.contains("this is a PPO checkpoint") && error.contains("DQN"), "{error}");
    assert_eq!(info.isa_warning("portable"), None);
    assert!(
        info.isa_warning("avx512").unwrap().contains("computed with `portable`, this process uses `avx512`")
    );
    info.check_spaces(&info.spaces).unwrap();
    let mut spaces = info.spaces.clone();
    spaces.get_mut("default_policy").unwrap().action = json!({"n": 3});
    let error = info.check_spaces(&spaces).unwrap_err().to_string();
    assert!(
        error.contains(r#"action space of module `default_policy` differs: the environment has {"n":3}"#),
        "{error}"
    );
    let error = info.check_spaces(&BTreeMap::new()).unwrap_err().to_string();
    assert!(error.contains("the environment has no such module"), "{error}");
}

#[test]
fn latest_is_followed_from_anywhere() {
    let run = tempfile::tempdir().unwrap();
    let parent = run.path().join("checkpoints");
    for steps in [2, 10] {
        save(&parent, &step_name(steps), &snapshot(steps)).unwrap();
    }
    assert_eq!(std::fs::read_to_string(parent.join("LATEST")).unwrap(), "step-000000000010\n");
    for path in [run.path(), &parent, &parent.join("step-000000000010")] {
        let loaded = load(path).unwrap();
        assert_eq!(loaded.snapshot.manifest, snapshot(10).manifest, "{}", path.display());
        assert_eq!(loaded.warnings, Vec::<String>::new());
    }
    assert_eq!(load(&parent.join("step-000000000002")).unwrap().snapshot.manifest, snapshot(2).manifest);
    let listed = list(&parent).unwrap();
    let names: Vec<_> = listed.iter().map(|entry| (entry.name.as_str(), entry.is_latest)).collect();
    assert_eq!(names, [("step-000000000002", false), ("step-000000000010", true)]);
}

#[test]
fn a_damaged_newest_falls_back_loudly() {
    let directory = tempfile::tempdir().unwrap();
    let parent = directory.path();
    for steps in [1, 2, 3] {
        save(parent, &step_name(steps), &snapshot(steps)).unwrap();
    }
    let damaged = parent.join(step_name(3)).join(module_file("default_policy", MODULE_STATE));
    std::fs::write(&damaged, b"short").unwrap();
    let loaded = load(parent).unwrap();
    assert_eq!(loaded.snapshot.manifest, snapshot(2).manifest);
    let text = loaded.warnings.join("\n");
    assert!(text.contains(damaged.to_str().unwrap()) && text.contains("instead"), "{text}");
    // Named directly, it is refused.
    assert!(load(&parent.join(step_name(3))).is_err());
    for steps in [1, 2] {
        std::fs::remove_file(parent.join(step_name(steps)).join(CONFIG)).unwrap();
    }
    let error = load(parent).unwrap_err();
    assert!(matches!(&error, CheckpointError::NoneUsable { failures, .. } if failures.len() == 3), "{error}");
}

#[test]
fn a_lost_or_wrong_latest_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let parent = directory.path();
    save(parent, &step_name(1), &snapshot(1)).unwrap();
    for (content, expected) in
        [("step-9", "names `step-9`, which does not exist"), ("../x", "is damaged"), ("", "is damaged")]
    {
        std::fs::write(parent.join("LATEST"), content).unwrap();
        let loaded = load(parent).unwrap();
        assert!(loaded.warnings[0].contains(expected), "{:?}", loaded.warnings);
    }
    std::fs::remove_file(parent.join("LATEST")).unwrap();
    assert!(load(parent).unwrap().warnings[0].contains("has no `LATEST`"));
}

#[test]
fn a_component_loads_alone_and_after_a_copy() {
    let directory = tempfile::tempdir().unwrap();
    let root = save(directory.path(), "best", &snapshot(5)).unwrap();
    let module = root.join(RL_MODULE_DIRECTORY).join("default_policy");
    let component = load_component(&module).unwrap();
    assert_eq!(component.component, "learner_group/learner/rl_module/default_policy");
    assert_eq!(component.manifest.algorithm, "PPO");
    assert_eq!(component.files.keys().collect::<Vec<_>>(), [MODULE_SPEC, MODULE_STATE]);
    component.tensors(MODULE_STATE).unwrap().f32("actor.bias", &[1]).unwrap();

    let copy = directory.path().join("elsewhere");
    std::fs::create_dir(&copy).unwrap();
    for name in [MODULE_SPEC, MODULE_STATE, COMPONENT_MANIFEST] {
        std::fs::copy(module.join(name), copy.join(name)).unwrap();
    }
    assert_eq!(load_component(&copy).unwrap(), component);
    std::fs::write(copy.join(MODULE_SPEC), "{}").unwrap();
    assert!(load_component(&copy).is_err());

    // Without a manifest of its own, by that of the checkpoint.
    let group = load_component(&root.join("learner_group")).unwrap();
    assert!(group.files.contains_key("learner/rl_module/default_policy/module.json"));
    assert!(load_component(directory.path()).is_err());
}

#[test]
fn pruning_keeps_the_newest_and_what_latest_names() {
    let directory = tempfile::tempdir().unwrap();
    let parent = directory.path();
    save(parent, "best", &snapshot(0)).unwrap();
    for steps in 1..=5 {
        save(parent, &step_name(steps), &snapshot(steps)).unwrap();
    }
    std::fs::write(parent.join("LATEST"), step_name(2)).unwrap();
    let removed = prune(parent, 2).unwrap();
    assert_eq!(removed, [parent.join(step_name(1)), parent.join(step_name(3))]);
    let names: Vec<_> = list(parent).unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["best".to_string(), step_name(2), step_name(4), step_name(5)]);
    assert!(prune(parent, 0).unwrap().is_empty(), "two stay, and what LATEST names");
}

#[test]
fn only_checkpoints_are_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("thesis");
    std::fs::create_dir(&path).unwrap();
    save_to(&path, &snapshot(1)).unwrap();
    save_to(&path, &snapshot(2)).unwrap();
    assert_eq!(load(&path).unwrap().snapshot.manifest, snapshot(2).manifest);
    std::fs::remove_file(path.join(MANIFEST)).unwrap();
    let error = save_to(&path, &snapshot(3)).unwrap_err().to_string();
    assert!(error.contains("is not a checkpoint") && error.contains("thesis"), "{error}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn an_interrupted_replacement_loads_the_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mine");
    save_to(&path, &snapshot(1)).unwrap();
    std::fs::rename(&path, directory.path().join(".replaced-mine")).unwrap();
    let loaded = load(&path).unwrap();
    assert_eq!(loaded.snapshot.manifest, snapshot(1).manifest);
    assert!(loaded.warnings[0].contains("interrupted"));
}

#[test]
fn what_cannot_be_loaded_is_not_saved() {
    let directory = tempfile::tempdir().unwrap();
    let mut broken = snapshot(1);
    let path = module_file("default_policy", MODULE_STATE);
    broken.put_tensors(&path, Tensors::from([("w".into(), Tensor::vector(vec![0.0_f32, f32::NAN]))]));
    let error = save(directory.path(), "x", &broken).unwrap_err().to_string();
    assert!(error.contains("tensor `w` holds NaN at index 1") && error.contains(&path), "{error}");

    let mut snapshot = snapshot(1);
    for bad in ["../x.json", "/x.json", "a.pkl", "manifest.json", "env_runner/component.json"] {
        let mut hostile = snapshot.clone();
        hostile.put_json(bad, json!(1));
        let error = save(directory.path(), "x", &hostile).unwrap_err().to_string();
        assert!(error.contains(bad), "{error}");
    }
    for bad in ["../x", "", ".tmp-x", "LATEST", "a/b"] {
        assert!(save(directory.path(), bad, &snapshot).is_err(), "{bad}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);

    // Deeper than any JSON reader goes: found by the read-back, before LATEST.
    save(directory.path(), "good", &snapshot).unwrap();
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    snapshot.put_json("deep.json", deep);
    assert!(save(directory.path(), "deep", &snapshot).is_err());
    assert!(load(directory.path()).unwrap().path.ends_with("good"));
}
