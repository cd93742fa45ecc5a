//! Worlds in which the truth is known: counters that run at rates of their own, messages between
//! them, readings with errors. All of it is consistent.

use fastrand::Rng;
use ntp_clock_core::{Evidence, Link, LinkStamps, LocalTime, Oscillator, Span, UnixTime};
use ntp_clock_order::{Cause, Closure, LinkBetween, Stamp};

/// A counter.
#[derive(Clone, Copy)]
pub(crate) struct Counter {
    zero: i64,
    rate: f64,
}

impl Counter {
    fn of(rng: &mut Rng) -> Self {
        Counter { zero: rng.i64(0..1 << 50), rate: (rng.f64() - 0.5) * 900e-6 }
    }

    /// What it reads at a moment of true time, nanoseconds since the world began.
    pub(crate) fn at(&self, t: i64) -> LocalTime {
        LocalTime::from_nanos(self.zero + t + (t as f64 * self.rate).floor() as i64)
    }
}

/// All of it, and when each stamp was taken.
pub(crate) struct World {
    pub(crate) clocks: Vec<Oscillator>,
    pub(crate) counters: Vec<Counter>,
    pub(crate) stamps: Vec<Stamp>,
    pub(crate) links: Vec<LinkBetween>,
    pub(crate) causes: Vec<Cause>,
    pub(crate) times: Vec<i64>,
}

impl World {
    pub(crate) fn closure(&self) -> Closure {
        Closure::new(&self.clocks, &self.stamps, &self.links, &self.causes).expect("sound")
    }

    /// With this many clocks, stamps and causes.
    pub(crate) fn random(rng: &mut Rng, clocks: usize, stamps: usize, causes: usize) -> World {
        let counters: Vec<_> = (0..clocks).map(|_| Counter::of(rng)).collect();
        let mut world = World {
            clocks: vec![Oscillator::FREE; clocks],
            counters,
            stamps: Vec::new(),
            links: Vec::new(),
            causes: Vec::new(),
            times: Vec::new(),
        };
        for _ in 0..stamps {
            world.stamp(rng);
        }
        for _ in 0..causes {
            let (one, other) = (rng.usize(0..stamps), rng.usize(0..stamps));
            if world.times[one] < world.times[other] {
                world.causes.push(Cause { earlier: one, later: other });
            }
        }
        for a in 0..clocks {
            for b in a + 1..clocks {
                if rng.f64() < 0.5 {
                    world.link(rng, a, b);
                }
            }
        }
        world
    }

    fn stamp(&mut self, rng: &mut Rng) {
        let t = rng.i64(20_000_000_000..40_000_000_000);
        let clock = rng.usize(0..self.counters.len());
        let max_error = rng.i64(100_000..20_000_000);
        let time = EPOCH + t + rng.i64(-max_error..=max_error);
        let utc = rng.bool().then(|| (UnixTime::from_nanos(time), Span::from_nanos(max_error)));
        self.stamps.push(Stamp { clock, counter: self.counters[clock].at(t), utc });
        self.times.push(t);
    }

    /// Exchanges and messages of some seconds, mostly with replies.
    fn link(&mut self, rng: &mut Rng, a: usize, b: usize) {
        let (one, other) = (self.counters[a], self.counters[b]);
        let mut link = Link::new(self.clocks[a], self.clocks[b]);
        let one_way = rng.f64() < 0.2;
        let mut t = 0;
        for _ in 0..rng.usize(1..20) {
            t += rng.i64(0..4_000_000_000);
            let arrived = t + rng.i64(10_000..2_000_000);
            let back = arrived + rng.i64(1..1_000_000);
            let ended = back + rng.i64(10_000..2_000_000);
            let stamps = LinkStamps {
                sent_a: one.at(t),
                received_b: other.at(arrived),
                sent_b: other.at(back),
                received_a: one.at(ended),
            };
            if one_way {
                let source = ntp_clock_core::Source::Message;
                link.message_to_b(stamps.sent_a, stamps.received_b, source).expect("in order");
            } else {
                link.exchange(&stamps).expect("in order");
            }
        }
        assert_eq!(link.restarts(), 0);
        let moment = one.at(rng.i64(20_000_000_000..40_000_000_000));
        let snapshot = link.snapshot(moment, Evidence::All).expect("fed");
        self.links.push(LinkBetween { a, b, snapshot });
    }
}

const EPOCH: i64 = 1_759_639_032_768_445_123;
