//! Commands that are printed to be copied into a shell.

use std::path::Path;

/// A path as one word of a POSIX shell: in quotes where it has to be.
pub(crate) fn word(path: &Path) -> String {
    let shown = path.display().to_string();
    let text = if shown.starts_with('-') { format!("./{shown}") } else { shown };
    let is_plain = |letter: char| letter.is_alphanumeric() || "_-./,:@%+=".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_read_otherwise_is_quoted() {
        let of = |path: &str| word(Path::new(path));
        assert_eq!(of("runs/PPO_CartPole-v1_2026-01-01_3"), "runs/PPO_CartPole-v1_2026-01-01_3");
        assert_eq!(of("my runs/a"), "'my runs/a'");
        assert_eq!(of("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(of("~/a"), "'~/a'");
        assert_eq!(of("-x"), "./-x");
    }
}
