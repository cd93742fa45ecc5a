//! The bounded window of what is known: what past rounds certainly say, and the exchanges of the
//! round under way.

use super::STEP;
use super::limit::Limit;
use super::rates::Rates;
use super::ring::Ring;
use super::sample::{Sample, nanos};
use crate::drift;
use crate::time::{LocalTime, Span};

#[derive(Clone, Debug)]
pub(super) struct Window {
    past: Ring<Limit, PAST>,
    round: Ring<Sample, ROUND>,
    /// When the last request of the round under way left.
    last_sent: LocalTime,
    /// When the last reply of the rounds before it arrived.
    past_until: LocalTime,
    /// Since when no pause between rounds was so long that a move of the rate went unseen.
    watched_since: LocalTime,
    /// The mean rates that pairs of past rounds allow since then ...
    past_rates: Rates,
    /// ... and these with the round under way.
    rates: Rates,
    /// What the rate may be now by its means from past rounds to the one under way.
    recent_rates: Rates,
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
            watched_since: LocalTime::MIN,
            past_rates: Rates::UNKNOWN,
            rates: Rates::UNKNOWN,
            recent_rates: Rates::UNKNOWN,
            forgot: false,
        }
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
            if self.past.last().is_some_and(|last| sample.t1 - last.latest() > WATCHED_GAP) {
                self.watched_since = sample.t1;
                (self.past_rates, self.rates) = (Rates::UNKNOWN, Rates::UNKNOWN);
            }
        }
        self.last_sent = sample.t1.max(self.last_sent);
        let newest = Limit::of_sample(&sample);
        for earlier in self.past.iter() {
            let mean = earlier.mean_rates_until(&newest);
            if earlier.t1 >= self.watched_since {
                self.rates = self.rates.within(mean);
            }
            let moved = drift::from_mean(STEP, nanos(newest.t4 - earlier.t1));
            self.recent_rates = self.recent_rates.within(mean.widened(moved));
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
        }
        self.past_rates = if self.forgot {
            let older = |index| self.watched().take(index);
            let pairs = self.watched().chain([&limit]).enumerate();
            let means = pairs.flat_map(|(index, later)| {
                older(index).map(|earlier| earlier.mean_rates_until(later))
            });
            means.fold(Rates::UNKNOWN, Rates::within)
        } else {
            let means = self.watched().map(|earlier| earlier.mean_rates_until(&limit));
            means.fold(self.past_rates, Rates::within)
        };
        self.past.push(limit);
        self.rates = self.past_rates;
        self.recent_rates = Rates::UNKNOWN;
    }

    /// Past rounds since the last pause in which a move of the rate would have gone unseen.
    fn watched(&self) -> impl Iterator<Item = &Limit> + Clone {
        self.past.iter().filter(|limit| limit.t1 >= self.watched_since)
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

    /// The mean rates that are possible between any two rounds since the last long pause.
    pub(super) fn mean_rates(&self) -> Rates {
        self.rates
    }

    /// The rates that are possible at the newest sample and soon after, by what the oscillator may
    /// have moved since it had the mean rates from past rounds until then.
    pub(super) fn recent_rates(&self) -> Rates {
        self.recent_rates
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

/// Rounds remembered: three hours of them.
const PAST: usize = 36;
/// Exchanges in the largest burst.
pub(super) const ROUND: usize = 8;
/// Exchanges within so long of the one before belong to one round: requests of a burst are 0.8 s
/// apart at most, and attempts made at once follow one another after two.
pub(crate) const ROUND_GAP: Span = Span::from_millis(1_900);
/// By how much our rate has moved from one to another of these, for certain.
fn unrest<'a>(limits: impl Iterator<Item = &'a Limit>) -> f64 {
    let (mut highest, mut lowest) = (f32::NEG_INFINITY, f32::INFINITY);
    for limit in limits {
        highest = highest.max(limit.rate - limit.deviation);
        lowest = lowest.min(limit.rate + limit.deviation);
    }
    f64::from((highest - lowest).max(0.0))
}

/// In a longer pause between rounds the rate may move, and move back, without being seen.
const WATCHED_GAP: Span = Span::from_secs(1_800);
/// Rounds closer together than this may be remembered as one.
const PAST_SPACING: Span = Span::from_secs(200);
