//! A run seen from outside, by its files alone: nothing is locked, and whoever writes does not notice.
//!
//! `tail` reads the first and the last result, `status` says whether anybody trains, `view` joins them for a screen.

mod status;
mod tail;
mod view;

pub(crate) use view::{RunView, overview};
