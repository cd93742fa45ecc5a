//! What a link is fed in the course of a run, in the order in which it comes to be known.

use ntp_clock_core::{LinkStamps, LocalTime, Source};

use super::life::Machine;
use super::system::{Leg, System};
use crate::dice::Dice;
use crate::duration::SECOND_NS;

/// One piece of evidence.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Feed {
    /// When it is fed, true nanoseconds since the world's beginning.
    pub(super) at_ns: i64,
    pub(super) leg: usize,
    /// The lives of both ends whose counters it is about.
    pub(super) lives: (usize, usize),
    pub(super) what: What,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum What {
    Exchange(LinkStamps),
    ToB(LocalTime, LocalTime, Source),
    ToA(LocalTime, LocalTime, Source),
}

/// All evidence of a run.
pub(super) fn feeds(system: &System, machines: &mut [Machine]) -> Vec<Feed> {
    let mut feeds = Vec::new();
    for (place, leg) in system.legs.iter().enumerate() {
        let mut feeder = Feeder {
            leg,
            place,
            machines,
            dice: Dice::new(system.seed ^ ((place as u64) << 32), "traffic"),
            until_ns: system.duration_ns,
            feeds: &mut feeds,
        };
        if leg.traffic.exchanges {
            feeder.exchanges();
        }
        feeder.messages(true, leg.traffic.to_b_per_hour);
        feeder.messages(false, leg.traffic.to_a_per_hour);
    }
    feeds.sort_by_key(|feed| feed.at_ns);
    feeds
}

struct Feeder<'a> {
    leg: &'a Leg,
    place: usize,
    machines: &'a mut [Machine],
    dice: Dice,
    until_ns: i64,
    feeds: &'a mut Vec<Feed>,
}

/// An exchange whose reply has come, and of which the other side does not know yet.
struct Done {
    t4_ns: i64,
    lives: (usize, usize),
    what: What,
}

impl Feeder<'_> {
    /// Connections, one for each pair of lives.
    fn exchanges(&mut self) {
        let mut from_ns = (self.dice.unit() * 5e9) as i64;
        while from_ns < self.until_ns {
            let (a_ns, life_a) = self.machines[self.leg.a].runs_from(from_ns);
            let (b_ns, life_b) = self.machines[self.leg.b].runs_from(from_ns);
            if a_ns.max(b_ns) > from_ns {
                from_ns = a_ns.max(b_ns);
                continue;
            }
            let a = self.machines[self.leg.a].life(life_a);
            let b = self.machines[self.leg.b].life(life_b);
            let to_ns = a.to_ns.min(b.to_ns).min(self.until_ns);
            self.connection((life_a, life_b), from_ns, to_ns);
            from_ns = to_ns + (self.dice.unit() * 3e9) as i64;
        }
    }

    fn connection(&mut self, lives: (usize, usize), from_ns: i64, to_ns: i64) {
        let mut done: Option<Done> = None;
        let mut later = BURST_NS[BURST_NS.len() - 1];
        let mut offsets = BURST_NS.into_iter().chain(std::iter::from_fn(move || {
            later += EVERY_NS;
            Some(later)
        }));
        while let Some(t1_ns) = offsets.next().map(|offset_ns| from_ns + offset_ns) {
            if t1_ns >= to_ns {
                return;
            }
            if self.leg.path.outage(t1_ns).is_some() {
                continue;
            }
            let [Some(forth_ns), _] = self.leg.path.forth.carry(&mut self.dice, t1_ns) else {
                continue;
            };
            let t2_ns = t1_ns + forth_ns;
            let t3_ns = t2_ns + self.dice.exponential(HOLD_NS) as i64;
            if t3_ns >= to_ns {
                continue; // Nobody is there any more.
            }
            // The request says when it left, and when the last reply came.
            if let Some(known) = done.take_if(|known| known.t4_ns <= t1_ns) {
                self.push(t2_ns, known.lives, known.what);
            }
            let [a, b] = [self.leg.a, self.leg.b];
            let sent_a = self.machines[a].stamp_before(lives.0, t1_ns);
            let received_b = self.machines[b].stamp_after(lives.1, t2_ns);
            self.push(t2_ns, lives, What::ToB(sent_a, received_b, Source::Exchange));
            let [Some(back_ns), _] = self.leg.path.back.carry(&mut self.dice, t3_ns) else {
                continue;
            };
            let t4_ns = t3_ns + back_ns;
            if t4_ns >= to_ns {
                continue;
            }
            let sent_b = self.machines[b].stamp_before(lives.1, t3_ns);
            let received_a = self.machines[a].stamp_after(lives.0, t4_ns);
            // A step of a coarse counter can be longer than the request was held.
            let what = if sent_b < received_b {
                What::ToA(sent_b, received_a, Source::Exchange)
            } else {
                What::Exchange(LinkStamps { sent_a, received_b, sent_b, received_a })
            };
            done = Some(Done { t4_ns, lives, what });
        }
    }

    /// Messages that go for another purpose, at random moments.
    fn messages(&mut self, to_b: bool, per_hour: f64) {
        if per_hour <= 0.0 {
            return;
        }
        let gap_ns = 3_600.0 * SECOND_NS as f64 / per_hour;
        let mut t_ns = self.dice.exponential(gap_ns) as i64;
        while t_ns < self.until_ns {
            self.message(to_b, t_ns);
            t_ns += 1 + self.dice.exponential(gap_ns) as i64;
        }
    }

    fn message(&mut self, to_b: bool, t_ns: i64) {
        let Leg { a, b, path, traffic } = self.leg;
        let (from, to, way) = if to_b { (*a, *b, &path.forth) } else { (*b, *a, &path.back) };
        let Some(life_from) = self.machines[from].life_at(t_ns) else { return };
        let sent = self.machines[from].stamp_before(life_from, t_ns);
        let mut leaves_ns = t_ns;
        if self.dice.chance(traffic.outbox_share) {
            leaves_ns += self.dice.within(0.0, traffic.outbox_most_ns) as i64;
        }
        if let Some(outage) = path.outage(leaves_ns) {
            leaves_ns = outage.to_ns; // It waits.
        }
        for delay_ns in way.carry(&mut self.dice, leaves_ns).into_iter().flatten() {
            let (t_ns, life_to) = self.machines[to].runs_from(leaves_ns + delay_ns);
            let received = self.machines[to].stamp_after(life_to, t_ns);
            let source = Source::Message;
            let (lives, what) = if to_b {
                ((life_from, life_to), What::ToB(sent, received, source))
            } else {
                ((life_to, life_from), What::ToA(sent, received, source))
            };
            self.push(t_ns, lives, what);
        }
    }

    fn push(&mut self, at_ns: i64, lives: (usize, usize), what: What) {
        if at_ns < self.until_ns {
            self.feeds.push(Feed { at_ns, leg: self.place, lives, what });
        }
    }
}

const BURST_NS: [i64; 6] =
    [0, SECOND_NS / 2, SECOND_NS, 2 * SECOND_NS, 4 * SECOND_NS, 8 * SECOND_NS];
const EVERY_NS: i64 = 10 * SECOND_NS;
/// A request is held for so long in the mean.
const HOLD_NS: f64 = 2e5;
