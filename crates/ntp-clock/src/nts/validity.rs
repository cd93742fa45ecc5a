//! From when on a certificate's successor is looked for.

use ntp_clock_core::{Span, UnixTime};

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    pub(super) since: UnixTime,
    pub(super) until: UnixTime,
}

impl Validity {
    /// Whether it should be looked now whether the server has a newer certificate, when that was
    /// looked for last at this time. In the last third of its life: servers have the next one by
    /// then. `spread`, 64 random bits, puts off the first look by a quarter of that at most, so
    /// that a server's clients do not come together. The more time is left the longer are the
    /// pauses.
    pub(super) fn is_ending(self, now: UnixTime, looked: UnixTime, spread: u64) -> bool {
        let left = self.until - now;
        let third = (self.until - self.since).share(u64::MAX / 3);
        let pause = left.share(QUARTER).clamp(PAUSE_MIN, PAUSE_MAX);
        left < third - third.share(QUARTER).share(spread) && (now - looked).abs() >= pause
    }
}

const QUARTER: u64 = 1 << 62;
const PAUSE_MIN: Span = Span::from_secs(600);
const PAUSE_MAX: Span = Span::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Span = Span::from_secs(3_600);
    const SINCE: UnixTime = UnixTime::from_nanos(1_793_577_600_000_000_000);

    /// The hours of its life at which a certificate's successor is looked for, up to these.
    fn looks(life_h: u32, up_to_h: u32, spread: u64) -> Vec<u32> {
        let after = |hours| (0..hours).fold(SINCE, |time, _| time + HOUR);
        let validity = Validity { since: SINCE, until: after(life_h) };
        let (mut now, mut looked, mut looks) = (SINCE, SINCE, vec![]);
        for hour in 1..up_to_h {
            now = now + HOUR;
            if validity.is_ending(now, looked, spread) {
                looks.push(hour);
                looked = now;
            }
        }
        looks
    }

    #[test]
    fn a_certificates_successor_is_looked_for_in_the_last_third_of_its_life_once_a_day() {
        let looks = looks(90 * 24, 90 * 24, 0);
        assert_eq!(looks[..3], [60 * 24 + 1, 61 * 24 + 1, 62 * 24 + 1]);
        assert!((30..50).contains(&looks.len()), "{looks:?}");
        // More often when little is left.
        assert!(looks.is_sorted_by(|a, b| a < b) && looks.ends_with(&[2_158, 2_159]), "{looks:?}");
    }

    #[test]
    fn clients_of_one_server_look_at_different_times() {
        for (spread, first) in [(0, 1_441), (1 << 63, 1_531), (u64::MAX, 1_621)] {
            assert!(looks(2_160, 2_160, spread)[0].abs_diff(first) <= 1, "{spread}");
        }
    }

    #[test]
    fn a_short_life_is_looked_after_too_and_what_has_ended_still_is() {
        assert_eq!(looks(4, 8, 0), [3, 4, 5, 6, 7]);
    }
}
