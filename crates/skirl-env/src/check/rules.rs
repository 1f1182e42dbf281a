//! The single checks.

use super::trace::{Moment, Player, compare, first_difference};
use super::{Check, CheckOptions, Finding};
use crate::column::{Column, column_muts, column_refs};
use crate::env::Env;
use crate::error::EnvError;
use crate::row::{Row, RowRef};
use crate::space::Space;
use crate::vector::check_finite;

/// Findings, or the one that makes further checks pointless.
type Outcome = Result<Vec<Finding>, Finding>;
type Rule = fn(&mut dyn Env, CheckOptions) -> Outcome;

pub(super) const ALL: [Rule; 9] = [
    unseeded_first_reset,
    values,
    unwritten,
    determinism,
    seeds,
    ends,
    step_after_end,
    invalid_actions,
    resume,
];

/// Most findings of one kind that are listed.
const MAX_LISTED: usize = 3;

pub(super) fn spaces(env: &mut dyn Env) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (what, space, again) in [
        ("observation", env.observation_space(), env.observation_space()),
        ("action", env.action_space(), env.action_space()),
    ] {
        if let Err(error) = space.validate() {
            findings.push(Finding::error(Check::Spaces, format!("the {what} space makes no sense: {error}")));
        } else if space != again {
            let message =
                format!("the {what} space changes from call to call: {space}, then {again}; it must stay");
            findings.push(Finding::error(Check::Spaces, message));
        } else if space.flat_width() == 0 {
            findings.push(Finding::error(Check::Spaces, format!("the {what} space {space} has no elements")));
        }
    }
    findings.extend(unbounded_actions(&env.action_space()));
    findings
}

fn unbounded_actions(space: &Space) -> Option<Finding> {
    let unbounded = space.leaves().into_iter().find(|leaf| {
        (0..leaf.size()).any(|index| leaf.bounds(index).0.is_infinite() || leaf.bounds(index).1.is_infinite())
    })?;
    let message = format!(
        "action leaf {} has no bounds: actions cannot be scaled to them; give the Box finite bounds if you can",
        unbounded.label()
    );
    Some(Finding::warning(Check::Spaces, message))
}

/// The very first reset may come without a seed.
fn unseeded_first_reset(env: &mut dyn Env, options: CheckOptions) -> Outcome {
    let mut player = Player::new(env, options.seed);
    player.reset(None)?;
    // Resets without steps between them are legal.
    (0..10).try_for_each(|_| player.reset(None).map(drop))?;
    Ok(Vec::new())
}

/// Observations and rewards of a long run.
fn values(env: &mut dyn Env, options: CheckOptions) -> Outcome {
    let space = env.observation_space();
    let run = Player::new(env, options.seed).run_from(options.seed, options.steps)?;
    let bad = run.iter().enumerate().filter_map(|(at, moment)| bad_value(&space, moment, at));
    Ok(bad.take(MAX_LISTED).collect())
}

/// The same run with buffers that hold zeros and with buffers that hold other bits.
fn unwritten(env: &mut dyn Env, options: CheckOptions) -> Outcome {
    let zeros = Player::new(env, options.seed).run_from(options.seed, options.steps)?;
    let again = Player::new(env, options.seed).run_from(options.seed, options.steps)?;
    if first_difference(&zeros, &again).is_some() {
        // Not about buffers: the rule on determinism reports it.
        return Ok(Vec::new());
    }
    // 0x01 in every byte is a legal value of every element type, `bool` included.
    let ones = Player::new(env, options.seed).with_fill(0x01).run_from(options.seed, options.steps)?;
    let message =
        "an observation depends on what its buffer held before: reset and step must write every element";
    Ok(compare(&zeros, &ones, Check::Unwritten, message).into_iter().collect())
}

fn bad_value(space: &Space, moment: &Moment, at: usize) -> Option<Finding> {
    let columns = column_refs(&moment.observation);
    let row = RowRef::new(columns.clone());
    let place = format!("after {at} resets and steps");
    if let Err(error) = check_finite(&space.leaves(), &row) {
        return Some(Finding::error(Check::Observations, format!("{error}, {place}")));
    }
    if let Err(error) = space.contains(&columns, 0) {
        let message =
            format!("observation outside its space: {error}, {place}; widen the space or fix the value");
        return Some(Finding::error(Check::Observations, message));
    }
    let reward = moment.step?.reward;
    if reward.is_finite() {
        return None;
    }
    Some(Finding::error(Check::Rewards, format!("reward is {reward}, expected a finite number, {place}")))
}

fn determinism(env: &mut dyn Env, options: CheckOptions) -> Outcome {
    let first = Player::new(env, options.seed).run_from(options.seed, options.steps)?;
    let second = Player::new(env, options.seed).run_from(options.seed, options.steps)?;
    let message = "the same seed and actions gave two different runs: draw all randomness from one generator \
                   that reset(Some(seed)) seeds, and let reset clear everything an episode leaves behind";
    Ok(compare(&first, &second, Check::Determinism, message).into_iter().collect())
}

/// Whether seeds matter, and whether unseeded resets go on with the generator.
fn seeds(env: &mut dyn Env, options: CheckOptions) -> Outcome {
    const STEPS: usize = 50;
    let base = Player::new(env, options.seed).run_from(options.seed, STEPS)?;
    for seed in 1..=10 {
        let other = Player::new(env, options.seed).run_from(options.seed.wrapping_add(seed), STEPS)?;
        if first_difference(&base, &other).is_some() {
            return unseeded_resets_differ(env, options);
        }
    }
    let message = "ten other seeds gave the same run; fine for an environment without randomness, otherwise \
                   reset(Some(seed)) ignores its seed";
    Ok(vec![Finding::warning(Check::Seeds, message)])
}

fn unseeded_resets_differ(env: &mut dyn Env, options: CheckOptions) -> Outcome {
    const EPISODES: usize = 20;
    const STEPS: usize = 20;
    let mut player = Player::new(env, options.seed);
    player.reset(Some(options.seed))?;
    let episode = |player: &mut Player<'_>| -> Result<Vec<Moment>, Finding> {
        // The same actions in each episode.
        player.rng = crate::seeding::Generator::seeded(options.seed);
        let mut moments = vec![player.reset(None)?];
        while moments.len() < STEPS && !player.ended {
            moments.push(player.step()?);
        }
        Ok(moments)
    };
    let first = episode(&mut player)?;
    for _ in 0..EPISODES {
        if first_difference(&first, &episode(&mut player)?).is_some() {
            return Ok(Vec::new());
        }
    }
    let message =
        "every reset(None) gave the same episode: it must go on with the generator, not seed it anew";
    Ok(vec![Finding::error(Check::UnseededReset, message)])
}

fn ends(env: &mut dyn Env, options: CheckOptions) -> Outcome {
    let run = Player::new(env, options.seed).run_from(options.seed, options.steps)?;
    if run.iter().any(|moment| moment.step.is_some_and(|step| step.ended())) {
        return Ok(Vec::new());
    }
    let message = format!(
        "no episode ended within {} random steps; register it with max_episode_steps if episodes can last for ever",
        options.steps
    );
    Ok(vec![Finding::warning(Check::Ends, message)])
}

fn step_after_end(env: &mut dyn Env, options: CheckOptions) -> Outcome {
    let mut player = Player::new(env, options.seed);
    player.reset(Some(options.seed))?;
    for _ in 0..options.steps {
        if player.ended {
            break;
        }
        player.step()?;
    }
    if !player.ended || player.step().is_err() {
        return Ok(Vec::new());
    }
    let message = "step after the end of an episode returned a value, expected an error; `make` adds this check \
                   to registered environments (wrappers::OrderEnforcing)";
    Ok(vec![Finding::warning(Check::StepAfterEnd, message)])
}

fn invalid_actions(env: &mut dyn Env, options: CheckOptions) -> Outcome {
    let Some(bad) = invalid_action(&env.action_space()) else { return Ok(Vec::new()) };
    Player::new(env, options.seed).reset(Some(options.seed))?;
    let mut observation = env.observation_space().columns(1);
    let bad = RowRef::new(column_refs(&bad));
    if env.step(&bad, &mut Row::new(column_muts(&mut observation))).is_err() {
        return Ok(Vec::new());
    }
    let message =
        format!("step accepted action {bad}, which is outside {}; expected an error", env.action_space());
    Ok(vec![Finding::warning(Check::InvalidActions, message)])
}

/// A row with a discrete value just beyond its range, or NaN in a box.
fn invalid_action(space: &Space) -> Option<Vec<Column>> {
    let mut columns = space.columns(1);
    let leaves = space.leaves();
    let (leaf, column) = leaves.iter().zip(&mut columns).next()?;
    match column {
        Column::I64(values) => *values.first_mut()? = leaf.bounds(0).1 as i64 + 1,
        Column::F32(values) => *values.first_mut()? = f32::NAN,
        Column::F64(values) => *values.first_mut()? = f64::NAN,
        _ => return None,
    }
    Some(columns)
}

/// Saves in the middle of a run, goes on, restores, and goes on again.
fn resume(env: &mut dyn Env, options: CheckOptions) -> Outcome {
    let steps = options.steps.min(500);
    let mut player = Player::new(env, options.seed);
    player.run_from(options.seed, 5)?;
    let Some(saved) = player.env.save_state() else {
        let message = "save_state returns nothing: a resumed run restarts this environment's episodes, so it will \
                       differ from an uninterrupted one";
        return Ok(vec![Finding::warning(Check::Resume, message)]);
    };
    let (rng, ended) = (player.rng.clone(), player.ended);
    let straight = player.run(steps)?;
    if let Err(error) = player.env.restore_state(&saved) {
        return Ok(vec![refused(&error)]);
    }
    (player.rng, player.ended) = (rng, ended);
    let resumed = match player.run(steps) {
        Ok(resumed) => resumed,
        Err(failed) => {
            let message = format!("after restore_state, a run that had succeeded failed: {}", failed.message);
            return Ok(vec![Finding::error(Check::Resume, message)]);
        }
    };
    let message = "a run restored from save_state went another way than the run it was saved from: save everything \
                   that step and reset read, the generator included";
    Ok(compare(&straight, &resumed, Check::Resume, message).into_iter().collect())
}

fn refused(error: &EnvError) -> Finding {
    Finding::error(Check::Resume, format!("restore_state refused what save_state gave: {error}"))
}
