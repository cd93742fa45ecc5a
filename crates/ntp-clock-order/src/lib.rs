//! What happened first, where everybody has a clock of their own.
//!
//! A [`Closure`] takes stamps by several free-running counters and all that is known of these:
//! readings of synchronised time beside them, [links](ntp_clock_core::Link) between each two of
//! them, messages that were sent and received. It gives, for any two stamps, the tightest interval
//! for the time from the one to the other that follows from all of it together, also over third
//! clocks, and a [`Verdict`] on their order. Nothing that it calls certain is a guess.
//!
//! [`Links`] is what a program keeps at hand to have links: a bounded table of them, by the names
//! of their counters.
//!
//! Two services and a queue, which nobody synchronised:
//!
//! ```
//! use ntp_clock_order::{By, Closure, LinkBetween, Links, Stamp, Verdict};
//! use ntp_clock_order::{Evidence, LinkStamps, LocalTime, Oscillator};
//!
//! let ns = LocalTime::from_nanos;
//! let mut links = Links::new(100);
//! // "shop" asks "mail" what its counter reads: T1 to T4. A round trip of 300 us.
//! let stamps = LinkStamps {
//!     sent_a: ns(1_000_000),
//!     received_b: ns(71_150_000),
//!     sent_b: ns(71_160_000),
//!     received_a: ns(1_310_000),
//! };
//! links.exchange("shop", "mail", &stamps)?;
//!
//! // Later each of them stamps something that the other one knows nothing of.
//! let (paid, sent) = (ns(5_000_000_000), ns(5_080_000_000));
//! let snapshot = links.snapshot("shop", "mail", paid, Evidence::All).unwrap();
//! let closure = Closure::new(
//!     &[Oscillator::FREE, Oscillator::FREE],
//!     &[Stamp { clock: 0, counter: paid, utc: None }, Stamp { clock: 1, counter: sent, utc: None }],
//!     &[LinkBetween { a: 0, b: 1, snapshot }],
//!     &[],
//! )?;
//! let relation = closure.relation(0, 1);
//! assert_eq!(relation.verdict, Verdict::Before);
//! assert_eq!(relation.by, Some(By::Clock));
//! // 80 ms by the counters; "mail" is 70 ms ahead, and 5 s may have changed that by 5 ms.
//! assert!(relation.lower.unwrap().as_millis_f64() > 4.0);
//! assert!(relation.upper.unwrap().as_millis_f64() < 16.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod causal;
mod closure;
mod graph;
mod guess;
mod links;

mod points;
mod reach;
mod reason;
mod relation;
mod relations;
mod scene;
mod system;
mod void;

pub use closure::Closure;
pub use links::{Between, LinkState, Links, LinksError, oscillator};
pub use ntp_clock_core::{
    Evidence, Fed, Link, LinkError, LinkSnapshot, LinkStamps, LocalTime, Oscillator, Span, UnixTime,
};
pub use reason::Reason;
pub use relation::{By, Relation, Verdict};
pub use relations::{Moment, NamedLink, Relations};
pub use system::{Cause, ClosureError, LinkBetween, Stamp};
