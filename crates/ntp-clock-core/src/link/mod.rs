//! How two counters stand to one another: what messages between them say.
//!
//! Two clocks that are synchronised with the same far server share most of their error: that of
//! the path to it. What happened first follows better from the messages between the two,
//! for what is received was sent before. A [`Link`] relates two **free-running counters**, A and B,
//! never readings, which are slewed and start again. It is about theta = B - A, the difference of
//! the two at one moment:
//!
//! - A message that A sent when its counter read `s`, or later, and that B received when its
//!   counter read `r`, or earlier: theta is at most `r - s` at all moments from A's `s` to B's `r`.
//! - A message the other way, sent at B's `s` and received at A's `r`: at least `s - r`.
//! - A request and its reply are one of each.
//!
//! Everything is kept on the axis M = (A + B) / 2, so that neither counter is the first: a message
//! bounds theta at M = (s + r) / 2. From there a bound is carried to other moments at the rates at
//! which theta can have moved ([`crate::drift`] says what oscillators do). These are learnt from
//! the bounds themselves (`centre`). Nothing else is used: not that a path stays as it is, nor
//! that it takes as long one way as the other.
//!
//! A link ends with one of its counters: another process on another machine, a sleep. It does not
//! end with an epoch, which re-dates readings and leaves counters alone.

mod answers;
mod centre;
mod evidence;
mod guess;
mod lines;
mod oscillator;
mod snapshot;

use centre::Centre;
use lines::{Line, Lines, ROUNDING_NS};
use oscillator::Pair;
use snapshot::nanos;

pub use evidence::{Evidence, Fed, LinkError, LinkStamps, Source};
pub use oscillator::Oscillator;
pub use snapshot::{Difference, LinkSnapshot};

use crate::drift::BANDS;
use crate::time::LocalTime;

/// Two counters, and what is known of the difference between them.
///
/// Of fixed size; nothing is allocated. Evidence may come in any order.
///
/// ```
/// use ntp_clock_core::{Evidence, Link, LinkStamps, LocalTime, Oscillator, Span};
///
/// let ns = LocalTime::from_nanos;
/// let mut link = Link::new(Oscillator::FREE, Oscillator::FREE);
/// // B is 1 s ahead; a round trip of 200 us, of which 150 us were the way there.
/// link.exchange(&LinkStamps {
///     sent_a: ns(5_000_000),
///     received_b: ns(1_005_150_000),
///     sent_b: ns(1_005_160_000),
///     received_a: ns(5_210_000),
/// })
/// .unwrap();
/// let known = link.at_a(ns(5_210_000), Evidence::All);
/// let one_second = Span::from_secs(1);
/// assert!(known.lower.unwrap() <= one_second && one_second <= known.upper.unwrap());
/// assert!(known.width().unwrap() < Span::from_micros(201));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Link {
    pair: Pair,
    /// A's and B's readings from which the axis and the difference are counted.
    zero: (LocalTime, LocalTime),
    /// By source: exchanges, messages. Bounds of the difference from above ...
    most: [Lines; 2],
    /// ... and of its negative.
    least: [Lines; 2],
    /// By evidence: exchanges alone, all; for each of the spans.
    centres: [[Centre; BANDS.len()]; 2],
    /// The latest moment of all lines, and A's reading then.
    newest: Option<(f64, LocalTime)>,
    exchanges: u64,
    messages: u64,
    restarts: u64,
}

/// Feeding it.
impl Link {
    /// Of which nothing is known yet.
    #[must_use]
    pub const fn new(a: Oscillator, b: Oscillator) -> Self {
        const CENTRES: [Centre; BANDS.len()] =
            [Centre::unknown(0), Centre::unknown(1), Centre::unknown(2)];
        Link {
            pair: Pair::new(a, b),
            zero: (LocalTime::from_nanos(0), LocalTime::from_nanos(0)),
            most: [Lines::EMPTY; 2],
            least: [Lines::EMPTY; 2],
            centres: [CENTRES; 2],
            newest: None,
            exchanges: 0,
            messages: 0,
            restarts: 0,
        }
    }

    /// A asked and B replied.
    ///
    /// # Errors
    /// [`LinkError`] where the stamps cannot be those of an exchange.
    pub fn exchange(&mut self, stamps: &LinkStamps) -> Result<Fed, LinkError> {
        let &LinkStamps { sent_a, received_b, sent_b, received_a } = stamps;
        self.exchanged(Side::Most, [sent_a, received_b, sent_b, received_a])
    }

    /// B asked and A replied: the request was sent at `sent_b`.
    ///
    /// # Errors
    /// [`LinkError`] where the stamps cannot be those of an exchange.
    pub fn exchange_by_b(&mut self, stamps: &LinkStamps) -> Result<Fed, LinkError> {
        let &LinkStamps { sent_a, received_b, sent_b, received_a } = stamps;
        self.exchanged(Side::Least, [sent_b, received_a, sent_a, received_b])
    }

    /// T1 to T4; the request bounds this side.
    fn exchanged(
        &mut self,
        side: Side,
        [t1, t2, t3, t4]: [LocalTime; 4],
    ) -> Result<Fed, LinkError> {
        if t4 < t1 || t3 < t2 {
            return Err(LinkError::Backward);
        }
        // One counter may have run faster than the other meanwhile.
        let took = nanos(t4 - t1);
        let round_trip = nanos((t4 - t1) - (t3 - t2));
        let any = self.pair.any();
        if round_trip < -(took * any.high.max(-any.low) * 1.1 + RESOLUTION_NS) {
            return Err(LinkError::NegativeRoundTrip);
        }
        self.exchanges = self.exchanges.saturating_add(1);
        let way = |sent, received| Way {
            sent,
            received,
            source: Source::Exchange,
            round_trip: round_trip.max(0.0),
            // What is missing is what the counters do not resolve.
            spare: (-round_trip).clamp(0.0, RESOLUTION_NS),
        };
        let there = way(t1, t2);
        let fed = self.feed(side, &there)?;
        if fed == Fed::Restarted && self.newest.is_none() {
            return Ok(fed);
        }
        let back = self.feed(side.other(), &way(t3, t4))?;
        if back == Fed::Restarted && self.newest.is_some() {
            self.feed(side, &there)?;
        }
        Ok(fed.with(back))
    }

    /// A sent something to B when its counter read `sent_a`, or later; B had received it when its
    /// own read `received_b`, or earlier.
    ///
    /// # Errors
    /// [`LinkError::TooOld`] where all that is kept is weeks newer.
    pub fn message_to_b(
        &mut self,
        sent_a: LocalTime,
        received_b: LocalTime,
        source: Source,
    ) -> Result<Fed, LinkError> {
        self.messages = self.messages.saturating_add(1);
        self.feed(Side::Most, &Way::message(sent_a, received_b, source))
    }

    /// B sent something to A when its counter read `sent_b`, or later; A had received it when its
    /// own read `received_a`, or earlier.
    ///
    /// # Errors
    /// [`LinkError::TooOld`] where all that is kept is weeks newer.
    pub fn message_to_a(
        &mut self,
        sent_b: LocalTime,
        received_a: LocalTime,
        source: Source,
    ) -> Result<Fed, LinkError> {
        self.messages = self.messages.saturating_add(1);
        self.feed(Side::Least, &Way::message(sent_b, received_a, source))
    }

    fn feed(&mut self, side: Side, way: &Way) -> Result<Fed, LinkError> {
        let (a, b) = match side {
            Side::Most => (way.sent, way.received),
            Side::Least => (way.received, way.sent),
        };
        let Some((newest, _)) = self.newest else {
            self.begin(side, way, a, b);
            return Ok(Fed::Kept);
        };
        let (mut from_a, mut from_b) = (nanos(a - self.zero.0), nanos(b - self.zero.1));
        let mut m = (from_a + from_b) / 2.0;
        if m < newest - FAR_NS || from_a.abs() > ABSURD_NS || from_b.abs() > ABSURD_NS {
            // Nothing that is weeks old says anything any more; but where a single line is that
            // far ahead of others, it is the one that is wrong.
            if m < newest && self.lines() > 1 {
                return Err(LinkError::TooOld);
            }
            self.restart(side, way, a, b);
            return Ok(Fed::Restarted);
        }
        if m.abs() > FAR_NS {
            self.move_zero(a, b, (from_a, from_b));
            (from_a, from_b, m) = (0.0, 0.0, 0.0);
        }
        let sign = side.sign();
        let most = sign * (from_b - from_a) + way.spare;
        let line = Line { m, most, round_trip: way.round_trip };
        // What the other side leaves possible there.
        let other = match side {
            Side::Most => self.lower_at(m, Evidence::All),
            Side::Least => -self.upper_at(m, Evidence::All),
        };
        if other > line.most + ROUNDING_NS {
            self.contradict(side, way, (a, b), m < newest);
            return Ok(Fed::Restarted);
        }
        let any = self.pair.any();
        let (most, rates) = match side {
            Side::Most => (&mut self.most, any),
            Side::Least => (&mut self.least, any.mirrored()),
        };
        // What another source says already is not said twice: but exchanges have to stand alone.
        if !most[way.source as usize].add(line, rates) {
            return Ok(Fed::Dropped);
        }
        if self.newest.is_none_or(|(newest, _)| m > newest) {
            self.newest = Some((m, a));
        }
        self.learn(side, &line, way.source);
        if self.centres[Evidence::All as usize].iter().any(Centre::is_contradicted) {
            self.contradict(side, way, (a, b), m < newest);
            return Ok(Fed::Restarted);
        }
        Ok(Fed::Kept)
    }

    /// With this alone.
    fn begin(&mut self, side: Side, way: &Way, a: LocalTime, b: LocalTime) {
        self.forget_all();
        (self.zero, self.newest) = ((a, b), Some((0.0, a)));
        let line = Line { m: 0.0, most: way.spare, round_trip: way.round_trip };
        let lines = match side {
            Side::Most => &mut self.most,
            Side::Least => &mut self.least,
        };
        lines[way.source as usize].add(line, self.pair.any());
        self.learn(side, &line, way.source);
    }

    fn restart(&mut self, side: Side, way: &Way, a: LocalTime, b: LocalTime) {
        self.begin(side, way, a, b);
        self.restarts = self.restarts.saturating_add(1);
    }

    /// What came contradicts what is known. The newer of the two is more likely to be of the
    /// counters as they are now; of what came late nothing is believed either.
    fn contradict(
        &mut self,
        side: Side,
        way: &Way,
        (a, b): (LocalTime, LocalTime),
        came_late: bool,
    ) {
        if came_late {
            self.forget_all();
            self.restarts = self.restarts.saturating_add(1);
        } else {
            self.restart(side, way, a, b);
        }
    }

    fn forget_all(&mut self) {
        let Link { pair, exchanges, messages, restarts, .. } = *self;
        *self = Link::new(Oscillator::FREE, Oscillator::FREE);
        *self = Link { pair, exchanges, messages, restarts, ..*self };
    }

    /// How many lines there are.
    fn lines(&self) -> usize {
        self.most.iter().chain(&self.least).map(|lines| lines.as_slice().len()).sum()
    }

    /// Counts from here on from other readings, so that doubles hold all differences exactly.
    fn move_zero(&mut self, a: LocalTime, b: LocalTime, (from_a, from_b): (f64, f64)) {
        let (m, difference) = ((from_a + from_b) / 2.0, from_b - from_a);
        for lines in &mut self.most {
            lines.shift(m, difference);
        }
        for lines in &mut self.least {
            lines.shift(m, -difference);
        }
        self.zero = (a, b);
        self.newest = self.newest.map(|(newest, a)| (newest - m, a));
        self.begin_spans(|_| true);
    }

    /// What a new line says of the rates.
    fn learn(&mut self, side: Side, line: &Line, source: Source) {
        let newest = self.newest.map_or(line.m, |(newest, _)| newest);
        self.forget(newest);
        let others = match side {
            Side::Most => &self.least,
            Side::Least => &self.most,
        };
        for part in Evidence::All.parts() {
            if source as usize >= part.sources() {
                continue;
            }
            for centre in &mut self.centres[*part as usize] {
                for lines in &others[..part.sources()] {
                    centre.learn(line, lines, side.sign(), &self.pair);
                }
            }
        }
        // Those begin with the new line, as with all others.
        self.begin_spans(|centre| centre.is_over(newest));
    }

    /// Drops what is older than the longest span, once that is over.
    fn forget(&mut self, newest: f64) {
        const LONGEST: usize = BANDS.len() - 1;
        if self.centres[Evidence::All as usize][LONGEST].is_over(newest) {
            let reach = newest - BANDS[LONGEST].0;
            for lines in self.most.iter_mut().chain(&mut self.least) {
                lines.forget_before(reach);
            }
        }
    }

    /// Restarts some spans, and learns their rates from all lines.
    fn begin_spans(&mut self, which: impl Fn(&Centre) -> bool) {
        let Some((newest, _)) = self.newest else { return };
        for part in Evidence::All.parts() {
            for centre in self.centres[*part as usize].iter_mut().filter(|centre| which(centre)) {
                centre.begin(newest, &self.pair);
                for most in &self.most[..part.sources()] {
                    for line in most.as_slice() {
                        for least in &self.least[..part.sources()] {
                            centre.learn(line, least, Side::Most.sign(), &self.pair);
                        }
                    }
                }
            }
        }
    }
}

/// A message, by the counter of the side that sent and received it.
struct Way {
    sent: LocalTime,
    received: LocalTime,
    source: Source,
    round_trip: f64,
    /// By how much both stamps may be off, nanoseconds.
    spare: f64,
}

impl Way {
    fn message(sent: LocalTime, received: LocalTime, source: Source) -> Self {
        Way { sent, received, source, round_trip: f64::INFINITY, spare: 0.0 }
    }
}

/// Which way a line bounds the difference.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Most,
    Least,
}

impl Side {
    fn sign(self) -> f64 {
        if self == Side::Most { 1.0 } else { -1.0 }
    }

    fn other(self) -> Side {
        if self == Side::Most { Side::Least } else { Side::Most }
    }
}

/// Beyond this the axis gets another zero: a double holds halves of nanoseconds up to 52 days.
const FAR_NS: f64 = 1e15;
const ABSURD_NS: f64 = 4e15;
/// Of both counters together, on a path shorter than it.
const RESOLUTION_NS: f64 = 1_000.0;
