//! What a link says: the difference, its bounds and its rate.

use super::Link;
use super::centre;
use super::evidence::Evidence;
use super::lines::Lines;
use super::oscillator::Rates;
use super::snapshot::{Difference, LinkSnapshot, fixed_point, nanos};
use crate::time::{LocalTime, Span};

impl Link {
    /// B less A when A's counter reads this, in any order of questions and evidence.
    #[must_use]
    pub fn at_a(&self, a: LocalTime, evidence: Evidence) -> Difference {
        let from_a = nanos(a - self.zero.0);
        self.solved(evidence, |difference| from_a + difference / 2.0)
    }

    /// B less A when B's counter reads this.
    #[must_use]
    pub fn at_b(&self, b: LocalTime, evidence: Evidence) -> Difference {
        let from_b = nanos(b - self.zero.1);
        self.solved(evidence, |difference| from_b - difference / 2.0)
    }

    /// What is known when A's counter reads about this; `None` without evidence.
    #[must_use]
    pub fn snapshot(&self, a: LocalTime, evidence: Evidence) -> Option<LinkSnapshot> {
        let from_a = nanos(a - self.zero.0);
        let place = |difference: f64| from_a + difference / 2.0;
        let (lower, upper) = self.interval(evidence, place);
        let middle = match (lower.is_finite(), upper.is_finite()) {
            (true, true) => (lower + upper) / 2.0,
            (true, false) => lower,
            (false, true) => upper,
            (false, false) => return None,
        };
        // Whole nanoseconds, so that B's reading is exact.
        let reference = libm::round(middle);
        let m = place(reference);
        let (lower, upper) = apart(self.lower_at(m, evidence), self.upper_at(m, evidence));
        let (estimate, est_error) = self.guess(m, evidence, (lower, upper));
        let rates = centre::outside(self.rates_at(m, evidence), &self.pair);
        Some(LinkSnapshot {
            a,
            b: a + (self.zero.1 - self.zero.0) + Span::from_nanos(reference as i64),
            lower_ns: lower - reference,
            upper_ns: upper - reference,
            estimate_ns: estimate - reference,
            est_error_ns: est_error,
            rate_low: rates.low,
            rate_high: rates.high,
            round_trip_ns: self.round_trip_ns(),
        })
    }

    /// The least round trip of the exchanges in use, without the time for which the request was
    /// held; `None` without one.
    #[must_use]
    pub fn round_trip(&self) -> Option<Span> {
        let least = self.round_trip_ns();
        least.is_finite().then(|| Span::from_nanos_f64_ceil(least))
    }

    /// A's counter at the newest evidence; `None` without any.
    #[must_use]
    pub fn newest_a(&self) -> Option<LocalTime> {
        self.newest.map(|(_, a)| a)
    }

    /// How many exchanges it was fed.
    #[must_use]
    pub const fn exchanges(&self) -> u64 {
        self.exchanges
    }

    /// How many single messages it was fed.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// How often evidence contradicted what was known, so that it started again.
    #[must_use]
    pub const fn restarts(&self) -> u64 {
        self.restarts
    }

    fn solved(&self, evidence: Evidence, place: impl Fn(f64) -> f64) -> Difference {
        let (lower, upper) = self.interval(evidence, &place);
        let middle = place((lower + upper) / 2.0);
        let (estimate, est_error) = self.guess(middle, evidence, (lower, upper));
        Difference::new(self.zero.1 - self.zero.0, lower, upper, estimate, est_error)
    }

    /// Both bounds where the place on the axis depends on the difference itself.
    fn interval(&self, evidence: Evidence, place: impl Fn(f64) -> f64) -> (f64, f64) {
        let start = |bound: f64| if bound.is_finite() { bound } else { 0.0 };
        let upper = self.upper_at(place(0.0), evidence);
        let lower = self.lower_at(place(start(upper)), evidence);
        let upper = fixed_point(upper, &place, |m| self.upper_at(m, evidence));
        apart(fixed_point(lower, &place, |m| self.lower_at(m, evidence)), upper)
    }

    pub(super) fn upper_at(&self, m: f64, evidence: Evidence) -> f64 {
        self.bound(m, evidence, &self.most, |rates| rates)
    }

    pub(super) fn lower_at(&self, m: f64, evidence: Evidence) -> f64 {
        -self.bound(m, evidence, &self.least, Rates::mirrored)
    }

    /// The tightest of what lines say, each carried at the rates of the spans that it is in. What
    /// exchanges say by themselves stays so beside messages, with which spans are longer.
    fn bound(
        &self,
        m: f64,
        evidence: Evidence,
        lines: &[Lines; 2],
        seen: impl Fn(Rates) -> Rates,
    ) -> f64 {
        let any = seen(self.pair.any());
        let all = lines[..evidence.sources()].iter().flat_map(|lines| lines.as_slice());
        let mut bound = all.map(|line| line.carried(m, any)).fold(f64::INFINITY, f64::min);
        for part in evidence.parts() {
            for centre in &self.centres[*part as usize] {
                let (rates, beyond) = (seen(centre.rates(&self.pair)), centre.beyond(m));
                for lines in &lines[..part.sources()] {
                    for line in lines.as_slice().iter().filter(|line| line.m >= centre.start) {
                        bound = bound.min(line.carried(m, rates) + beyond);
                    }
                }
            }
        }
        bound
    }

    /// The rates that are possible around a moment.
    fn rates_at(&self, m: f64, evidence: Evidence) -> Rates {
        let parts = evidence.parts().iter();
        let spans = parts.flat_map(|part| &self.centres[*part as usize]);
        let rates = spans
            .filter(|centre| centre.beyond(m) == 0.0)
            .fold(self.pair.any(), |rates, centre| rates.within(centre.rates(&self.pair)));
        // For what rounding does to limits that touch.
        if rates.low <= rates.high { rates } else { self.pair.any() }
    }

    fn round_trip_ns(&self) -> f64 {
        let exchanges = self.most[0].as_slice().iter().chain(self.least[0].as_slice());
        exchanges.map(|line| line.round_trip).fold(f64::INFINITY, f64::min)
    }
}

/// Bounds that rounding has made cross meet half-way.
fn apart(lower: f64, upper: f64) -> (f64, f64) {
    if lower > upper { ((lower + upper) / 2.0, (lower + upper) / 2.0) } else { (lower, upper) }
}
