//! Clocks, and what is known between each two of them.
//!
//! A node is a counter, or UTC. An edge says what another clock reads **at most** when this one
//! reads something: a function that never falls. What a clock reads at least is the same with all
//! signs changed, so there are two graphs of one kind: [`Sense::Most`] and [`Sense::Least`], in
//! which all readings are negative.

use ntp_clock_core::{LinkSnapshot, LocalTime, Oscillator, Span};

use crate::points::{Point, Points, Rates};
use crate::reason::Why;
use crate::system::{Cause, LinkBetween, Stamp};
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
    /// By a link of which this clock is A (or B).
    Link { link: u32, is_a: bool, snapshot: LinkSnapshot },
    /// By readings of synchronised time.
    Readings(Points),
    /// By messages.
    Causes(Points),
}

/// All that is known in one sense, by the clock that it is known from.
#[derive(Debug)]
pub(crate) struct Graph {
    sense: Sense,
    edges: Vec<Vec<Edge>>,
}

impl Graph {
    /// Of all evidence that is not void. UTC is the last node.
    pub(crate) fn new(
        sense: Sense,
        clocks: &[Oscillator],
        stamps: &[Stamp],
        links: &[LinkBetween],
        causes: &[Cause],
        void: &Void,
    ) -> Self {
        let mut edges: Vec<Vec<Edge>> = Vec::new();
        edges.resize_with(clocks.len() + 1, Vec::new);
        for (place, between) in links.iter().enumerate() {
            let link = place as u32;
            if void.has(Why::Link(link)) || between.a == between.b {
                continue;
            }
            for (from, to, is_a) in [(between.a, between.b, true), (between.b, between.a, false)] {
                let knows = Knows::Link { link, is_a, snapshot: between.snapshot };
                edges[from].push(Edge { to, knows });
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
        Graph { sense, edges }
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
            Knows::Link { link, is_a, snapshot } => {
                Some((by_link(self.sense, snapshot, *is_a, x)?, Why::Link(*link)))
            }
            Knows::Readings(points) | Knows::Causes(points) => points.most_at(x),
        }
    }
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
