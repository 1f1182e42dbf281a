//! Options that are one word of a fixed set.

use serde_json::{Value, json};

use super::error::Problem;
use super::names::nearest;
use super::spec::Bounds;
use super::value::OptionValue;

/// Declares an enum whose variants are words in a configuration.
macro_rules! choices {
    ($($(#[doc = $doc:literal])+ pub enum $enum:ident {
        $($(#[doc = $variant_doc:literal])+ $variant:ident = $word:literal $(| $also:literal)*,)+
    })+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $enum {
            $($(#[doc = $variant_doc])+ $variant,)+
        }

        impl $enum {
            /// The word used in configurations.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl OptionValue for $enum {
            const CHOICES: &'static [&'static str] = &[$($word),+];

            fn type_name() -> String {
                "word".into()
            }

            fn from_value(value: &Value) -> Result<Self, Problem> {
                match value.as_str() {
                    $(Some($word $(| $also)*) => Ok(Self::$variant),)+
                    _ => Err(not_a_choice(value, Self::CHOICES)),
                }
            }

            fn to_value(&self) -> Value {
                json!(self.as_str())
            }

            fn schema(_: &Bounds) -> Value {
                json!({ "enum": Self::CHOICES })
            }
        }
    )+};
}

/// The problem of a word that is not in the set, with the nearest one.
pub(super) fn not_a_choice(value: &Value, choices: &[&str]) -> Problem {
    let list: Vec<String> = choices.iter().map(|choice| format!("\"{choice}\"")).collect();
    let problem = Problem::expected(&format!("one of {}", list.join(", ")), value);
    match value.as_str().and_then(|word| nearest(word, choices.iter().copied())) {
        Some(near) => problem.suggest(format!("did you mean \"{near}\"?")),
        None => problem,
    }
}

choices! {
    /// How rollouts are cut.
    pub enum BatchMode {
        /// Every environment contributes the same number of steps; running episodes are cut and continued in the next iteration.
        TruncateEpisodes = "truncate_episodes",
        /// A batch consists of whole episodes, of at least the train batch size together; running ones wait for the next batch.
        CompleteEpisodes = "complete_episodes",
    }

    /// What is done to observations before the network sees them.
    pub enum ObservationFilter {
        /// Nothing.
        NoFilter = "NoFilter",
        /// Subtract the running mean and divide by the running standard deviation.
        MeanStdFilter = "MeanStdFilter",
    }

    /// How gradients are clipped.
    pub enum GradClipBy {
        /// All gradients of a module are scaled so that their joint Euclidean norm is at most `grad_clip`.
        GlobalNorm = "global_norm",
        /// Each parameter tensor is scaled so that its own norm is at most `grad_clip`.
        Norm = "norm",
        /// Each number is clipped to ±`grad_clip`.
        Value = "value",
    }

    /// Over which rows advantages are brought to mean 0 and standard deviation 1.
    pub enum StandardizeAdvantages {
        /// Over the whole train batch, once (RLlib).
        Batch = "batch",
        /// Over each minibatch (SB3, CleanRL).
        Minibatch = "minibatch",
        /// Not at all.
        Off = "none",
    }

    /// The optimizer.
    pub enum OptimizerType {
        /// Adam (Kingma and Ba, 2015).
        Adam = "adam",
        /// Adam with decoupled weight decay (Loshchilov and Hutter, 2019).
        AdamW = "adamw",
        /// RMSprop (Tieleman and Hinton, 2012), PyTorch's form.
        RmsProp = "rmsprop",
        /// Stochastic gradient descent, with momentum if asked for.
        Sgd = "sgd",
    }

    /// Activation function of hidden layers.
    pub enum Activation {
        /// tanh(x)
        Tanh = "tanh",
        /// max(x, 0)
        Relu = "relu",
        /// x·σ(x), also called swish
        Silu = "silu" | "swish",
        /// x·Φ(x)
        Gelu = "gelu",
        /// x for x > 0, else exp(x) − 1
        Elu = "elu",
        /// x
        Linear = "linear",
    }

    /// Unit of `evaluation_duration`.
    pub enum DurationUnit {
        /// Finished episodes.
        Episodes = "episodes",
        /// Environment steps.
        Timesteps = "timesteps",
    }

    /// What counts as one step in batch sizes.
    pub enum CountStepsBy {
        /// One step of the environment, whatever the number of agents that act.
        EnvSteps = "env_steps",
        /// One step of one agent.
        AgentSteps = "agent_steps",
    }

    /// Which checkpoint is the best.
    pub enum ScoreOrder {
        /// The one with the largest score.
        Max = "max",
        /// The one with the smallest score.
        Min = "min",
    }

    /// How much is said beside results.
    pub enum LogLevel {
        /// The plan and the stages with all that they read and write.
        Debug = "DEBUG",
        /// The plan.
        Info = "INFO",
        /// Remarks.
        Warn = "WARN" | "WARNING",
        /// Errors only.
        Error = "ERROR",
    }
}

/// How the weights of a layer start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Initializer {
    /// PyTorch's `nn.Linear`, which RLlib's default network uses: weights and biases uniform in ±1/√fan_in
    /// (Kaiming uniform with a = √5).
    TorchDefault,
    /// Orthogonal matrix times the gain, biases 0 (Saxe et al., 2014); SB3's and CleanRL's choice for PPO.
    Orthogonal,
    /// Uniform in ±gain·√(6/(fan_in + fan_out)), biases 0 (Glorot and Bengio, 2010).
    XavierUniform,
    /// Normal with standard deviation gain·√(2/(fan_in + fan_out)), biases 0.
    XavierNormal,
    /// Uniform in ±√(6/fan_in), biases 0 (He et al., 2015).
    KaimingUniform,
    /// Normal with standard deviation √(2/fan_in), biases 0.
    KaimingNormal,
    /// Normal, each output's weights scaled to Euclidean norm = gain, biases 0 (RLlib's old default).
    Normc,
}

impl Initializer {
    const ALL: [(Self, &'static str); 7] = [
        (Self::TorchDefault, "torch_default"),
        (Self::Orthogonal, "orthogonal"),
        (Self::XavierUniform, "xavier_uniform"),
        (Self::XavierNormal, "xavier_normal"),
        (Self::KaimingUniform, "kaiming_uniform"),
        (Self::KaimingNormal, "kaiming_normal"),
        (Self::Normc, "normc"),
    ];

    /// The word used in configurations.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(initializer, _)| *initializer == self).map_or("", |(_, word)| word)
    }
}

impl std::fmt::Display for Initializer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl OptionValue for Initializer {
    const CHOICES: &'static [&'static str] = &[
        "torch_default",
        "orthogonal",
        "xavier_uniform",
        "xavier_normal",
        "kaiming_uniform",
        "kaiming_normal",
        "normc",
    ];

    fn type_name() -> String {
        "word".into()
    }

    /// PyTorch's names with a trailing underscore (`orthogonal_`) are read too, as in RLlib; RLlib's `None` is
    /// `torch_default`.
    fn from_value(value: &Value) -> Result<Self, Problem> {
        let word = match value {
            Value::Null => "torch_default",
            Value::String(text) if text == "none" || text == "None" => "torch_default",
            Value::String(text) if text == "normc_initializer" => "normc",
            Value::String(text) => text.trim_end_matches('_'),
            _ => "",
        };
        let found = Self::ALL.iter().find(|(_, name)| *name == word).map(|(initializer, _)| *initializer);
        found.ok_or_else(|| not_a_choice(value, Self::CHOICES))
    }

    fn to_value(&self) -> Value {
        json!(self.as_str())
    }

    fn schema(_: &Bounds) -> Value {
        json!({ "enum": Self::CHOICES })
    }
}
