//! Time from a server that tells it in one coarse stamp, as HTTP servers do: in whole seconds, say.
//!
//! A stamp `s` of resolution `r` says that the server's time was within `[s, s + r)` at some moment
//! between request and reply. Each exchange so limits true less local time to an interval; their
//! intersection shrinks fast where requests are timed to arrive around the turn of a second. It is
//! handed on as an exchange that has just this interval: received and sent at `s`, between the
//! moments of the counter at which the two limits put `s`.

use crate::exchange::ServerReply;
use crate::packet::{Leap, ReferenceId};
use crate::time::{LocalTime, Span, UnixTime};

/// Intersects what coarse stamps of one server say, and times the requests for them.
///
/// ```
/// use ntp_clock_core::{LocalTime, Span, UnixTime, WholeSeconds};
/// let mut stamps = WholeSeconds::new(Span::from_millis(50));
/// let at = |ms: i64| LocalTime::from_nanos(ms * 1_000_000);
/// let second = |s: i64| UnixTime::from_nanos(s * 1_000_000_000);
/// // The first stamp knows the time within a second and the round trip.
/// let first = stamps.stamp(at(0), second(1_800_000_000), Span::from_secs(1), at(20));
/// assert_eq!(first.received_at - first.sent_at, Span::from_millis(1_020));
/// // The second request is timed to find out in which half of it.
/// let send_at = stamps.next_send(at(30), Span::from_millis(20));
/// let arrives = send_at + Span::from_millis(20);
/// let second = stamps.stamp(send_at, second(1_800_000_001), Span::from_secs(1), arrives);
/// assert!(second.received_at - second.sent_at < Span::from_millis(540));
/// ```
#[derive(Clone, Debug)]
pub struct WholeSeconds {
    /// The most that the server's clock is taken to be wrong by; such a server states nothing.
    assumed_error: Span,
    known: Option<Limits>,
    resolution: Span,
}

/// What a stamp says, in the terms of an exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamped {
    /// T1 of the exchange: not the moment of sending, which says less.
    pub sent_at: LocalTime,
    /// The server's half.
    pub reply: ServerReply,
    /// T4 of the exchange, no later than the reply's arrival.
    pub received_at: LocalTime,
}

/// True less local time at a moment of the counter, the server's own error left out.
#[derive(Clone, Copy, Debug)]
struct Limits {
    least_ns: i64,
    most_ns: i64,
    at: LocalTime,
}

impl WholeSeconds {
    /// Knows nothing yet of a server whose clock is taken to be right within `assumed_error`.
    #[must_use]
    pub const fn new(assumed_error: Span) -> Self {
        WholeSeconds { assumed_error, known: None, resolution: Span::ZERO }
    }

    /// A reply that came at `t4` to a request of `t1` is stamped `stamp`, cut off to `resolution`.
    ///
    /// A stamp that contradicts those before by more than the server's assumed error stands alone:
    /// whether to believe it is for the engine to say.
    pub fn stamp(
        &mut self,
        t1: LocalTime,
        stamp: UnixTime,
        resolution: Span,
        t4: LocalTime,
    ) -> Stamped {
        self.resolution = resolution.abs();
        let s = stamp.as_nanos();
        let limits = Limits {
            least_ns: s.saturating_sub(t4.as_nanos()),
            most_ns: s.saturating_add(self.resolution.as_nanos()).saturating_sub(t1.as_nanos()),
            at: t4,
        };
        let both = self.known.map_or(limits, |known| known.widened_to(t4).intersected(limits));
        let contradiction = both.least_ns.saturating_sub(both.most_ns);
        let known = if contradiction > self.assumed_error.times(2).as_nanos() {
            limits
        } else {
            both.ordered()
        };
        self.known = Some(known);
        let sent_at = LocalTime::from_nanos(s.saturating_sub(known.most_ns));
        let received_at = LocalTime::from_nanos(s.saturating_sub(known.least_ns));
        // The middle between stamps that disagree may put `s` after the arrival; any earlier
        // moment of both clocks tells the same difference between them.
        let early = if received_at > t4 { received_at - t4 } else { Span::ZERO };
        Stamped {
            sent_at: sent_at - early,
            reply: ServerReply {
                receive_time: stamp - early,
                transmit_time: stamp - early,
                root_delay: Span::ZERO,
                root_dispersion: self.assumed_error,
                precision_log2_s: EXACT,
                leap: Leap::None,
                stratum: 1,
                reference_id: ReferenceId::NONE,
            },
            received_at: received_at - early,
        }
    }

    /// When to send the next request so that it learns the most, no earlier than `now` and little
    /// more than one resolution later: timed to reach the server, half a `round_trip` later, at
    /// that turn of its stamps which the middle of what is known foretells. `now` where nothing is
    /// known, or where a turn cannot be distinguished from its neighbours any better.
    #[must_use]
    pub fn next_send(&self, now: LocalTime, round_trip: Span) -> LocalTime {
        let Some(known) = self.known.map(|known| known.widened_to(now)) else { return now };
        let step = self.resolution.as_nanos();
        let width = known.most_ns.saturating_sub(known.least_ns);
        if step == 0
            || width <= round_trip.abs().as_nanos()
            || round_trip.times(2) > self.resolution
        {
            return now;
        }
        let arrival = now + round_trip.half_ceil();
        let arrives_ns = arrival.as_nanos().saturating_add(known.middle());
        let after_turn = arrives_ns.rem_euclid(step);
        now + Span::from_nanos(if after_turn == 0 { 0 } else { step - after_turn })
    }

    /// Forgets all: the counter lost time, or the server is another.
    pub fn reset(&mut self) {
        self.known = None;
    }
}

impl Limits {
    /// The same limits at a later moment, whatever the counter's rate.
    fn widened_to(self, at: LocalTime) -> Limits {
        let age = (at - self.at).abs().as_nanos();
        let drift = age / COUNTER_PARTS + 1;
        Limits {
            least_ns: self.least_ns.saturating_sub(drift),
            most_ns: self.most_ns.saturating_add(drift),
            at,
        }
    }

    fn intersected(self, other: Limits) -> Limits {
        Limits {
            least_ns: self.least_ns.max(other.least_ns),
            most_ns: self.most_ns.min(other.most_ns),
            at: other.at,
        }
    }

    /// Limits that cross, by no more than twice the server's error, both become their middle: that
    /// is right within the server's error.
    fn ordered(self) -> Limits {
        if self.least_ns <= self.most_ns {
            return self;
        }
        let middle = self.middle();
        Limits { least_ns: middle, most_ns: middle, ..self }
    }

    fn middle(self) -> i64 {
        ((i128::from(self.least_ns) + i128::from(self.most_ns)) >> 1) as i64
    }
}

/// A counter may be wrong by one part in this many: 500 ppm.
const COUNTER_PARTS: i64 = 2_000;
/// Log2 of the precision, seconds: the stamp's coarseness is in the interval already.
const EXACT: i8 = -30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Exchange;
    use proptest::prelude::*;

    const TRUE_LESS_LOCAL_NS: i64 = 1_800_000_000_437_000_000;

    /// A server stamping what its clock, wrong by `error_ns`, shows when a request arrives.
    struct World {
        local_ns: i64,
        error_ns: i64,
        resolution: Span,
        stamps: WholeSeconds,
    }

    impl World {
        fn new(error_ns: i64, resolution: Span) -> Self {
            let stamps = WholeSeconds::new(Span::from_millis(50));
            World { local_ns: 5_000_000, error_ns, resolution, stamps }
        }

        fn ask(&mut self, there_ns: i64, back_ns: i64) -> Exchange {
            let now = LocalTime::from_nanos(self.local_ns);
            let t1 = self.stamps.next_send(now, Span::from_nanos(there_ns + back_ns));
            assert!(t1 >= now && t1 - now <= self.resolution, "waits {:?}", t1 - now);
            let arrival = t1.as_nanos() + there_ns;
            let shown = arrival + TRUE_LESS_LOCAL_NS + self.error_ns;
            let step = self.resolution.as_nanos();
            let stamp = UnixTime::from_nanos(shown - shown.rem_euclid(step));
            let t4 = LocalTime::from_nanos(arrival + back_ns);
            self.local_ns = t4.as_nanos() + 50_000_000;
            let stamped = self.stamps.stamp(t1, stamp, self.resolution, t4);
            assert!(stamped.received_at <= t4);
            Exchange::new(stamped.sent_at, stamped.reply, stamped.received_at).expect("possible")
        }
    }

    fn holds_the_truth(exchange: &Exchange) -> bool {
        let error = exchange.reply().max_error().as_nanos();
        let s = exchange.reply().receive_time.as_nanos();
        let least = s - exchange.received_at().as_nanos() - error;
        let most = s - exchange.sent_at().as_nanos() + error;
        (least..=most).contains(&TRUE_LESS_LOCAL_NS)
    }

    #[test]
    fn seven_whole_second_stamps_know_the_time_within_three_round_trips() {
        let mut world = World::new(0, Span::from_secs(1));
        let delays: [Span; 7] = core::array::from_fn(|_| world.ask(5_000_000, 5_000_000).delay());
        assert!(delays[0] > Span::from_secs(1), "{delays:?}");
        assert!(delays[6] < Span::from_millis(30), "{delays:?}");
    }

    #[test]
    fn stamps_of_a_millisecond_are_never_waited_for() {
        let mut world = World::new(0, Span::from_millis(1));
        for _ in 0..4 {
            let before = world.local_ns;
            world.ask(5_000_000, 5_000_000);
            assert_eq!(world.local_ns - before, 60_000_000);
        }
    }

    #[test]
    fn a_server_that_stepped_further_than_its_error_is_taken_at_its_last_word() {
        let mut world = World::new(0, Span::from_millis(1));
        world.ask(1_000_000, 1_000_000);
        world.error_ns = 3_000_000_000;
        let after = world.ask(1_000_000, 1_000_000);
        assert_eq!(after.delay(), Span::from_millis(3));
        assert!(!holds_the_truth(&after));
    }

    fn at(ns: i64) -> LocalTime {
        LocalTime::from_nanos(ns)
    }

    /// A stamp of an exchange without duration.
    fn stamped(
        stamps: &mut WholeSeconds,
        local_ns: i64,
        stamp_ns: i64,
        resolution: Span,
    ) -> Stamped {
        stamps.stamp(at(local_ns), UnixTime::from_nanos(stamp_ns), resolution, at(local_ns))
    }

    #[test]
    fn stamps_that_disagree_by_twice_the_servers_error_meet_in_the_middle_and_no_further() {
        // The first says [0, 1 ms], a nanosecond wider by now; the second begins after its end.
        let second = |after_end_ns: i64| {
            let mut stamps = WholeSeconds::new(Span::from_millis(50));
            stamped(&mut stamps, 0, 0, Span::from_millis(1));
            let stamp_ns = 1_000_001 + after_end_ns;
            (stamp_ns, stamped(&mut stamps, 0, stamp_ns, Span::from_millis(1)))
        };
        let (stamp_ns, met) = second(100_000_000);
        let middle = UnixTime::from_nanos(stamp_ns - 50_000_000);
        assert_eq!((met.sent_at, met.received_at), (at(0), at(0)));
        assert_eq!((met.reply.receive_time, met.reply.transmit_time), (middle, middle));
        let (stamp_ns, alone) = second(100_000_001);
        assert_eq!((alone.sent_at, alone.received_at), (at(-1_000_000), at(0)));
        assert_eq!(alone.reply.receive_time, UnixTime::from_nanos(stamp_ns));
    }

    #[test]
    fn what_is_known_widens_by_500_ppm_of_its_age() {
        let mut stamps = WholeSeconds::new(Span::from_millis(50));
        stamped(&mut stamps, 0, 10_000_000_000, Span::from_secs(1));
        // At least 10 s ahead two seconds ago, so 1,000,001 ns less by now; and at most 10.5 s.
        let later = stamped(&mut stamps, 2_000_000_000, 11_500_000_000, Span::from_secs(1));
        assert_eq!((later.sent_at, later.received_at), (at(1_000_000_000), at(1_501_000_001)));
    }

    #[test]
    fn a_request_is_timed_for_the_turn_of_the_stamps_where_that_tells_something() {
        let mut stamps = WholeSeconds::new(Span::from_millis(50));
        let ms = |ms: i64| Span::from_millis(ms);
        assert_eq!(stamps.next_send(at(7), ms(500)), at(7), "nothing is known");
        stamped(&mut stamps, 0, 10_000_000_000, Span::from_secs(1));
        // Ahead by 10.5 s, as far as is known: it would arrive at 10.75 s, a quarter too early.
        assert_eq!(stamps.next_send(at(0), ms(500)), at(250_000_000));
        assert_eq!(stamps.next_send(at(0), ms(501)), at(0), "two turns within a round trip");
        // Between 10.4 s and 10.41 s: less than a round trip of 20 ms can tell apart.
        stamped(&mut stamps, 600_000_000, 11_000_000_000, Span::from_secs(1));
        stamped(&mut stamps, 590_000_000, 10_000_000_000, Span::from_secs(1));
        assert_eq!(stamps.next_send(at(610_000_000), ms(20)), at(610_000_000));
        let timed = stamps.next_send(at(610_000_000), ms(4)) - at(610_000_000);
        assert!((timed - ms(983)).abs() < Span::from_micros(5), "{timed:?}");
    }

    #[test]
    fn after_a_reset_a_stamp_stands_alone() {
        let mut stamps = WholeSeconds::new(Span::from_millis(50));
        let first = stamped(&mut stamps, 0, 10_000_000_000, Span::from_secs(1));
        stamps.reset();
        assert_eq!(stamps.next_send(at(3), Span::from_millis(10)), at(3));
        let again = stamped(&mut stamps, 0, 10_500_000_000, Span::from_secs(1));
        assert_eq!(again.received_at - again.sent_at, first.received_at - first.sent_at);
    }

    proptest! {
        #[test]
        fn the_truth_is_inside_whatever_the_path_and_an_error_within_the_assumed_one(
            coarse in any::<bool>(),
            asked in prop::collection::vec(
                (0_i64..300_000_000, 0_i64..300_000_000, -50_000_000_i64..=50_000_000), 1..20),
        ) {
            let resolution = if coarse { Span::from_secs(1) } else { Span::from_millis(1) };
            let mut world = World::new(0, resolution);
            for (there, back, error) in asked {
                world.error_ns = error;
                prop_assert!(holds_the_truth(&world.ask(there, back)));
            }
        }

        #[test]
        fn no_stamp_makes_it_panic(
            t1 in any::<i64>(), s in any::<i64>(), r in any::<i64>(), t4 in any::<i64>(), n in any::<i64>()
        ) {
            let mut stamps = WholeSeconds::new(Span::from_millis(50));
            for _ in 0..2 {
                stamps.stamp(
                    LocalTime::from_nanos(t1),
                    UnixTime::from_nanos(s),
                    Span::from_nanos(r),
                    LocalTime::from_nanos(t4),
                );
                let _ = stamps.next_send(LocalTime::from_nanos(n), Span::from_nanos(r));
            }
        }
    }
}
