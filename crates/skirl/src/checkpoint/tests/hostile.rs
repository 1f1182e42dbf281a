//! Checkpoints made to harm, with hashes that fit.

use std::path::Path;

use serde_json::{Value, json};

use super::*;

/// Rewrites the manifest and makes its hash fit again.
fn forge(root: &Path, change: impl FnOnce(&mut Value)) {
    let path = root.join(MANIFEST);
    let mut json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    json.as_object_mut().unwrap().shift_remove("manifest_blake3");
    change(&mut json);
    let text = format!("{json:#}");
    let body = format!("{},\n  \"manifest_blake3\": \"", text.strip_suffix("\n}").unwrap());
    let hash = blake3::hash(body.as_bytes()).to_hex();
    std::fs::write(&path, format!("{body}{hash}\"\n}}\n")).unwrap();
}

fn record(bytes: &[u8]) -> Value {
    json!({"len": bytes.len().to_string(), "blake3": blake3::hash(bytes).to_hex().to_string()})
}

fn saved(directory: &Path) -> std::path::PathBuf {
    save_to(&directory.join("checkpoint"), &snapshot(1)).unwrap()
}

#[test]
fn a_forged_manifest_with_no_change_loads() {
    let directory = tempfile::tempdir().unwrap();
    let root = saved(directory.path());
    forge(&root, |_| {});
    load(&root).unwrap();
}

#[test]
fn a_manifest_cannot_name_files_outside() {
    let directory = tempfile::tempdir().unwrap();
    let root = saved(directory.path());
    let secret = directory.path().join("secret.json");
    std::fs::write(&secret, "1").unwrap();
    let absolute = secret.to_str().unwrap().to_string();
    for name in [
        "../secret.json",
        "env_runner/../../secret.json",
        &absolute,
        "a\0.json",
        "a\\..\\b.json",
        ".hidden.json",
    ] {
        let clean = std::fs::read(root.join(MANIFEST)).unwrap();
        forge(&root, |json| json["files"][name] = record(b"1"));
        let error = load(&root).unwrap_err();
        assert!(matches!(error, CheckpointError::IllegalPath { .. }), "{name}: {error}");
        std::fs::write(root.join(MANIFEST), clean).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn links_are_not_followed() {
    use std::os::unix::fs::symlink;
    let directory = tempfile::tempdir().unwrap();
    let root = saved(directory.path());
    std::fs::create_dir(directory.path().join("outside")).unwrap();
    std::fs::write(directory.path().join("outside/secret.json"), "1").unwrap();
    symlink(directory.path().join("outside/secret.json"), root.join("file.json")).unwrap();
    symlink(directory.path().join("outside"), root.join("directory")).unwrap();
    let clean = std::fs::read(root.join(MANIFEST)).unwrap();
    for name in ["file.json", "directory/secret.json"] {
        std::fs::write(root.join(MANIFEST), &clean).unwrap();
        forge(&root, |json| json["files"][name] = record(b"1"));
        let error = load(&root).unwrap_err().to_string();
        assert!(error.contains("a link or device"), "{error}");
    }
    // The user's own path may be a link.
    std::fs::write(root.join(MANIFEST), &clean).unwrap();
    symlink(&root, directory.path().join("link")).unwrap();
    load(&directory.path().join("link")).unwrap();
}

#[test]
fn sizes_are_bounded_before_anything_is_allocated() {
    let directory = tempfile::tempdir().unwrap();
    let root = saved(directory.path());
    forge(&root, |json| json["files"][CONFIG]["len"] = json!("18446744073709551615"));
    assert!(matches!(load(&root).unwrap_err(), CheckpointError::TooLarge { .. }));
    forge(&root, |json| json["files"][CONFIG]["len"] = json!("60000000000"));
    assert!(load(&root).unwrap_err().to_string().contains("expected 60000000000 bytes"));
    std::fs::File::create(root.join(MANIFEST)).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(load(&root).unwrap_err(), CheckpointError::TooLarge { .. }));
}

#[test]
fn unknown_versions_name_their_writer() {
    let directory = tempfile::tempdir().unwrap();
    let root = saved(directory.path());
    forge(&root, |json| {
        json["format_version"] = json!(2);
        json["skirl_version"] = json!("9.8.7");
        json["new_field"] = json!("?");
    });
    let error = load(&root).unwrap_err().to_string();
    assert!(error.contains("checkpoint format 2, written by skirl 9.8.7"), "{error}");
    forge(&root, |json| {
        json["format_version"] = json!(1);
        json["new_field"] = json!("?");
    });
    assert!(load(&root).unwrap_err().to_string().contains("unknown field `new_field`"));
}

#[test]
fn hostile_safetensors_are_errors() {
    let directory = tempfile::tempdir().unwrap();
    let root = saved(directory.path());
    let name = module_file("default_policy", MODULE_STATE);
    let with_header =
        |header: &str, data: &[u8]| [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat();
    let cases = [
        ("header too long", [&u64::MAX.to_le_bytes()[..], b"{}"].concat()),
        ("header beyond the file", with_header("{}", b"")[..9].to_vec()),
        ("empty", Vec::new()),
        (
            "overflow",
            with_header(
                r#"{"w":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,4]}}"#,
                &[0; 4],
            ),
        ),
        (
            "shape beyond data",
            with_header(r#"{"w":{"dtype":"F32","shape":[1000],"data_offsets":[0,4]}}"#, &[0; 4]),
        ),
        ("hole", with_header(r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, &[0; 8])),
        ("rest", with_header(r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, &[0; 8])),
        ("type", with_header(r#"{"w":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}"#, &[0; 2])),
        ("flag", with_header(r#"{"w":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}"#, &[2])),
        (
            "NaN",
            with_header(r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, &f32::NAN.to_le_bytes()),
        ),
    ];
    for (what, bytes) in cases {
        std::fs::write(root.join(&name), &bytes).unwrap();
        forge(&root, |json| json["files"][&name] = record(&bytes));
        let error = load(&root).unwrap_err().to_string();
        assert!(error.contains(MODULE_STATE), "{what}: {error}");
    }
    let inspected = load_with(&root, LoadOptions { require_finite: false }).unwrap();
    assert!(inspected.snapshot.tensors(&name).unwrap().f32("w", &[1]).unwrap()[0].is_nan());
}

#[test]
fn deep_json_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let root = saved(directory.path());
    let bytes = "[".repeat(1_000_000).into_bytes();
    std::fs::write(root.join(CONFIG), &bytes).unwrap();
    forge(&root, |json| json["files"][CONFIG] = record(&bytes));
    assert!(load(&root).unwrap_err().to_string().contains(CONFIG));
    std::fs::write(root.join(MANIFEST), &bytes).unwrap();
    assert!(load(&root).unwrap_err().to_string().contains(MANIFEST));
}
