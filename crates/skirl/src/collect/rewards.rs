//! Reward connectors: what the learner sees of a reward. Episode statistics keep the raw one.

/// Clipping of rewards (RLlib: `clip_rewards`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RewardClip {
    /// Rewards as they come.
    Off,
    /// The sign only (RLlib: `True`).
    Sign,
    /// Into `[-bound, bound]` (RLlib: a number).
    Bound(f64),
}

/// Scales, then clips.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RewardConnector {
    /// Factor.
    pub scale: f64,
    /// Clipping after scaling.
    pub clip: RewardClip,
}

impl RewardConnector {
    /// The reward that is trained on.
    pub fn apply(&self, reward: f64) -> f32 {
        let scaled = reward * self.scale;
        match self.clip {
            RewardClip::Off => scaled as f32,
            RewardClip::Sign if scaled == 0.0 => 0.0,
            RewardClip::Sign => scaled.signum() as f32,
            RewardClip::Bound(bound) => scaled.clamp(-bound, bound) as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_comes_before_the_clip() {
        let connector = RewardConnector { scale: 0.1, clip: RewardClip::Bound(1.0) };
        assert_eq!(connector.apply(5.0), 0.5);
        assert_eq!(connector.apply(-50.0), -1.0);
        let sign = RewardConnector { scale: 1.0, clip: RewardClip::Sign };
        assert_eq!([sign.apply(-3.0), sign.apply(0.0), sign.apply(0.2)], [-1.0, 0.0, 1.0]);
    }
}
