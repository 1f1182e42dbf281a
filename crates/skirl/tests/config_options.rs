//! Every option at once: each refuses what it must, survives a round trip, and appears in schema, help and documentation.
#![allow(clippy::expect_used, clippy::panic, reason = "a test may stop at once")]

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use skirl::config::{self, AlgorithmConfig, Bounds, OptionSpec, PpoConfig, load_text};

fn ppo() -> PpoConfig {
    PpoConfig::new().environment("CartPole-v1")
}

fn specs() -> Vec<&'static OptionSpec> {
    ppo().specs()
}

/// Values that an option must refuse, made from its definition.
fn wrong_values(spec: &OptionSpec, offset: f64) -> Vec<Value> {
    let kind = spec.type_name();
    let mut wrong = vec![json!({"no": {"such": "thing"}})];
    if kind.starts_with("map") || kind.starts_with("list of names") {
        wrong = vec![json!(7), json!({"key": 7}), json!("word")];
        if spec.name == "env_config" {
            wrong.remove(1);
        }
        return wrong;
    }
    let numeric = kind.contains("number") || kind.contains("integer");
    if numeric {
        wrong.extend([json!("nan"), json!("inf"), json!("fast")]);
        wrong.extend(outside(&spec.bounds, offset).into_iter().map(|number| shaped(spec, number)));
    }
    if kind.contains("integer") {
        wrong.extend(
            [json!(1.5), json!(1e30), json!(-1)]
                .map(|number| if kind.contains("list") { json!([number]) } else { number }),
        );
    }
    if !kind.contains("none") && spec.name != "fcnet_kernel_initializer" && spec.name != "clip_rewards" {
        wrong.push(Value::Null);
    }
    if !numeric && !kind.contains("true") {
        wrong.push(json!(3));
    }
    if !spec.choices.is_empty() {
        wrong.push(json!("no such word"));
    }
    if kind == "true or false" {
        wrong.extend([json!(1), json!("true")]);
    }
    wrong
}

/// Numbers below and above the bounds.
fn outside(bounds: &Bounds, offset: f64) -> Vec<f64> {
    let below = bounds.min.map(|min| min - offset);
    let above = bounds.max.map(|max| max + offset);
    let edges = [bounds.min.filter(|_| bounds.min_exclusive), bounds.max.filter(|_| bounds.max_exclusive)];
    // Beyond 2^64 an offset vanishes in rounding; `integer overflow` covers that side.
    let outside = |number: &f64| !bounds.contains(*number);
    [below, above].into_iter().chain(edges).flatten().filter(outside).collect()
}

/// The number in the form that the option takes.
fn shaped(spec: &OptionSpec, number: f64) -> Value {
    let number =
        if number.fract() == 0.0 && number.abs() < 9e15 { json!(number as i64) } else { json!(number) };
    match spec.type_name().as_str() {
        "list of 2 numbers" => json!([0.5, number]),
        kind if kind.starts_with("list") => json!([8, number]),
        _ => number,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_option_refuses_what_it_must(offset in prop_oneof![Just(1.0), 1e-6..1e6]) {
        for spec in specs() {
            for wrong in wrong_values(spec, if spec.type_name().contains("integer") { f64::ceil(offset) } else { offset }) {
                let mut config = ppo();
                let before = config.clone();
                let errors = config.apply(&spec.path(), &wrong);
                prop_assert!(errors.is_err(), "{} accepts {wrong}", spec.path());
                let errors = errors.unwrap_err();
                prop_assert!(errors.0.iter().all(|error| error.path.starts_with(&spec.path())), "{}: {errors}", spec.path());
                prop_assert_eq!(&config, &before, "{} changed by {}", spec.path(), wrong);
            }
        }
    }

    #[test]
    fn sound_values_survive_a_round_trip(
        gamma in 0.0..=1.0f64, lr in 0.0..1.0f64, steps in 1u64..u64::MAX, batch in 200usize..1_000_000,
        seed in any::<u64>(), hiddens in prop::collection::vec(1usize..512, 0..4), explore in any::<bool>(),
    ) {
        let config = ppo()
            .training(|t| t.gamma(gamma).lr([(0, lr), (steps, 0.0)]).train_batch_size(batch))
            .rl_module(|m| m.fcnet_hiddens(hiddens))
            .env_runners(|o| o.explore(explore))
            .debugging(|d| d.seed(seed));
        prop_assert_eq!(config.validate(), Ok(()));
        let text = config.to_value().to_string();
        let back = load_text(&text, config::FileFormat::Json, Path::new("x.json"));
        let back = back.map(|back| back.as_any().downcast_ref::<PpoConfig>().cloned());
        prop_assert_eq!(back, Ok(Some(config)));
    }
}

#[test]
fn every_section_reads_its_own_nan_from_toml() {
    for spec in specs().into_iter().filter(|spec| spec.type_name() == "number") {
        let text = format!("run = \"PPO\"\n[{}]\n{} = nan\n", spec.section, spec.name);
        let errors = load_text(&text, config::FileFormat::Toml, Path::new("x.toml")).expect_err("refused");
        assert!(errors.concerns(&spec.path()), "{errors}");
        assert!(errors.to_string().contains("at: x.toml:3:1"), "{errors}");
    }
}

#[test]
fn defaults_are_in_range_and_the_configuration_holds_every_option() {
    let config = ppo();
    assert_eq!(config.validate(), Ok(()));
    let value = config.to_value();
    for spec in specs() {
        let pointer = format!("/{}", spec.path().replace('.', "/"));
        assert_eq!(value.pointer(&pointer), config.get(&spec.path()).as_ref(), "{pointer}");
        let mut copy = config.clone();
        assert_eq!(copy.apply(&spec.path(), &config.get(&spec.path()).expect("value")), Ok(()), "{pointer}");
        assert_eq!(copy, config);
    }
}

#[test]
fn the_defaults_of_every_algorithm_hold_and_survive_a_round_trip() {
    for algorithm in config::algorithms() {
        let mut config = config::for_algorithm(algorithm.name).expect("served");
        assert_eq!(config.algorithm(), algorithm.name);
        config.common_mut().environment.env = Some("CartPole-v1".to_owned());
        assert_eq!(config.validate(), Ok(()), "{}", algorithm.name);
        let again = config::from_value(&config.to_value()).expect("readable");
        assert_eq!((again.algorithm(), again.to_value()), (algorithm.name, config.to_value()));
        for spec in config.specs() {
            let value = config.get(&spec.path()).expect("value");
            assert_eq!(config.apply(&spec.path(), &value), Ok(()), "{}", spec.path());
        }
        assert_eq!(again.to_value(), config.to_value());
    }
}

#[test]
fn names_are_unique_over_sections_and_never_another_librarys() {
    let specs = specs();
    let flat: Vec<&OptionSpec> = specs.iter().copied().filter(|spec| !spec.section.contains('.')).collect();
    let mut names: Vec<&str> =
        flat.iter().flat_map(|spec| spec.synonyms.iter().copied().chain([spec.name])).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "two options share a name");
    for (library, name) in specs.iter().flat_map(|spec| spec.called.iter()) {
        assert!(!names.contains(name) || *name == "deterministic", "{name} of {library} is also an option");
    }
}

#[test]
fn every_option_is_in_schema_help_and_documentation() {
    for algorithm in config::algorithms() {
        is_documented(algorithm.name);
    }
    assert!(
        config::help("PPO", Some("trainin"), 80)
            .expect_err("refused")
            .to_string()
            .contains("did you mean `training`?")
    );
}

fn is_documented(algorithm: &str) {
    let schema = config::json_schema(algorithm).expect("schema");
    let help = config::help(algorithm, None, 100).expect("help");
    let markdown = config::markdown(algorithm).expect("reference");
    for spec in config::for_algorithm(algorithm).expect("served").specs() {
        let pointer = format!(
            "/properties/{}/{}",
            spec.section.replace('.', "/properties/"),
            format_args!("properties/{}", spec.name)
        );
        let option = schema.pointer(&pointer).unwrap_or_else(|| panic!("{pointer}"));
        assert!(option.get("description").is_some() && option.get("default").is_some(), "{pointer}");
        assert!(help.contains(&format!("  {} = ", spec.name)), "{}", spec.name);
        assert!(markdown.contains(&format!("| `{}` |", spec.name)), "{}", spec.name);
        assert!(spec.doc.trim().ends_with('.'), "{}: the documentation is sentences", spec.path());
    }
}

/// `SKIRL_WRITE_DOCS=1 cargo test -p skirl --test config_options` writes the files anew.
#[test]
fn shipped_reference_and_schema_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let schema = |name: &str| {
        serde_json::to_string_pretty(&config::json_schema(name).expect("schema")).expect("text") + "\n"
    };
    let schemas = config::algorithms().iter().map(|algorithm| {
        (format!("docs/{}.schema.json", algorithm.name.to_lowercase()), schema(algorithm.name))
    });
    let reference = ("docs/configuration.md".to_owned(), config::reference().expect("reference"));
    for (name, text) in schemas.chain([reference]) {
        let path = root.join(&name);
        if std::env::var_os("SKIRL_WRITE_DOCS").is_some() {
            std::fs::create_dir_all(path.parent().expect("folder")).expect("folder");
            std::fs::write(&path, &text).expect("written");
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == text, "{name} is out of date: run with SKIRL_WRITE_DOCS=1");
    }
}

#[test]
fn an_empty_map_changes_nothing() {
    let mut config = ppo();
    assert_eq!(config.apply_json(&Value::Object(Map::new()), "--config"), Ok(()));
    assert_eq!(config, ppo());
}
