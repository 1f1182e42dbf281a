//! The order of operations that the module contract promises, on the instruction set of this process. The same
//! checks run for every other instruction set of the processor in `isa.rs`.
#![allow(missing_docs, clippy::unwrap_used)]

mod order;
mod reference;

#[test]
fn a_row_does_not_depend_on_its_batch() {
    order::rows_do_not_depend_on_their_batch();
}

#[test]
fn gradients_fold_over_chunks() {
    order::gradients_fold_over_chunks();
}

#[test]
fn products_agree_with_naive_ones() {
    order::products_agree_with_naive_ones();
}

#[test]
fn one_pass_equals_separate_steps() {
    order::one_pass_equals_separate_steps();
}
