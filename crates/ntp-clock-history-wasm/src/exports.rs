//! The functions that JavaScript calls. `js/otel/history.js` is their only caller.
//!
//! An instance has one thread, and no export calls another or calls out: the one reference to the
//! instance's state that each takes is the only one.

#![allow(unsafe_code)]

use core::cell::UnsafeCell;

use ntp_clock_history::Window;

use crate::desk::Desk;

struct Single(UnsafeCell<Option<Desk>>);

// SAFETY: without threads nothing is shared between them.
unsafe impl Sync for Single {}

static STATE: Single = Single(UnsafeCell::new(None));

fn desk() -> &'static mut Desk {
    // SAFETY: called once by each export, none of which calls another; see above.
    unsafe { &mut *STATE.0.get() }.get_or_insert_default()
}

/// Where the table is.
#[unsafe(no_mangle)]
extern "C" fn numbers() -> *mut i64 {
    desk().numbers.as_mut_ptr()
}

/// Nanoseconds are whole, and a counter reaches 2^53 of them in 104 days.
#[unsafe(no_mangle)]
extern "C" fn is_due(counter_ns: f64) -> bool {
    desk().is_due(counter_ns as i64)
}

#[unsafe(no_mangle)]
extern "C" fn samples() -> usize {
    desk().len()
}

#[unsafe(no_mangle)]
extern "C" fn sample(
    counter_ns: i64,
    width_ns: i64,
    system_ns: i64,
    resolution_ns: i64,
    counter: i64,
) {
    desk().sample((counter_ns, width_ns), (system_ns, resolution_ns), counter as u64);
}

#[unsafe(no_mangle)]
extern "C" fn trace(system_ns: i64, resolution_ns: i64, least_ns: i64, most_ns: i64) -> u32 {
    // The extremes stand for no limit.
    let not_before_ns = (least_ns != i64::MIN).then_some(least_ns);
    let not_after_ns = (most_ns != i64::MAX).then_some(most_ns);
    desk().trace(system_ns, resolution_ns, Window { not_before_ns, not_after_ns })
}

#[unsafe(no_mangle)]
extern "C" fn moment(counter_ns: i64) -> u32 {
    desk().moment(counter_ns)
}

#[unsafe(no_mangle)]
extern "C" fn date() -> bool {
    desk().date()
}
