//! The exchange log: one JSON object a line, in order of local time.
//!
//! A live clock's log ([`Recording`](crate::Recording), written with [`Line`]) holds everything
//! that its readings depend on. [`replay`] feeds such a log through the same estimator and mapping
//! and writes the answers, bit for bit the same on every machine.
//!
//! Lines that may come in:
//!
//! | `type` | members | what it says |
//! |---|---|---|
//! | `exchange` | `t1_local_ns`, `t2_ns`, `t3_ns`, `t4_local_ns`, `root_delay_ns`, `root_dispersion_ns`, `precision_log2_s`, `stratum`, `leap`, optional `handled_local_ns` | a reply came; it counts from `handled_local_ns` on, or from its arrival |
//! | `lost` | `t1_local_ns` | the reply to this request never came, or was not fit to be weighed |
//! | `read` | `local_ns` | what is the time at this moment? |
//! | `round_end` | `local_ns` | optional: the live clock ended its round |
//! | `suspend` | `local_ns` | optional: the counter lost time |
//! | `counter_changed` | `local_ns` | optional: the counter may be another one, of another frequency |
//!
//! All are integers; times and spans are nanoseconds within a signed 64-bit integer, `leap` is 0
//! to 3, `stratum` 0 to 255, `precision_log2_s` -128 to 127. Members of other names are ignored,
//! and so are lines with nothing but blanks. Anything else is malformed: a [`LogError`] names the
//! line and the reason. A well-formed exchange that no clock would believe (stratum 16, leap 3,
//! time that runs backwards ...) is not malformed: it counts as lost.
//!
//! Each `read` has one line out, `local_ns`, `time_ns`, `max_error_ns` and `est_error_ns`, the last
//! three `null` while the clock is not synchronised.
//!
//! In a replay the log's own schedule stands: nothing expires, the clock fails only through what
//! the log says was lost ([`Replay`](crate::Replay) has the rules).
//!
//! ```
//! let log = r#"{"type":"read","local_ns":5}
//! {"type":"exchange","t1_local_ns":1000,"t2_ns":1800000000000000500,"t3_ns":1800000000000000500,"t4_local_ns":2000,"root_delay_ns":0,"root_dispersion_ns":0,"precision_log2_s":-30,"stratum":1,"leap":0}
//! {"type":"read","local_ns":2000}
//! "#;
//! let mut answers = Vec::new();
//! let summary = ntp_clock::log::replay(log.as_bytes(), &mut answers)?;
//! assert_eq!((summary.reads, summary.answered), (2, 1));
//! assert_eq!(
//!     String::from_utf8(answers).unwrap().lines().next().unwrap(),
//!     r#"{"local_ns":5,"time_ns":null,"max_error_ns":null,"est_error_ns":null}"#
//! );
//! # Ok::<(), ntp_clock::log::LogError>(())
//! ```

mod answer;
mod error;
mod input;
mod line;
mod members;
mod replayer;

pub use answer::Answer;
pub use error::{LineError, LogError};
pub use input::LINE_BYTES_MAX;
pub use line::{ExchangeLine, Line};
pub use replayer::{Answers, Replayer, Summary, replay};
