//! An NTP server that lies, stalls and loses packets on command, for tests and demonstrations.
//!
//! By default it is honest, fast and of stratum 1: its truth is the system's wall clock. Every
//! fault can be there from the start, be changed while it runs, or come by a [`Script`].
//!
//! ```
//! use std::{net::UdpSocket, time::Duration};
//! use ntp_clock_core::{NtpTimestamp, Packet, Span};
//! use ntp_test_server::{Delay, Fault, TestServer};
//!
//! let server = TestServer::builder()
//!     .seed(7)
//!     .behaviour(|b| b.to_server.delay = Delay::fixed(Duration::from_millis(3)))
//!     .spawn()?;
//! server.set(|b| {
//!     b.offset = Span::from_secs(3600);
//!     b.faults.next(2, Fault::WrongOrigin);
//! });
//!
//! let client = UdpSocket::bind("127.0.0.1:0")?;
//! let cookie = NtpTimestamp::from_bits(0x1234);
//! client.send_to(&Packet::request(cookie).encode(), server.addr())?;
//! let mut bytes = [0; 48];
//! client.recv(&mut bytes)?;
//! let reply = Packet::decode(&bytes)?;
//! assert_ne!(reply.origin_timestamp, cookie);
//! assert!(reply.transmit_timestamp.to_unix() - server.true_time() > Span::from_secs(3590));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`DelayProxy`] does to TCP what a [`Delay`] does to NTP here: a path to any server that takes
//! longer, each way for itself.
//!
//! # How the parts fit
//!
//! `Behaviour` says what the server does now, and is the only vocabulary: code sets its fields,
//! a [`Change`] is a function on it, a [`Script`] a list of changes with their times, and the
//! command line a way to write both. A model without I/O turns a request into a reply under the
//! behaviour of the moment; two threads carry out its orders, one blocked on the socket, the
//! other on the next delay to elapse.
//!
//! # Randomness
//!
//! All of it comes from one `u64` seed through [`fastrand`] (Wyrand: tiny, without dependencies,
//! widely used, and of the same output on all platforms; it need not be cryptographic). Each
//! request has a stream of its own for each purpose, derived from the seed and the request's
//! number. So the fate of the n-th request depends on nothing but the seed, n and the behaviour,
//! whatever the timing, and switching loss on does not change anybody's delay. The on/off process
//! of a [`Burst`] is likewise a function of seed and time since start.

#![forbid(unsafe_code)]

mod behaviour;
mod change;
#[cfg(feature = "cli")]
pub mod cli;
mod delay;
mod dice;
mod error;
mod fault;
mod model;
mod names;
mod proxy;
mod reply;
mod run;
mod script;
mod server;
mod stats;
mod text;

pub use behaviour::{Behaviour, Path};
pub use change::Change;
pub use delay::{Burst, Delay, Tail};
pub use dice::Probability;
pub use error::{Error, ParseError, ScriptError};
pub use fault::{Fault, Faults, When};
pub use proxy::{DelayProxy, ProxyBuilder};
pub use script::Script;
pub use server::{Builder, TestServer};
pub use stats::Stats;
