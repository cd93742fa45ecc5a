//! When a clock that may be wrong showed what.
//!
//! An SDK for telemetry stamps with the system's clock, which can be off, be stepped and be
//! steered. A [`History`] keeps [`Sample`]s of that clock beside a free-running counter. For a time
//! that the SDK took it says at which moments of the counter the clock can have shown it
//! ([`History::trace`]), and what true time those moments were ([`History::date`]): also for times
//! from before the first synchronisation, from before a step, and from before a sleep of the
//! machine. Memory is bounded.
//!
//! It never reads a clock itself, so that Rust, Python and JavaScript share it.
//!
//! ```
//! use ntp_clock_history::{Dated, History, Limits, Sample, Window};
//!
//! let mut history = History::new(Limits::default());
//! // The system's clock stands at 500 s; half a second later it is stepped forward by an hour.
//! let second = 1_000_000_000;
//! for (counter_ns, system_ns) in [(0, 500 * second), (second, 4101 * second)] {
//!     history.sample(Sample {
//!         counter_ns,
//!         width_ns: 0,
//!         system_ns,
//!         resolution_ns: 1,
//!         counter: 1,
//!         reading: None,
//!     });
//! }
//! // The SDK took 500.1 s: that was before the step.
//! let traced = history.trace(500_100_000_000, 1, Window::default()).unwrap();
//! assert!(!traced.ambiguous);
//! assert!(traced.earliest.counter_ns <= 100_000_000 && 100_000_000 <= traced.latest.counter_ns);
//!
//! // The clock has been synchronised meanwhile: the counter's zero was 1 000 s of true time.
//! let clock = |counter_ns| {
//!     let time_ns = 1_000 * second + counter_ns;
//!     Some(Dated { time_ns, max_error_ns: 5_000_000, est_error_ns: 100_000, epoch: 1 })
//! };
//! let dated = history.date(traced, clock).unwrap();
//! assert!((dated.time_ns - 1_000_100_000_000).abs() <= dated.max_error_ns);
//! ```

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod date;
mod history;
mod kept;
mod knots;
mod limits;
mod piece;
mod sample;

pub use history::History;
pub use knots::Knots;
pub use limits::Limits;
pub use sample::{Dated, Moment, Sample, Traced, Window};
