//! Running metrics that outlive an iteration: episode statistics and rates. Their state is JSON, for exact resume.

mod custom_metrics;
mod episode_metrics;
mod episode_window;
mod throughput;

pub use custom_metrics::CustomMetrics;
pub use episode_metrics::EpisodeMetrics;
pub use episode_window::{EpisodeRecord, EpisodeWindow};
pub use throughput::Throughput;

/// JSON form of a `u64` as a decimal string, as numbers above 2⁵³ are not safe in every JSON reader.
/// For `#[serde(with = "…")]`.
pub mod u64_string {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the decimal string.
    pub fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    /// Reads the decimal string.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|_| D::Error::custom(format!("expected a count as a decimal string, found `{text}`")))
    }
}
