//! The bounded window of what is known: what past rounds certainly say, and the exchanges of the
//! round under way.

use super::STEP;
use super::bounds::Rates;
use super::sample::{Sample, nanos};
use crate::time::{LocalTime, Span};

/// What one round certainly says. Its two sides may come from different exchanges.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Limit {
    pub(super) t1: LocalTime,
    /// Truth less local time at `t1` is at most this.
    pub(super) upper: Span,
    pub(super) t4: LocalTime,
    /// Truth less local time at `t4` is at least this.
    pub(super) lower: Span,
    /// The smallest round trip.
    pub(super) delay: Span,
    /// What of each side is the server's own error, and the counter's.
    pub(super) error: Span,
    /// Our rate then ...
    rate: f32,
    /// ... and its standard deviation; a number of no use where there was none.
    deviation: f32,
}

impl Limit {
    pub(super) fn of_sample(sample: &Sample) -> Self {
        Limit {
            t1: sample.t1,
            upper: sample.upper,
            t4: sample.t4,
            lower: sample.lower,
            delay: sample.delay,
            error: sample.error,
            rate: 0.0,
            deviation: f32::INFINITY,
        }
    }

    /// The fastest way there and the fastest way back together.
    pub(super) fn round_trip_ns(&self) -> f64 {
        nanos(self.upper - self.lower - self.error.times(2))
    }

    /// The tighter side of each of two, the second the later; `rates` are possible between them.
    fn joined(&self, later: &Limit, rates: Rates) -> Limit {
        let mut joined = *later;
        let (_, drift) = rates.drift(later.t1 - self.t1);
        // Of differences: a double holds an offset since 1970 to 256 ns only.
        if nanos(self.upper - later.upper) + drift < 0.0 {
            (joined.t1, joined.upper) = (self.t1, self.upper);
        }
        let (drift, _) = rates.drift(later.t4 - self.t4);
        if nanos(self.lower - later.lower) + drift > 0.0 {
            (joined.t4, joined.lower) = (self.t4, self.lower);
        }
        joined.delay = self.delay.min(later.delay);
        joined.error = self.error.max(later.error);
        joined
    }

    fn latest(&self) -> LocalTime {
        self.t1.max(self.t4)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Window {
    past: Ring<Limit, PAST>,
    round: Ring<Sample, ROUND>,
    /// When the last request of the round under way left.
    last_sent: LocalTime,
    /// When the last reply of the rounds before it arrived.
    past_until: LocalTime,
    /// The mean rates that pairs of past rounds allow ...
    past_rates: Rates,
    /// ... and these with the round under way.
    rates: Rates,
    /// What the rate may be now if the path has been the same since it last changed.
    steady_rates: Rates,
    /// Since when it has.
    same_path_since: LocalTime,
    /// The window does not reach back to the beginning any more.
    forgot: bool,
}

impl Window {
    pub(super) const fn new() -> Self {
        Window {
            past: Ring::new(),
            round: Ring::new(),
            last_sent: LocalTime::MIN,
            past_until: LocalTime::MIN,
            past_rates: Rates::ANY,
            rates: Rates::ANY,
            steady_rates: Rates::ANY,
            same_path_since: LocalTime::MIN,
            forgot: false,
        }
    }

    /// The path is another one from the round under way on.
    pub(super) fn path_changed(&mut self) {
        self.same_path_since = self.past_until;
        self.steady_rates = Rates::ANY;
    }

    /// One that knows a certain interval to begin with.
    pub(super) fn starting_from(sample: &Sample) -> Self {
        let mut window = Window::new();
        window.past.push(Limit::of_sample(sample));
        window
    }

    /// Whether the sample changes nothing: it is known, or from before the round under way.
    pub(super) fn has_seen(&self, sample: &Sample) -> bool {
        self.round.contains(sample) || (!self.round.is_empty() && sample.t4 <= self.past_until)
    }

    /// Whether the sample begins another round.
    pub(super) fn begins_round(&self, sample: &Sample) -> bool {
        self.round.is_empty() || self.round.is_full() || sample.t1 - self.last_sent > ROUND_GAP
    }

    /// Appends a sample. Where it begins another round, the one before becomes past, in which
    /// our rate was `rate`, give or take a deviation; `possible` are the rates that there may have
    /// been.
    pub(super) fn push(&mut self, sample: Sample, rate: (f64, f64), possible: Rates) {
        if self.begins_round(&sample) {
            self.close_round(rate, possible);
        }
        self.last_sent = sample.t1.max(self.last_sent);
        let newest = Limit::of_sample(&sample);
        for earlier in self.past.iter() {
            self.rates.narrow(earlier, &newest);
        }
        self.round.push(sample);
    }

    fn close_round(&mut self, (rate, deviation): (f64, f64), possible: Rates) {
        let limits = self.round.iter().map(Limit::of_sample);
        let Some(mut limit) = limits.reduce(|a, b| a.joined(&b, possible)) else { return };
        (limit.rate, limit.deviation) = (rate as f32, deviation as f32);
        let ended = self.round.iter().map(|sample| sample.t4).max();
        self.past_until = ended.map_or(self.past_until, |at| at.max(self.past_until));
        self.round = Ring::new();
        self.last_sent = LocalTime::MIN;
        if self.past.is_full() {
            self.make_room(possible);
        } else {
            for earlier in self.past.iter() {
                self.past_rates.narrow(earlier, &limit);
            }
        }
        self.past.push(limit);
        if self.forgot {
            self.past_rates = Rates::ANY;
            for (index, later) in self.past.iter().enumerate() {
                for earlier in self.past.iter().take(index) {
                    self.past_rates.narrow(earlier, later);
                }
            }
        }
        self.rates = self.past_rates;
        self.steady_rates = self.steady();
    }

    /// What the rate may be at the last round's end by the rounds since the path last changed.
    ///
    /// Queues only ever add to the smallest round trip: on one and the same path, a round's excess
    /// over it is all by which its offset can differ from another's, whatever the asymmetry.
    fn steady(&mut self) -> Rates {
        let steady = || self.past.iter().filter(|limit| limit.latest() > self.same_path_since);
        let trips = || steady().map(Limit::round_trip_ns);
        let least = trips().fold(f64::INFINITY, f64::min);
        let excess = |limit: &Limit| limit.round_trip_ns() - least;
        let count = steady().count();
        if count < STEADY_ROUNDS {
            return Rates::ANY;
        }
        let mean = trips().map(|trip| trip - least).sum::<f64>() / count as f64;
        // The smallest one known has waited a little as well.
        let least_excess = mean / count as f64 + STEADY_NOISE_NS;
        let Some(newest) = steady().last() else { return Rates::ANY };
        let mut rates = Rates::ANY;
        for (index, earlier) in steady().enumerate() {
            let unrest = unrest(steady().skip(index));
            let before = excess(earlier) + least_excess;
            for later in steady().skip(index + 1) {
                let (up_ns, low_ns) = (nanos(later.t1 - earlier.t1), nanos(later.t4 - earlier.t4));
                if up_ns < STEADY_NS || low_ns < STEADY_NS {
                    continue;
                }
                let after = excess(later) + least_excess;
                let middle = earlier.latest() + (later.latest() - earlier.latest()).half_ceil();
                let allowance = steady_allowance(newest.latest() - middle, unrest);
                let servers = nanos(earlier.error + later.error);
                let up = nanos((later.upper - later.error) - (earlier.upper - earlier.error));
                let low = nanos((later.lower + later.error) - (earlier.lower + earlier.error));
                let high = ((up + before + servers) / up_ns).min((low + after + servers) / low_ns);
                let least = ((up - after - servers) / up_ns).max((low - before - servers) / low_ns);
                rates.high = rates.high.min(high + allowance);
                rates.low = rates.low.max(least - allowance);
            }
        }
        if rates.low < rates.high {
            return rates;
        }
        // Then it was not one path.
        self.same_path_since = newest.latest();
        Rates::ANY
    }

    /// Rounds in quick succession become one, so that the window spans hours all the same;
    /// otherwise the oldest is forgotten.
    fn make_room(&mut self, possible: Rates) {
        let mut kept = Ring::new();
        let mut joined = false;
        let mut last: Option<Limit> = None;
        for limit in self.past.iter() {
            if let Some(earlier) = last {
                if !joined && limit.latest() - earlier.latest() < PAST_SPACING {
                    joined = true;
                    last = Some(earlier.joined(limit, possible));
                    continue;
                }
                kept.push(earlier);
            }
            last = Some(*limit);
        }
        if let Some(newest) = last {
            kept.push(newest);
        }
        self.past = kept;
        self.forgot |= !joined;
    }

    /// The exchanges of the round under way.
    pub(super) fn round(&self) -> impl Iterator<Item = &Sample> + Clone {
        self.round.iter()
    }

    pub(super) fn newest(&self) -> Option<&Sample> {
        self.round.last()
    }

    /// All that is certain, oldest first.
    pub(super) fn limits(&self) -> impl Iterator<Item = Limit> + Clone {
        self.past.iter().copied().chain(self.round.iter().map(Limit::of_sample))
    }

    /// The mean rates that are possible between any two rounds.
    pub(super) fn mean_rates(&self) -> Rates {
        self.rates
    }

    /// The rates that there may be from the newest round on, as long as the path is the same;
    /// nothing to go by until it was that for an hour.
    pub(super) fn steady_rates(&self) -> Rates {
        self.steady_rates
    }

    /// By how much our rate has moved within the window, for certain.
    pub(super) fn unrest(&self) -> f64 {
        unrest(self.past.iter())
    }

    /// Whether what was known before the window's beginning is too old to go by.
    pub(super) fn forgot(&self) -> bool {
        self.forgot
    }
}

/// A ring of the newest `N`, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Ring<T, const N: usize> {
    slots: [Option<T>; N],
    start: usize,
    len: usize,
}

impl<T: Copy + PartialEq, const N: usize> Ring<T, N> {
    pub(super) const fn new() -> Self {
        Ring { slots: [None; N], start: 0, len: 0 }
    }

    pub(super) fn is_full(&self) -> bool {
        self.len == N
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn contains(&self, item: &T) -> bool {
        self.iter().any(|known| known == item)
    }

    /// Appends; a full ring loses its oldest.
    pub(super) fn push(&mut self, item: T) {
        let slot = (self.start + self.len) % N;
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(item);
        }
        if self.len < N {
            self.len += 1;
        } else {
            self.start = (self.start + 1) % N;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        (0..self.len).filter_map(|i| self.slots.get((self.start + i) % N)?.as_ref())
    }

    pub(super) fn last(&self) -> Option<&T> {
        self.slots.get((self.start + self.len.checked_sub(1)?) % N)?.as_ref()
    }
}

/// Rounds remembered: three hours of them.
const PAST: usize = 36;
/// Exchanges in the largest burst.
pub(super) const ROUND: usize = 8;
/// Exchanges within so long of the one before belong to one round.
const ROUND_GAP: Span = Span::from_millis(1_900);
/// The path is known after so many rounds ...
const STEADY_ROUNDS: usize = 12;
/// ... and rates are means over so long at least.
const STEADY_NS: f64 = 1.2e12;
const STEADY_NOISE_NS: f64 = 2_000.0;

/// How far the rate may be from a mean rate so long ago: a step of 3 ppm or a ramp of 4 ppm
/// in two minutes, and a drift.
fn steady_allowance(since: Span, unrest: f64) -> f64 {
    STEP + (STEADY_DRIFT * nanos(since)).max(unrest)
}

/// By how much our rate has moved from one to another of these, for certain.
fn unrest<'a>(limits: impl Iterator<Item = &'a Limit>) -> f64 {
    let (mut highest, mut lowest) = (f32::NEG_INFINITY, f32::INFINITY);
    for limit in limits {
        highest = highest.max(limit.rate - limit.deviation);
        lowest = lowest.min(limit.rate + limit.deviation);
    }
    f64::from((highest - lowest).max(0.0))
}

/// A millionth in an hour.
const STEADY_DRIFT: f64 = 1e-6 / 3.6e12;
/// Rounds closer together than this may be remembered as one.
const PAST_SPACING: Span = Span::from_secs(200);
