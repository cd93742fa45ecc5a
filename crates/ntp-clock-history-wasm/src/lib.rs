//! The history for JavaScript: [`ntp_clock_history`] behind raw exports.
//!
//! An instance has one history. Numbers go in and out through one table, in the places that
//! [`Desk`] says; `js/otel/history.js` has the same places.

mod desk;
// The names are the C library's elsewhere.
#[cfg(target_arch = "wasm32")]
mod exports;

pub use desk::Desk;
