//! One system's life: links are fed as they are in the real one, and compared with the truth.

use ntp_clock_core::{Difference, Evidence, Fed, Link, LinkError, LocalTime, Span};

use super::feed::{Feed, What, feeds};
use super::life::Machine;
use super::oracle::Oracle;
use super::system::System;
use super::tally::{LinkViolation, Tally};
use super::width::{Before, Least};
use crate::dice::Dice;
use crate::duration::SECOND_NS;

/// What became of a run.
#[derive(Clone, Debug)]
pub struct LinkOutcome {
    /// What was counted.
    pub tally: Tally,
    /// The first broken promises.
    pub violations: Vec<LinkViolation>,
}

/// Lives through a system's time and makes about this many comparisons.
#[must_use]
pub fn run_links(system: &System, comparisons: u32) -> LinkOutcome {
    let mut machines: Vec<Machine> = system
        .nodes
        .iter()
        .enumerate()
        .map(|(place, node)| Machine::new(node, system.seed.wrapping_add((place as u64) << 40)))
        .collect();
    let feeds = feeds(system, &mut machines);
    let mut run = Run {
        system,
        machines,
        links: vec![Vec::new(); system.legs.len()],
        oracle: Oracle::new(system),
        dice: Dice::new(system.seed, "comparisons"),
    };
    // Half of the questions are spread over evidence, half over time.
    let questions = f64::from(comparisons) / PER_QUESTION / 2.0;
    let by_feed = questions / feeds.len().max(1) as f64;
    let by_ns = questions / system.duration_ns as f64;
    for (place, feed) in feeds.iter().enumerate() {
        run.feed(feed);
        let next_ns = feeds.get(place + 1).map_or(system.duration_ns, |next| next.at_ns);
        let n = by_feed + by_ns * (next_ns - feed.at_ns) as f64;
        let n = n as u32 + u32::from(run.dice.chance(n.fract()));
        for _ in 0..n {
            run.ask(feed, next_ns);
            if run.dice.chance(RELATED) {
                run.relate(feed.at_ns);
            }
        }
    }
    LinkOutcome { tally: run.oracle.tally, violations: run.oracle.violations }
}

pub(super) struct Run<'a> {
    pub(super) system: &'a System,
    pub(super) machines: Vec<Machine>,
    /// By leg, one for each pair of lives that has been heard of.
    pub(super) links: Vec<Vec<Known>>,
    pub(super) oracle: Oracle<'a>,
    pub(super) dice: Dice,
}

/// A link between two counters.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) lives: (usize, usize),
    pub(super) link: Link,
    least: Least,
    /// True time of the first evidence.
    since_ns: i64,
    before: Before,
}

impl Run<'_> {
    fn feed(&mut self, feed: &Feed) {
        let leg = &self.system.legs[feed.leg];
        let known = self.link(feed);
        let fed = match feed.what {
            What::Exchange(stamps) => {
                known.least.exchange(&stamps);
                known.link.exchange(&stamps)
            }
            What::ToB(sent, received, source) => known.link.message_to_b(sent, received, source),
            What::ToA(sent, received, source) => known.link.message_to_a(sent, received, source),
        };
        let honest = self.system.is_honest(leg);
        self.oracle.tally.fed += 1;
        match fed {
            Ok(Fed::Restarted) => self.oracle.contradicted(feed.at_ns, honest),
            Err(error) if honest && error != LinkError::TooOld => {
                self.oracle.contradicted(feed.at_ns, honest);
            }
            _ => {}
        }
    }

    fn link(&mut self, feed: &Feed) -> &mut Known {
        let (known, leg) = (&mut self.links[feed.leg], &self.system.legs[feed.leg]);
        let place = known.iter().position(|known| known.lives == feed.lives);
        let place = place.unwrap_or_else(|| {
            let nodes = &self.system.nodes;
            let steering = (nodes[leg.a].steering_ppm + nodes[leg.b].steering_ppm) * 1e-6;
            known.push(Known {
                lives: feed.lives,
                link: Link::new(nodes[leg.a].reported(), nodes[leg.b].reported()),
                least: Least::default(),
                since_ns: feed.at_ns,
                before: Before { rates: 2_000e-6 + 2.0 * steering, steering },
            });
            known.len() - 1
        });
        &mut known[place]
    }

    /// Some questions about one moment, of the link that was fed or of another.
    fn ask(&mut self, feed: &Feed, next_ns: i64) {
        let (place, lives) = if self.dice.chance(0.5) {
            (feed.leg, feed.lives)
        } else {
            let place = self.dice.count(0, self.links.len() as u64 - 1) as usize;
            let Some(known) = self.links[place].last() else { return };
            (place, known.lives)
        };
        let leg = &self.system.legs[place];
        if !self.system.is_honest(leg) {
            return;
        }
        let Some(known) = self.links[place].iter().find(|known| known.lives == lives) else {
            return;
        };
        let (a, b) = (self.machines[leg.a].life(lives.0), self.machines[leg.b].life(lives.1));
        let (from_ns, to_ns) = (a.from_ns.max(b.from_ns), a.to_ns.min(b.to_ns));
        let now_ns = feed.at_ns + (self.dice.unit() * (next_ns - feed.at_ns) as f64) as i64;
        let moment = self.dice.count(0, 7);
        let (t_ns, is_now) = match moment {
            0..=3 => (now_ns, true),
            4..=5 => {
                let span_ns = (now_ns - known.since_ns) as f64 * 1.1 + 1e9;
                ((now_ns - (self.dice.unit() * span_ns) as i64).max(0), false)
            }
            6 => (now_ns + self.dice.magnitude(1e6, AHEAD_NS) as i64, false),
            _ => (now_ns - self.dice.magnitude(1e6, 6e11) as i64, false),
        };
        if t_ns < from_ns || t_ns >= to_ns {
            return;
        }
        let link = known.link;
        let exact_a = self.machines[leg.a].exact(lives.0, t_ns);
        let exact_b = self.machines[leg.b].exact(lives.1, t_ns);
        let truth = exact_b - exact_a;
        let said = link.at_a(exact_a, Evidence::All);
        self.oracle.inside(&said, truth, t_ns, "at_a");
        self.oracle.sane(&said, t_ns);
        let alone = link.at_b(exact_b, Evidence::Exchanges);
        self.oracle.inside(&alone, truth, t_ns, "at_b, exchanges");
        if is_now {
            self.oracle.measure(&said, truth);
            self.narrow(place, lives, exact_a, t_ns, &said);
        }
        match moment {
            0 | 4 => {
                let mirrored = link.at_b(exact_b, Evidence::All);
                self.oracle.inside(&mirrored, truth, t_ns, "at_b");
                let part = link.at_a(exact_a, Evidence::Exchanges);
                self.oracle.inside(&part, truth, t_ns, "at_a, exchanges");
                self.oracle.narrows(&part, &said, t_ns);
            }
            1 => self.order((leg.b, lives.1), (exact_a, t_ns), &said, (from_ns, to_ns)),
            2 | 5 => self.snapshots(&link, place, lives, (exact_a, t_ns), (from_ns, to_ns)),
            _ => {}
        }
    }

    /// The width, where exchanges promise one.
    fn narrow(
        &mut self,
        place: usize,
        lives: (usize, usize),
        a: LocalTime,
        t_ns: i64,
        said: &Difference,
    ) {
        let leg = &self.system.legs[place];
        let resolutions =
            self.machines[leg.a].resolution() + self.machines[leg.b].resolution() + ROUNDING;
        let Some(known) = self.links[place].iter().find(|known| known.lives == lives) else {
            return;
        };
        let (a_ns, more_ns) = (a.as_nanos(), resolutions.as_nanos() as f64);
        let Some(aim_ns) = known.least.aim_ns(a_ns, known.before) else { return };
        let allowed_ns = || known.least.allowed_ns(a_ns, known.before) + more_ns;
        self.oracle.narrow_enough(said, aim_ns + more_ns, allowed_ns, t_ns);
    }

    /// A stamp by B, near what is the same moment by A.
    fn order(
        &mut self,
        (b, life): (usize, usize),
        (exact_a, t_ns): (LocalTime, i64),
        said: &Difference,
        (from_ns, to_ns): (i64, i64),
    ) {
        let apart_ns = (self.dice.sign() * self.dice.magnitude(10.0, 1e9)) as i64;
        let other_ns = t_ns + apart_ns;
        if other_ns < from_ns || other_ns >= to_ns {
            return;
        }
        let other = self.machines[b].exact(life, other_ns);
        let later = said.upper.is_some_and(|upper| other > exact_a + upper + ROUNDING);
        let earlier = said.lower.is_some_and(|lower| other < exact_a + lower - ROUNDING);
        let certain = (later || earlier).then_some(later);
        self.oracle.ordered(certain, apart_ns > 0, t_ns);
    }

    /// A snapshot of about this moment, asked for others around it.
    fn snapshots(
        &mut self,
        link: &Link,
        place: usize,
        lives: (usize, usize),
        (exact_a, t_ns): (LocalTime, i64),
        (from_ns, to_ns): (i64, i64),
    ) {
        let leg = &self.system.legs[place];
        let evidence = if self.dice.chance(0.5) { Evidence::All } else { Evidence::Exchanges };
        let Some(snapshot) = link.snapshot(exact_a, evidence) else { return };
        let mirrored = snapshot.mirrored();
        if !snapshot.is_sound() || !mirrored.is_sound() {
            self.oracle.unsound(&snapshot, t_ns);
        }
        for reach_ns in [0.0, 1e9, 6e11, AHEAD_NS] {
            let apart_ns = (self.dice.within(-1.0, 1.0) * reach_ns) as i64;
            let other_ns = t_ns + apart_ns;
            if other_ns < from_ns || other_ns >= to_ns {
                continue;
            }
            let a = self.machines[leg.a].exact(lives.0, other_ns);
            let b = self.machines[leg.b].exact(lives.1, other_ns);
            if self.dice.chance(0.5) {
                self.oracle.inside(&snapshot.at_a(a), b - a, other_ns, "snapshot at_a");
                self.oracle.inside(&mirrored.at_b(a), a - b, other_ns, "mirrored at_b");
            } else {
                self.oracle.inside(&snapshot.at_b(b), b - a, other_ns, "snapshot at_b");
                self.oracle.inside(&mirrored.at_a(b), a - b, other_ns, "mirrored at_a");
            }
        }
    }
}

/// Share of questions after which all machines are related.
const RELATED: f64 = 0.03;
/// A question is some comparisons, in the mean.
const PER_QUESTION: f64 = 3.5;
/// So far ahead of the newest evidence, or away from a snapshot, questions reach.
const AHEAD_NS: f64 = 7_200.0 * SECOND_NS as f64;
/// Bounds are rounded outwards to whole nanoseconds, and each counter is one.
const ROUNDING: Span = Span::from_nanos(2);
