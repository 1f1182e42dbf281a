//! The `options!` macro: one definition per option, from which everything else is made.

use serde_json::{Map, Value};

use super::error::Problem;
use super::spec::OptionSpec;

/// A group of options, seen without its type: what files, command line, schema and documentation work on.
pub trait Section: std::fmt::Debug {
    /// Dotted path, for example `training` or `training.optimizer`.
    fn path(&self) -> &'static str;

    /// What the section is about.
    fn doc(&self) -> &'static str;

    /// Its options, in order of definition.
    fn specs(&self) -> &'static [OptionSpec];

    /// Sets an option by its own name; type and range are checked, the old value stays when the new one is refused.
    fn set(&mut self, name: &str, value: &Value) -> Result<(), Problem>;

    /// The value of an option as JSON.
    fn get(&self, name: &str) -> Option<Value>;

    /// Checks every value's range, also of those set from Rust; returns the names of the options refused.
    fn check(&self) -> Vec<(&'static str, Problem)>;

    /// All values as a JSON map.
    fn to_map(&self) -> Map<String, Value> {
        let names = self.specs().iter().map(|spec| spec.name);
        names.filter_map(|name| Some((name.to_owned(), self.get(name)?))).collect()
    }
}

/// Declares a section: a struct with one typed field, one fluent setter and one [`OptionSpec`] per option.
///
/// ```text
/// options! {
///     /// What the section is about.
///     pub struct PpoTraining in "training" {
///         /// Discount factor γ per environment step.
///         gamma: f64 = 0.99 => between(0.0, 1.0), called(&[("Tianshou", "discount_factor")]);
///     }
/// }
/// ```
/// What follows `=>` are methods of [`Meta`](super::spec::Meta). Groups inside a section follow as
/// `groups { /// doc⏎ optimizer: OptimizerOptions; }`.
macro_rules! options {
    (
        $(#[doc = $section_doc:literal])+
        pub struct $section:ident in $path:literal {
            $($(#[doc = $doc:literal])+
            $name:ident $(as $word:literal)?: $type:ty = $default:expr $(=> $($meta:ident($($argument:expr),*)),+)?;)+
            $(groups { $($(#[doc = $group_doc:literal])+ $group:ident: $group_type:ty;)+ })?
        }
    ) => {
        $(#[doc = $section_doc])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $section {
            $($(#[doc = $doc])+ #[doc = concat!("\n\nDefault: `", stringify!($default), "`.")] pub $name: $type,)+
            $($($(#[doc = $group_doc])+ pub $group: $group_type,)+)?
        }

        impl Default for $section {
            fn default() -> Self {
                Self {
                    $($name: $crate::config::value::Setting::into_setting($default),)+
                    $($($group: <$group_type>::default(),)+)?
                }
            }
        }

        impl $section {
            /// Definition of every option of this section.
            pub const SPECS: &'static [$crate::config::OptionSpec] = &[$({
                let meta = $crate::config::spec::Meta::new()$($(.$meta($($argument),*))+)?;
                $crate::config::OptionSpec {
                    section: $path,
                    name: $crate::config::declare::option_name!($name $($word)?),
                    doc: concat!($($doc),+),
                    bounds: meta.bounds,
                    unit: meta.unit,
                    choices: <$type as $crate::config::value::OptionValue>::CHOICES,
                    synonyms: meta.synonyms,
                    called: meta.called,
                    hint: meta.hint,
                    type_name: <$type as $crate::config::value::OptionValue>::type_name,
                    default: || $crate::config::value::OptionValue::to_value(&$section::default().$name),
                    schema: <$type as $crate::config::value::OptionValue>::schema,
                }
            }),+];

            $($(#[doc = $doc])+
            pub fn $name(mut self, value: impl $crate::config::value::Setting<$type>) -> Self {
                self.$name = value.into_setting();
                self
            })+

            $($($(#[doc = $group_doc])+
            pub fn $group(mut self, edit: impl FnOnce($group_type) -> $group_type) -> Self {
                self.$group = edit(self.$group);
                self
            })+)?
        }

        impl $crate::config::Section for $section {
            fn path(&self) -> &'static str {
                $path
            }

            fn doc(&self) -> &'static str {
                concat!($($section_doc),+)
            }

            fn specs(&self) -> &'static [$crate::config::OptionSpec] {
                Self::SPECS
            }

            fn set(&mut self, name: &str, value: &serde_json::Value) -> Result<(), $crate::config::Problem> {
                let Some(spec) = Self::SPECS.iter().find(|spec| spec.name == name) else {
                    return Err($crate::config::Problem::new("unknown option"));
                };
                match name {
                    $($crate::config::declare::option_name!($name $($word)?) => $crate::config::declare::assign(&mut self.$name, value, spec),)+
                    _ => Ok(()),
                }
            }

            fn get(&self, name: &str) -> Option<serde_json::Value> {
                match name {
                    $($crate::config::declare::option_name!($name $($word)?) => Some($crate::config::value::OptionValue::to_value(&self.$name)),)+
                    _ => None,
                }
            }

            fn check(&self) -> Vec<(&'static str, $crate::config::Problem)> {
                let mut problems = Vec::new();
                let mut specs = Self::SPECS.iter();
                $(if let Some(spec) = specs.next() {
                    let outcome = $crate::config::value::OptionValue::check(&self.$name, &spec.bounds);
                    if let Err(problem) = outcome.map_err(|p| $crate::config::declare::with_hint(p, spec)) {
                        problems.push((spec.name, problem));
                    }
                })+
                problems
            }
        }
    };
}

/// The name of an option: the field's, or the word given for a name that Rust reserves.
macro_rules! option_name {
    ($name:ident) => {
        stringify!($name)
    };
    ($name:ident $word:literal) => {
        $word
    };
}
pub(super) use {option_name, options};

/// Reads, checks and stores one value.
pub(super) fn assign<T: super::value::OptionValue>(
    slot: &mut T,
    value: &Value,
    spec: &OptionSpec,
) -> Result<(), Problem> {
    // A number that is no integer at all, such as -5, is told the range of the option, not that of its type.
    let in_range = |problem| match value.as_f64() {
        Some(number) if T::type_name().starts_with("integer") => {
            spec.bounds.check(number).err().unwrap_or(problem)
        }
        _ => problem,
    };
    let is_name = (spec.section, spec.name) == ("environment", "env");
    let read = if is_name { T::from_name(value) } else { T::from_value(value) };
    let read = read.map_err(in_range).and_then(|new| new.check(&spec.bounds).map(|()| new));
    *slot = read.map_err(|problem| with_hint(problem, spec))?;
    Ok(())
}

/// Adds the unit and the option's standing advice to a problem.
pub(super) fn with_hint(mut problem: Problem, spec: &OptionSpec) -> Problem {
    if !spec.unit.is_empty() {
        problem.problem = format!("{} ({})", problem.problem, spec.unit);
    }
    if problem.suggestion.is_none() && !spec.hint.is_empty() {
        problem.suggestion = Some(spec.hint.to_owned());
    }
    problem
}
