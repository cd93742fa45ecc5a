//! Clocks, and what is known between each two of them.
//!
//! A node is a counter, or UTC. An edge says what another clock reads **at most** when this one
//! reads something: a function that never falls. What a clock reads at least is the same with all
//! signs changed, so there are two graphs of one kind: [`Sense::Most`] and [`Sense::Least`], in
//! which all readings are negative.

use ntp_clock_core::{LinkSnapshot, LocalTime, Oscillator, Span};

use crate::points::{Point, Points, Rates, carried, ceil};
use crate::reason::Why;
use crate::system::{Cause, Stamp, System};
use crate::void::Void;

/// Which way readings are bounded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sense {
    Most,
    Least,
}

impl Sense {
    /// A reading as this graph counts; the inverse too.
    pub(crate) fn signed(self, reading: i64) -> i64 {
        match self {
            Sense::Most => reading,
            Sense::Least => reading.saturating_neg(),
        }
    }
}

/// What is known of another clock.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) to: usize,
    pub(crate) knows: Knows,
}

#[derive(Debug)]
pub(crate) enum Knows {
    /// By a link of which this clock is A (or B). Around the link's moment its bounds are those of
    /// one point, which is quicker.
    Link { link: u32, is_a: bool, near: Option<(Point, Rates)> },
    /// By readings of synchronised time.
    Readings(Points),
    /// By messages.
    Causes(Points),
}

/// All that is known in one sense, by the clock that it is known from.
#[derive(Debug)]
pub(crate) struct Graph {
    sense: Sense,
    /// By link.
    snapshots: Vec<LinkSnapshot>,
    edges: Vec<Vec<Edge>>,
}

impl Graph {
    /// Of all evidence that is not void. UTC is the last node.
    pub(crate) fn new(sense: Sense, system: &System, void: &Void) -> Self {
        let System { clocks, stamps, links, causes } = system;
        let Graph { mut edges, .. } = Graph::unknown(sense, system);
        for (place, between) in links.iter().enumerate() {
            let link = place as u32;
            if void.has(Why::Link(link)) || between.a == between.b {
                continue;
            }
            for (from, to, is_a) in [(between.a, between.b, true), (between.b, between.a, false)] {
                let Some(near) = near(sense, &between.snapshot, is_a, link) else { continue };
                edges[from].push(Edge { to, knows: Knows::Link { link, is_a, near } });
            }
        }
        let rate = |node: usize| clocks.get(node).map_or(0.0, Oscillator::rate_max);
        let mut push = |facts: Vec<Fact>, knows: fn(Points) -> Knows| {
            for chunk in facts.chunk_by(|one, other| one.between() == other.between()) {
                let (from, to) = chunk[0].between();
                let points = chunk.iter().map(|fact| fact.point).collect();
                let rates = Rates::between(rate(from), rate(to));
                edges[from].push(Edge { to, knows: knows(Points::new(points, rates)) });
            }
        };
        push(readings(sense, clocks.len(), stamps, void), Knows::Readings);
        push(messages(sense, stamps, causes, void), Knows::Causes);
        let snapshots = links.iter().map(|between| between.snapshot).collect();
        Graph { sense, snapshots, edges }
    }

    /// Without any evidence.
    pub(crate) fn unknown(sense: Sense, system: &System) -> Self {
        let mut edges = Vec::new();
        edges.resize_with(system.utc() + 1, Vec::new);
        Graph { sense, snapshots: Vec::new(), edges }
    }

    pub(crate) fn sense(&self) -> Sense {
        self.sense
    }

    pub(crate) fn edges(&self, from: usize) -> &[Edge] {
        self.edges.get(from).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn nodes(&self) -> usize {
        self.edges.len()
    }

    /// The most that the other clock can read when this one reads `x`, and why.
    #[inline]
    pub(crate) fn most(&self, edge: &Edge, x: i64) -> Option<(i64, Why)> {
        match &edge.knows {
            Knows::Link { near: Some((point, rates)), .. } if x.abs_diff(point.at) < NEAR_NS => {
                Some((carried(point, x, *rates)?, point.why))
            }
            Knows::Link { link, is_a, .. } => {
                let snapshot = self.snapshots.get(*link as usize)?;
                Some((by_link(self.sense, snapshot, *is_a, x)?, Why::Link(*link)))
            }
            Knows::Readings(points) | Knows::Causes(points) => points.most_at(x),
        }
    }
}

/// The point whose bounds are those of a link, where that is not further away than oscillators are
/// quiet: none where its numbers are too great. Nothing where the link says nothing of this.
fn near(
    sense: Sense,
    snapshot: &LinkSnapshot,
    is_a: bool,
    link: u32,
) -> Option<Option<(Point, Rates)>> {
    let snapshot = if is_a { *snapshot } else { snapshot.mirrored() };
    // With the signs of the graph, the other clock is at most this further than the readings that
    // belong together.
    let further = match sense {
        Sense::Most => snapshot.upper_ns,
        Sense::Least => -snapshot.lower_ns,
    };
    if further == f64::INFINITY {
        return None;
    }
    // On the axis half-way between the clocks both are half of it away.
    let half = ceil(further / 2.0);
    let (a, b) = (sense.signed(snapshot.a.as_nanos()), sense.signed(snapshot.b.as_nanos()));
    let rates = Rates::of_link(snapshot.rate_low, snapshot.rate_high);
    let point = a.checked_sub(half).zip(b.checked_add(half));
    Some(point.map(|(at, most)| (Point { at, most, why: Why::Link(link) }, rates)))
}

/// The other clock is theta further than A, and B is theta further than the other clock.
#[inline]
fn by_link(sense: Sense, snapshot: &LinkSnapshot, is_a: bool, x: i64) -> Option<i64> {
    let reading = LocalTime::from_nanos(sense.signed(x));
    let theta = if is_a { snapshot.at_a(reading) } else { snapshot.at_b(reading) };
    // Where A's reading is known, the most of B is by the most of theta; and the other way round.
    let bound = if (sense == Sense::Most) == is_a { theta.upper? } else { theta.lower? };
    let bound = if is_a { bound } else { -bound };
    // A bound at the end of all spans may have been cut off there.
    if bound == Span::MAX || bound <= -Span::MAX {
        return None;
    }
    let most = sense.signed(reading.as_nanos()).checked_add(sense.signed(bound.as_nanos()))?;
    (most < i64::MAX).then_some(most)
}

/// One point and the nodes that it is known between.
struct Fact {
    from: usize,
    to: usize,
    point: Point,
}

impl Fact {
    fn between(&self) -> (usize, usize) {
        (self.from, self.to)
    }
}

fn sorted(mut facts: Vec<Fact>) -> Vec<Fact> {
    facts.sort_by_key(Fact::between);
    facts
}

/// What time it was at stamps, and what the counter read when it was that time.
fn readings(sense: Sense, utc: usize, stamps: &[Stamp], void: &Void) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (place, stamp) in stamps.iter().enumerate() {
        let why = Why::Reading(place as u32);
        let Some((time, max_error)) = stamp.utc else { continue };
        if void.has(why) {
            continue;
        }
        let (counter, time) =
            (sense.signed(stamp.counter.as_nanos()), sense.signed(time.as_nanos()));
        let max_error = max_error.as_nanos();
        let latest = time.checked_add(max_error).map(|most| Point { at: counter, most, why });
        let earliest = time.checked_sub(max_error).map(|at| Point { at, most: counter, why });
        facts.extend(latest.map(|point| Fact { from: stamp.clock, to: utc, point }));
        facts.extend(earliest.map(|point| Fact { from: utc, to: stamp.clock, point }));
    }
    sorted(facts)
}

/// When a message was sent it had not been received: its receiver's clock read less.
fn messages(sense: Sense, stamps: &[Stamp], causes: &[Cause], void: &Void) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (place, cause) in causes.iter().enumerate() {
        let why = Why::Cause(place as u32);
        let (Some(sent), Some(received)) = (stamps.get(cause.earlier), stamps.get(cause.later))
        else {
            continue;
        };
        if void.has(why) || sent.clock == received.clock {
            continue;
        }
        let (from, to) = match sense {
            Sense::Most => (sent, received),
            // And when it was received, its sender's clock read more.
            Sense::Least => (received, sent),
        };
        let at = sense.signed(from.counter.as_nanos());
        let point = Point { at, most: sense.signed(to.counter.as_nanos()), why };
        facts.push(Fact { from: from.clock, to: to.clock, point });
    }
    sorted(facts)
}

/// Oscillators are quiet for 600 s by the axis between two of them, of which readings are a fifth
/// away at the most.
const NEAR_NS: u64 = 500_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn around_its_moment_a_link_is_one_point(
            (a, b) in (0..1_i64 << 61, 0..1_i64 << 61),
            (lower_ns, width_ns) in (-1e8..1e8_f64, 0.0..1e7_f64),
            (rate, spread) in (-1e-3..1e-3_f64, 0.0..2e-3_f64),
            away in -499_000_000_000..499_000_000_000_i64,
            (is_a, is_most) in (any::<bool>(), any::<bool>()),
        ) {
            let snapshot = LinkSnapshot {
                a: LocalTime::from_nanos(a),
                b: LocalTime::from_nanos(b),
                lower_ns,
                upper_ns: lower_ns + width_ns,
                estimate_ns: f64::NAN,
                est_error_ns: 0.0,
                rate_low: rate - spread,
                rate_high: rate + spread,
                round_trip_ns: f64::INFINITY,
            };
            let sense = if is_most { Sense::Most } else { Sense::Least };
            let x = sense.signed(if is_a { a } else { b }) + away;
            let (point, rates) = near(sense, &snapshot, is_a, 0).flatten().expect("it is small");
            let quick = carried(&point, x, rates).expect("small");
            let lines = by_link(sense, &snapshot, is_a, x).expect("small");
            // Never tighter, but for what the other one is rounded.
            prop_assert!((-1..=3).contains(&(quick - lines)), "{quick} {lines}");
        }
    }
}
