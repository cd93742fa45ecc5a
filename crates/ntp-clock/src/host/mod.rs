//! One clock per machine: processes that share a clock read one page, which one of them writes.
//!
//! `docs/HOST_CLOCK.md` is the protocol.

#[cfg(target_os = "linux")]
mod directory;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(test)]
mod hostile_tests;
mod keep;
mod line;
#[cfg(target_os = "linux")]
mod member;
#[cfg(all(test, target_os = "linux"))]
mod member_tests;
mod page;
mod sharing;

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::Writer;
pub(crate) use keep::keep;
pub(crate) use line::Unread;
#[cfg(target_os = "linux")]
pub(crate) use member::Writer;
pub(crate) use page::{MachinePage, Shown};
pub(crate) use sharing::BadWord;
pub use sharing::{SharedPart, Sharing, SharingStatus};
