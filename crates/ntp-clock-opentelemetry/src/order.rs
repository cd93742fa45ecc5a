//! What two services tell each other with a request, so that their spans can be ordered without
//! anybody's clock being right.

#[cfg(feature = "tower")]
mod layer;
mod member;
mod propagator;
mod tracestate;

#[cfg(feature = "tower")]
pub use layer::{ExchangeLayer, ExchangeService};
pub use member::{Answer, Exchanged, Member, MemberError};
pub use propagator::{Propagator, Received};
