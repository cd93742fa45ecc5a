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
    /// Since when no pause between rounds was long: of rounds before it the rate now may be anywhere.
    connected_since: LocalTime,
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
            connected_since: LocalTime::MIN,
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

    /// Appends a sample. Where it begins another round, the one before becomes past; `possible` are
    /// the rates that there may have been.
    pub(super) fn push(&mut self, sample: Sample, possible: Rates) {
        if self.begins_round(&sample) {
            self.close_round(possible);
            if self.past.last().is_some_and(|last| sample.t1 - last.latest() > CONNECTED_GAP) {
                self.connected_since = sample.t1;
                (self.past_rates, self.rates) = (Rates::UNKNOWN, Rates::UNKNOWN);
            }
        }
        self.last_sent = sample.t1.max(self.last_sent);
        let newest = Limit::of_sample(&sample);
        for earlier in self.past.iter() {
            let mean = earlier.mean_rates_until(&newest);
            if earlier.t1 >= self.connected_since {
                self.rates = self.rates.within(mean);
            }
            let moved = drift::from_mean(STEP, nanos(newest.t4 - earlier.t1));
            self.recent_rates = self.recent_rates.within(mean.widened(moved));
        }
        self.round.push(sample);
    }

    fn close_round(&mut self, possible: Rates) {
        let limits = self.round.iter().map(Limit::of_sample);
        let Some(limit) = limits.reduce(|a, b| a.joined(&b, possible)) else { return };
        let ended = self.round.iter().map(|sample| sample.t4).max();
        self.past_until = ended.map_or(self.past_until, |at| at.max(self.past_until));
        self.round = Ring::new();
        self.last_sent = LocalTime::MIN;
        if self.past.is_full() {
            self.make_room(possible);
        }
        self.past_rates = if self.forgot {
            let older = |index| self.connected().take(index);
            let pairs = self.connected().chain([&limit]).enumerate();
            let means = pairs.flat_map(|(index, later)| {
                older(index).map(|earlier| earlier.mean_rates_until(later))
            });
            means.fold(Rates::UNKNOWN, Rates::within)
        } else {
            let means = self.connected().map(|earlier| earlier.mean_rates_until(&limit));
            means.fold(self.past_rates, Rates::within)
        };
        self.past.push(limit);
        self.rates = self.past_rates;
        self.recent_rates = Rates::UNKNOWN;
    }

    /// Past rounds since the last long pause.
    fn connected(&self) -> impl Iterator<Item = &Limit> + Clone {
        self.past.iter().filter(|limit| limit.t1 >= self.connected_since)
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
/// Rounds of pairs are within two days, in which an oscillator moves by no more than
/// [`crate::drift::WANDER`]: a window without a longer pause spans 18 hours at most.
const CONNECTED_GAP: Span = Span::from_secs(1_800);
/// Rounds closer together than this may be remembered as one.
const PAST_SPACING: Span = Span::from_secs(200);

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const SECOND_NS: i64 = 1_000_000_000;

    /// A moment's exchange: truth less local time is within these.
    fn sample(at_ns: i64, lower_ns: i64, upper_ns: i64) -> Sample {
        let at = LocalTime::from_nanos(at_ns);
        Sample {
            t1: at,
            t4: at,
            upper: Span::from_nanos(upper_ns),
            lower: Span::from_nanos(lower_ns),
            mid: at,
            offset: Span::ZERO,
            delay: Span::ZERO,
        }
    }

    fn push(window: &mut Window, sample: Sample) {
        window.push(sample, Rates::ANY);
    }

    /// One round of one exchange each, at these seconds and within these.
    fn of(rounds: &[(i64, i64, i64)]) -> Window {
        let mut window = Window::new();
        for (at_s, lower_ns, upper_ns) in rounds {
            push(&mut window, sample(at_s * SECOND_NS, *lower_ns, *upper_ns));
        }
        window
    }

    fn moments_s(window: &Window) -> Vec<i64> {
        window.limits().map(|limit| limit.t1.as_nanos() / SECOND_NS).collect()
    }

    fn are(rates: Rates, low: f64, high: f64) -> bool {
        let near = |a: f64, b: f64| a == b || (a - b).abs() < 1e-9 * b.abs();
        near(rates.low, low) && near(rates.high, high)
    }

    #[test]
    fn exchanges_within_1900_ms_of_the_last_make_a_round_of_eight_at_most() {
        let mut window = Window::new();
        let at_ms = |ms: i64| sample(ms * 1_000_000, 0, 0);
        assert!(window.begins_round(&at_ms(0)) && window.newest().is_none());
        push(&mut window, at_ms(0));
        assert!(!window.begins_round(&at_ms(1_900)) && window.begins_round(&at_ms(1_901)));
        for ms in 1..8 {
            assert!(!window.begins_round(&at_ms(1_900)));
            push(&mut window, at_ms(ms));
        }
        assert!(window.begins_round(&at_ms(8)));
        assert_eq!((window.round().count(), window.newest()), (8, Some(&at_ms(7))));
        push(&mut window, at_ms(8));
        assert_eq!(window.round().copied().collect::<Vec<_>>(), [at_ms(8)]);
        // The last request counts, not the last reply.
        let mut reordered = Window::new();
        push(&mut reordered, at_ms(1_000));
        push(&mut reordered, at_ms(500));
        assert!(!reordered.begins_round(&at_ms(2_900)));
    }

    #[test]
    fn a_sample_of_this_round_and_one_from_before_it_are_known() {
        let mut window = Window::new();
        assert!(!window.has_seen(&sample(0, 0, 0)));
        push(&mut window, Sample { t4: LocalTime::from_nanos(50), ..sample(0, 0, 0) });
        push(&mut window, sample(20, 0, 0));
        push(&mut window, sample(9 * SECOND_NS, 0, 0));
        assert!(window.has_seen(&sample(9 * SECOND_NS, 0, 0)));
        assert!(!window.has_seen(&sample(9 * SECOND_NS, 0, 1)));
        assert!(window.has_seen(&sample(50, 3, 4)) && !window.has_seen(&sample(51, 3, 4)));
    }

    #[test]
    fn a_round_that_is_over_says_what_its_tightest_sides_say() {
        let mut window = Window::new();
        for (at_ns, lower, upper) in [(0, -900, 100), (50, -100, 900), (2 * SECOND_NS, 0, 0)] {
            push(&mut window, sample(at_ns, lower, upper));
        }
        let limits: Vec<Limit> = window.limits().collect();
        let ns = Span::from_nanos;
        assert_eq!((limits.len(), limits[0].upper, limits[0].lower), (2, ns(100), ns(-100)));
        assert_eq!(limits[1], Limit::of_sample(&sample(2 * SECOND_NS, 0, 0)));
    }

    #[test]
    fn mean_rates_come_from_all_pairs_of_rounds() {
        assert!(of(&[(0, 0, 0)]).mean_rates() == Rates::UNKNOWN);
        // From [-100, 100] to [900, 1,300] ns within 1,000 s.
        let window = of(&[(0, -100, 100), (1_000, 900, 1_300)]);
        assert!(are(window.mean_rates(), 0.8e-9, 1.4e-9));
        // What the first two say is not forgotten for a vaguer third.
        let window = of(&[(0, -100, 100), (1_000, 900, 1_300), (1_500, -9_000, 9_000)]);
        assert!(are(window.mean_rates(), 0.8e-9, 1.4e-9));
        // A third that says more: at least 1.35 us in 1,500 s, at most 1.5 with its width.
        let window = of(&[(0, -100, 100), (1_000, 900, 1_300), (1_500, 1_450, 1_500)]);
        assert!(are(window.mean_rates(), 1_350.0 / 1.5e12, 1_600.0 / 1.5e12));
    }

    #[test]
    fn recent_rates_are_the_means_until_now_and_what_may_have_moved_since() {
        let window = of(&[(0, -100, 100), (1_000, 900, 1_300)]);
        // A step of 4 ppm, and 400 s beyond the quiet ten minutes: 11 ppm x 400² / 7,200.
        let moved = 4e-6 + 11e-6 * 400.0 * 400.0 / 7_200.0 / 1_000.0;
        assert!(are(window.recent_rates(), 0.8e-9 - moved, 1.4e-9 + moved));
        // They are those of this round alone.
        let window = of(&[(0, 0, 0), (300, 0, 0), (600, -3_000_000, 3_000_000)]);
        assert!(are(window.recent_rates(), -9e-6, 9e-6));
    }

    #[test]
    fn rounds_on_both_sides_of_a_pause_of_more_than_half_an_hour_are_no_pair() {
        let rounds = |pause: i64| of(&[(0, 0, 0), (300, 0, 0), (300 + pause, -900, 900)]);
        assert!(are(rounds(1_800).mean_rates(), 0.0, 0.0));
        let window = rounds(1_801);
        assert!(window.mean_rates() == Rates::UNKNOWN);
        // From its last moment until now the mean is what it is all the same.
        assert!(window.recent_rates().high < 10e-6);
        // The pairs since then count again, also once there are past ones among them.
        let mut window = window;
        for (at_s, width) in [(2_401, 900), (2_701, 90_000), (3_001, 90_000)] {
            push(&mut window, sample(at_s * SECOND_NS, -width, width));
        }
        assert!(are(window.mean_rates(), -1_800.0 / 300e9, 1_800.0 / 300e9));
    }

    #[test]
    fn the_oldest_round_is_forgotten_with_all_that_it_said() {
        let wide = |n: i64| (n * 300, -1_000_000, 1_000_000);
        // The first two say that the rate is 0; 36 rounds are past, and one is under way.
        let mut rounds: Vec<_> =
            [(0, 0, 0), (300, 0, 0)].into_iter().chain((2..37).map(wide)).collect();
        let window = of(&rounds);
        assert!(!window.forgot() && are(window.mean_rates(), 0.0, 0.0));
        rounds.push(wide(37));
        let window = of(&rounds);
        assert!(window.forgot());
        assert_eq!(moments_s(&window), (1..38).map(|n| n * 300).collect::<Vec<_>>());
        // A round later its means are gone, too: the second one's remain, until the last of those
        // that are past, a millisecond either way in three hours.
        rounds.push(wide(38));
        let rates = of(&rounds).mean_rates();
        assert!(are(rates, -1e6 / 10_800e9, 1e6 / 10_800e9), "{rates:?}");
    }

    #[test]
    fn rounds_in_quick_succession_are_remembered_as_one_before_any_is_forgotten() {
        // Thirty-six rounds of which two pairs are `close` seconds apart, and two more.
        let rounds = |close: i64| {
            let mut at_s = 0;
            let mut moments = Vec::new();
            for n in 0..38 {
                at_s += if n == 10 || n == 20 { close } else { 300 };
                moments.push((at_s, -1_000, 1_000));
            }
            of(&moments)
        };
        let window = rounds(199);
        assert!(!window.forgot() && window.limits().count() == 37);
        // Ten rounds from 300 s on; of the eleventh and the tenth the later one is as tight.
        assert_eq!(
            moments_s(&window)[..11],
            [300, 600, 900, 1_200, 1_500, 1_800, 2_100, 2_400, 2_700, 3_199, 3_499]
        );
        let apart = rounds(200);
        assert!(apart.forgot() && apart.limits().count() == 37);
        assert_eq!(moments_s(&apart)[0], 600);
    }

    #[test]
    fn a_window_may_begin_with_what_another_one_knew() {
        let window = Window::starting_from(&sample(5, -7, 7));
        assert_eq!(window.limits().collect::<Vec<_>>(), [Limit::of_sample(&sample(5, -7, 7))]);
        assert!(window.newest().is_none() && !window.forgot());
    }
}
