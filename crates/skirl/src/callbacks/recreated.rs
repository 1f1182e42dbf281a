//! Environment runners that took the place of failed ones.

/// Environment runners that were replaced, as [`on_env_runners_recreated`](super::Callbacks::on_env_runners_recreated)
/// is told of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecreatedRunners {
    /// Numbers of the runners, from 1, ascending; each once, also if it was replaced several times.
    pub env_runner_indices: Vec<usize>,
    /// Whether their environments are those of evaluation.
    pub is_evaluation: bool,
}

/// How often each runner had been replaced when callbacks were told last.
#[derive(Debug, Default)]
pub(crate) struct Told(Vec<u64>);

impl Told {
    /// The runners that were replaced since the last call, from how often each was until `now`.
    pub(crate) fn since(&mut self, now: Vec<u64>, is_evaluation: bool) -> Option<RecreatedRunners> {
        let before = std::mem::replace(&mut self.0, now);
        let old = before.iter().copied().chain(std::iter::repeat(0));
        let replaced = self.0.iter().zip(old).enumerate().filter(|(_, (now, before))| *now > before);
        let env_runner_indices: Vec<usize> = replaced.map(|(index, _)| index + 1).collect();
        (!env_runner_indices.is_empty()).then_some(RecreatedRunners { env_runner_indices, is_evaluation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_replaced_runner_is_told_once() {
        let mut told = Told::default();
        let mut indices = |now: &[u64]| told.since(now.to_vec(), false).map(|each| each.env_runner_indices);
        assert_eq!(indices(&[]), None);
        assert_eq!(indices(&[0, 0, 0]), None);
        assert_eq!(indices(&[0, 1, 0]), Some(vec![2]));
        assert_eq!(indices(&[0, 1, 0]), None);
        assert_eq!(indices(&[2, 1, 1]), Some(vec![1, 3]));
    }
}
