//! Order between clocks for JavaScript: [`ntp_clock_order`] behind raw exports.
//!
//! What JavaScript asks is written to a tape, and so is the answer: numbers and texts one after
//! another, as `js/order/tape.js` writes and reads them. Relations and tables of links stay
//! here, and JavaScript holds their numbers.

mod answers;
// The names are the C library's elsewhere.
#[cfg(target_arch = "wasm32")]
mod exports;
mod shelf;
mod tape;

pub use answers::Orders;
