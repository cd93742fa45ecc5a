//! What SNTP libraries do: one exchange per poll, its offset held until the next.

use ntp_clock_core::{Exchange, LocalTime, Span, UnixTime};

use super::{PHI, Sample};
use crate::candidate::{Answer, Candidate};

/// The first exchange of each round; no frequency (RFC 4330). Such libraries claim no bound: half
/// the delay, the server's own error and RFC 5905's 15 ppm are the best that can be said for them.
#[derive(Clone, Debug, Default)]
pub struct Sntp {
    sample: Option<Sample>,
    taken: bool,
}

impl Candidate for Sntp {
    fn name(&self) -> &'static str {
        "sntp"
    }

    fn exchange(&mut self, exchange: &Exchange, _now: LocalTime) {
        if !self.taken {
            self.sample = Some(Sample::new(exchange));
            self.taken = true;
        }
    }

    fn round_end(&mut self, _at: LocalTime) {
        self.taken = false;
    }

    fn suspend(&mut self, _at: LocalTime) {
        *self = Sntp::default();
    }

    fn read(&mut self, at: LocalTime) -> Option<Answer> {
        let sample = self.sample?;
        let age_ns = at.as_nanos() - sample.local_ns;
        let max = sample.delay_ns / 2.0 + sample.root_ns + PHI * age_ns as f64;
        Some(Answer {
            time: UnixTime::from_nanos(at.as_nanos() + sample.offset_ns),
            max_error: Span::from_nanos_f64_ceil(max),
            est_error: Span::from_nanos_f64_ceil(max / 2.0),
            age: Span::from_nanos(age_ns),
        })
    }
}
