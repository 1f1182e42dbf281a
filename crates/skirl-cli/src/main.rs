//! The skirl command.
fn main() {}
