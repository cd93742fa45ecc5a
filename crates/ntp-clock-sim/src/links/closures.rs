//! Relations between stamps of all machines, by all their links together.

use ntp_clock_core::{Evidence, Span, UnixTime};
use ntp_clock_order::{Cause, Closure, LinkBetween, Reason, Stamp, Verdict};

use super::run::Run;

/// A stamp, and when it truly was.
#[derive(Clone, Copy, Debug)]
struct Event {
    node: usize,
    t_ns: i64,
    stamp: Stamp,
}

impl Run<'_> {
    /// Stamps of about now by all machines that run, and every two of them compared.
    pub(super) fn relate(&mut self, now_ns: i64) {
        let events = self.events(now_ns);
        let links = self.snapshots_now(now_ns);
        let causes = self.causes(&events);
        let stamps: Vec<Stamp> = events.iter().map(|event| event.stamp).collect();
        let clocks: Vec<_> = self.system.nodes.iter().map(|node| node.reported()).collect();
        let Ok(closure) = Closure::new(&clocks, &stamps, &links, &causes) else {
            self.oracle.refused(now_ns, &format!("{links:?}"));
            return;
        };
        let lies = |node: usize| self.system.nodes[node].lie.is_some();
        let rests_on_a_lie = |reasons: &[Reason]| {
            reasons.iter().any(|reason| match *reason {
                Reason::Counter(clock) => lies(clock),
                Reason::Link(link) => lies(links[link].a) || lies(links[link].b),
                Reason::Cause(cause) => {
                    lies(events[causes[cause].earlier].node)
                        || lies(events[causes[cause].later].node)
                }
                Reason::Reading(stamp) => lies(events[stamp].node),
            })
        };
        let honest = (0..clocks.len()).all(|node| !lies(node));
        for contradiction in closure.contradictions() {
            if !rests_on_a_lie(contradiction) {
                self.oracle.contradicted(now_ns, true);
            }
        }
        for (i, one) in events.iter().enumerate() {
            for (j, other) in events.iter().enumerate().skip(i + 1) {
                if lies(one.node) || lies(other.node) {
                    continue;
                }
                let relation = closure.relation(i, j);
                let truth = Span::from_nanos(other.t_ns - one.t_ns);
                if honest {
                    self.oracle.apart(&relation, truth, one.t_ns);
                }
                if rests_on_a_lie(&relation.rests_on) {
                    self.oracle.listed();
                    continue;
                }
                let certain = match relation.verdict {
                    Verdict::Before => Some(true),
                    Verdict::After => Some(false),
                    Verdict::CannotTell => None,
                };
                self.oracle.ordered(certain, truth > Span::ZERO, one.t_ns);
            }
        }
    }

    /// Two by each machine, some with synchronised time.
    fn events(&mut self, now_ns: i64) -> Vec<Event> {
        let mut events = Vec::new();
        for node in 0..self.machines.len() {
            let Some(life) = self.machines[node].life_at(now_ns) else { continue };
            let from_ns = self.machines[node].life(life).from_ns;
            for _ in 0..2 {
                let t_ns = now_ns - self.dice.magnitude(1e3, 1e11) as i64;
                if t_ns < from_ns {
                    continue;
                }
                let counter = self.machines[node].reading(life, t_ns);
                let utc = self.dice.chance(0.3).then(|| {
                    let max_error = self.dice.magnitude(1e4, 1e8);
                    let off = max_error * self.dice.within(-1.0, 1.0) * 0.999_99;
                    let time = UnixTime::from_nanos(START_NS + t_ns + off as i64);
                    (time, Span::from_nanos_f64_ceil(max_error))
                });
                events.push(Event { node, t_ns, stamp: Stamp { clock: node, counter, utc } });
            }
        }
        events
    }

    /// What each link between the counters of now knows.
    fn snapshots_now(&mut self, now_ns: i64) -> Vec<LinkBetween> {
        let evidence = if self.dice.chance(0.7) { Evidence::All } else { Evidence::Exchanges };
        let mut links = Vec::new();
        for (leg, known) in self.system.legs.iter().zip(&self.links) {
            let (Some(life_a), Some(life_b)) =
                (self.machines[leg.a].life_at(now_ns), self.machines[leg.b].life_at(now_ns))
            else {
                continue;
            };
            let Some(known) = known.iter().find(|known| known.lives == (life_a, life_b)) else {
                continue;
            };
            let a = self.machines[leg.a].reading(life_a, now_ns);
            if let Some(snapshot) = known.link.snapshot(a, evidence)
                && snapshot.is_sound()
            {
                links.push(LinkBetween { a: leg.a, b: leg.b, snapshot });
            }
        }
        links
    }

    /// A message or two: any event that is earlier may be the cause of one that is later.
    fn causes(&mut self, events: &[Event]) -> Vec<Cause> {
        let mut causes = Vec::new();
        for _ in 0..self.dice.count(0, 2) {
            let mut any = || self.dice.count(0, events.len().max(1) as u64 - 1) as usize;
            let (one, other) = (any(), any());
            let when = |place: usize| events.get(place).map(|event| event.t_ns);
            if when(one) < when(other) {
                causes.push(Cause { earlier: one, later: other });
            }
        }
        causes
    }
}

/// True time at the world's beginning.
const START_NS: i64 = 1_796_000_000_000_000_000;
