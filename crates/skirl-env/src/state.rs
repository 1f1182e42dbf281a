//! Reading entries of a saved [`EnvState`], with errors that name the entry.

use crate::column::{Column, Element};
use crate::env::EnvState;
use crate::error::EnvError;
use crate::seeding::Generator;

/// The entry `field`, which must hold exactly `len` elements of type `T`.
pub fn entry<'s, T: Element>(state: &'s EnvState, field: &str, len: usize) -> Result<&'s [T], EnvError> {
    let bad = |found: String| EnvError::BadState {
        field: field.to_owned(),
        expected: format!("{len} elements of {}", T::DTYPE),
        found,
    };
    let column = state.get(field).ok_or_else(|| bad("absent".to_owned()))?.as_ref();
    let values = column.typed::<T>().filter(|values| values.len() == len);
    values.ok_or_else(|| bad(format!("{} elements of {}", column.len(), column.dtype())))
}

/// Adds all entries of `inner` under `prefix/`.
pub fn nest(state: &mut EnvState, prefix: &str, inner: EnvState) {
    state.extend(inner.into_iter().map(|(name, column)| (format!("{prefix}/{name}"), column)));
}

/// The entries under `prefix/`, without the prefix.
pub fn nested(state: &EnvState, prefix: &str) -> EnvState {
    let prefix = format!("{prefix}/");
    let entries = state.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix));
    entries.map(|(name, column)| (name[prefix.len()..].to_owned(), column.clone())).collect()
}

/// Saves generators one after the other.
pub fn save_generators<'g>(generators: impl IntoIterator<Item = &'g Generator>) -> Column {
    Column::U64(generators.into_iter().flat_map(Generator::save).collect())
}

/// Restores `count` generators from entry `field`.
pub fn restore_generators(state: &EnvState, field: &str, count: usize) -> Result<Vec<Generator>, EnvError> {
    let words = entry::<u64>(state, field, count * crate::seeding::STATE_WORDS)?;
    words.chunks_exact(crate::seeding::STATE_WORDS).map(Generator::restore).collect()
}
