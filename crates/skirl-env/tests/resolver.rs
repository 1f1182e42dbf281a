//! Names that are not registered are asked of the resolver. One test, as there is one resolver in a process.

use std::fmt;

use skirl_env::registry::{Resolved, set_resolver, spec};
use skirl_env::{EnvContext, EnvError, EnvSpec, make, make_vec};

#[derive(Debug)]
struct Elsewhere(u32);

impl fmt::Display for Elsewhere {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "error {} of elsewhere", self.0)
    }
}

impl std::error::Error for Elsewhere {}

fn resolve(name: &str) -> Result<Resolved, EnvError> {
    match name {
        "far:CartPole" => Ok(Resolved::Spec(Box::new(
            EnvSpec::vector(|context, num_envs, limit| {
                assert_eq!(limit, None, "one environment gets its limit from the caller");
                make_vec(
                    "CartPole-v1",
                    num_envs,
                    &EnvContext { env_config: serde_json::Map::new(), ..context.clone() },
                )
            })
            .one_shard(),
        ))),
        "far:Broken" => Err(EnvError::foreign("it broke", Elsewhere(7))),
        _ => Ok(Resolved::Unknown(vec!["far:CartPole".to_owned(), "CartPole-v1".to_owned()])),
    }
}

#[test]
fn unknown_names_are_asked_of_the_resolver() {
    set_resolver(resolve);
    assert!(spec("far:CartPole").unwrap().one_shard);
    assert!(!spec("CartPole-v1").unwrap().one_shard, "what is registered comes first");

    // A single environment made of the form for many steps as the native one does.
    let (mut far, mut near) = (make("far:CartPole").unwrap(), make("CartPole-v1").unwrap());
    let play = |env: &mut Box<dyn skirl_env::Env>| {
        let mut seen = vec![0.0_f32; 4];
        let mut row = skirl_env::Row::new(vec![skirl_env::ColumnMut::F32(&mut seen)]);
        env.reset(Some(3), &mut row).unwrap();
        let step =
            env.step(&skirl_env::RowRef::new(vec![skirl_env::ColumnRef::I64(&[1])]), &mut row).unwrap();
        (seen, step)
    };
    assert_eq!(play(&mut far), play(&mut near));

    let Err(EnvError::Foreign { source, .. }) = spec("far:Broken") else { panic!("expected its own error") };
    assert_eq!(source.downcast_ref::<Elsewhere>().unwrap().0, 7);

    let text = spec("far:CartPoles").unwrap_err().to_string();
    assert!(text.contains("did you mean `far:CartPole`"), "{text}");
    let text = spec("CartPole-v7").unwrap_err().to_string();
    assert_eq!(text.matches("CartPole-v1").count(), 1, "each name once: {text}");
}
