//! The clock of JavaScript: an engine, what a browser's counters need besides, and raw exports.
//!
//! One WebAssembly instance is one clock, so nothing is allocated and nothing is freed. Numbers
//! cross the border as doubles: moments of the counter and of true time in milliseconds, as
//! `performance.now()` and `Date.now()` give them. What takes more than a number goes through
//! two fixed buffers, `numbers` and `bytes`.

#![cfg_attr(target_arch = "wasm32", no_std)]

mod clock;
// Names such as `read` are the C library's elsewhere.
#[cfg(target_arch = "wasm32")]
mod exports;
pub mod layout;
mod millis;
#[cfg(all(target_arch = "wasm32", feature = "replay"))]
mod replay;
mod reply;
mod wall;

pub use clock::Clock;
pub use layout::Answer;
pub use reply::RelayReply;

/// Nothing is left to say, and nobody to hear it: JavaScript sees a `RuntimeError`.
#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
