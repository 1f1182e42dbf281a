//! Flags of RLlib's commands that are called otherwise here.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// RLlib's spelling, and what to write here.
const FLAGS: [(&[&str], &str); 12] = [
    (&["--algo", "--algorithm", "-a", "-r"], "--run NAME"),
    (&["-e"], "--env NAME"),
    (&["-c"], "--config JSON"),
    (&["-s"], "--stop JSON"),
    (&["-f", "--config-file", "--file"], "FILE without a flag, for example `skirl train cartpole.toml`"),
    (&["--local-dir", "--local_dir", "--experiment-name", "-n"], "--output DIR"),
    (&["--restore"], "--resume DIR"),
    (&["--checkpoint-score-attr"], "--set checkpointing.checkpoint_score_attribute=METRIC"),
    (&["--keep-checkpoints-num"], "--set checkpointing.num_to_keep=N"),
    (&["--stop-iters"], "--stop '{\"training_iteration\": N}'"),
    (&["--stop-timesteps"], "--stop '{\"num_env_steps_sampled_lifetime\": N}'"),
    (&["--stop-reward"], "--stop '{\"env_runners/episode_return_mean\": N}'"),
];

/// What a checkpoint tells by itself.
const OF_CHECKPOINT: [&str; 6] = ["--run", "--algo", "--algorithm", "-r", "--env", "-e"];

/// What to say about a flag that is not there, when it is one of RLlib's.
pub(crate) fn hint(error: &clap::Error, command: Option<&str>) -> Option<String> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return None };
    let flag = flag.split('=').next().unwrap_or(flag);
    let help = match command? {
        "evaluate" if OF_CHECKPOINT.contains(&flag) => "leave it out: the checkpoint tells".to_owned(),
        "train" | "explain" => {
            let (_, ours) = FLAGS.iter().find(|(theirs, _)| theirs.contains(&flag))?;
            format!("RLlib's `{flag}` is written here as {ours}")
        }
        _ => return None,
    };
    Some(format!("there is no flag `{flag}`\n  help: {help}"))
}
