//! What two services tell each other with a request, so that their spans can be ordered without
//! anybody's clock being right.

#[cfg(feature = "tower")]
mod client;
mod exchanges;
mod member;
mod propagator;
#[cfg(feature = "tower")]
mod server;
mod tracestate;

#[cfg(feature = "tower")]
pub use client::{ClientLayer, ClientService};
pub use exchanges::Exchanges;
pub use member::{Answer, Exchanged, Member, MemberError};
pub use propagator::{Peer, Propagator, Received};
#[cfg(feature = "tower")]
pub use server::{ServerLayer, ServerService};
