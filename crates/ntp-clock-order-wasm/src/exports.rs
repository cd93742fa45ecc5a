//! The functions that JavaScript calls. `js/order/tape.js` is their only caller.
//!
//! An instance has one thread, and no export calls another or calls out: the one reference to the
//! instance's state that each takes is the only one.

#![allow(unsafe_code)]

use core::cell::UnsafeCell;

use crate::answers::Orders;

/// All of an instance.
struct State {
    orders: Option<Orders>,
    tape: Vec<u8>,
}

struct Single(UnsafeCell<State>);

// SAFETY: without threads nothing is shared between them.
unsafe impl Sync for Single {}

static STATE: Single = Single(UnsafeCell::new(State { orders: None, tape: Vec::new() }));

fn state() -> &'static mut State {
    // SAFETY: called once by each export, none of which calls another; see above.
    unsafe { &mut *STATE.0.get() }
}

/// Where to write a question of this many bytes.
#[unsafe(no_mangle)]
extern "C" fn tape(length: usize) -> *mut u8 {
    let tape = &mut state().tape;
    tape.clear();
    tape.resize(length, 0);
    tape.as_mut_ptr()
}

/// Answers what was written; the answer's length. It stands where `answer` says, until the next
/// question.
#[unsafe(no_mangle)]
extern "C" fn ask() -> usize {
    let State { orders, tape } = state();
    *tape = orders.get_or_insert_default().answer(tape);
    tape.len()
}

/// Where the answer is.
#[unsafe(no_mangle)]
extern "C" fn answer() -> *const u8 {
    state().tape.as_ptr()
}
