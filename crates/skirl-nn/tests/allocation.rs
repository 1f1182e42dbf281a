//! Forward, backward and refresh allocate nothing.
#![allow(missing_docs, clippy::unwrap_used)]

mod order;
mod reference;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use skirl_nn::{Grads, Mat};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed to the system allocator unchanged; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_training_step_allocates_nothing() {
    for mut module in order::modules() {
        let rows = 70;
        let columns: Vec<Vec<f32>> = module.input_widths().iter().map(|w| vec![0.3; rows * w]).collect();
        let inputs: Vec<Mat<'_>> =
            columns.iter().zip(module.input_widths()).map(|(x, &w)| Mat::new(x, rows, w)).collect();
        let mut tape = module.tape(rows);
        let mut grads = Grads::new(module.params());
        let before = ALLOCATIONS.get();
        module.forward(&inputs, None, &mut tape).unwrap();
        tape.d_output_mut(0).fill(0.1);
        module.backward(&mut tape, Some(&mut grads), true).unwrap();
        module.params_mut().values_mut()[0] = 0.5;
        module.refresh();
        assert_eq!(ALLOCATIONS.get() - before, 0, "{module:?}");
    }
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(vec![0u8; 10]));
    assert_eq!(ALLOCATIONS.get() - before, 1, "the counter must count");
}
