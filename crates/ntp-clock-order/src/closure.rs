//! All that follows from what is known of several clocks together.

use std::sync::OnceLock;

use ntp_clock_core::{Oscillator, Span};

use crate::causal::Causal;
use crate::graph::{Graph, Sense};
use crate::guess::{Guesses, SHARE, TYPICAL_RATE, Tree};
use crate::reach::{Both, Contradiction, Reach};
use crate::reason::{Reason, Why};
use crate::relation::{By, Limits, Relation, Verdict};
use crate::system::{Cause, ClosureError, LinkBetween, Stamp, System};
use crate::void::Void;

/// Stamps by several clocks, and all that follows of any two of them.
///
/// What follows is computed for a stamp when it is first asked for, and kept. Evidence that
/// contradicts itself is void from the start, and nothing else is.
#[derive(Debug)]
pub struct Closure {
    system: System,
    graphs: [Graph; 2],
    causal: Causal,
    guesses: Guesses,
    contradictions: Vec<Vec<Reason>>,
    /// By stamp: what all clocks read at that moment, with what messages say and without.
    moments: Vec<[OnceLock<Option<Both>>; 2]>,
    trees: Vec<OnceLock<Tree>>,
}

impl Closure {
    /// All that follows from this.
    ///
    /// # Errors
    /// [`ClosureError`] where something names what is not there, or cannot be what it says.
    pub fn new(
        clocks: &[Oscillator],
        stamps: &[Stamp],
        links: &[LinkBetween],
        causes: &[Cause],
    ) -> Result<Self, ClosureError> {
        let system = System::new(clocks, stamps, links, causes)?;
        let mut void = Void::nothing(links.len(), causes.len(), stamps.len());
        let mut contradictions = Vec::new();
        for (place, cause) in causes.iter().enumerate() {
            let (earlier, later) = (&stamps[cause.earlier], &stamps[cause.later]);
            // The clocks' ways say nothing of one counter.
            if earlier.clock == later.clock && earlier.counter > later.counter {
                let why = Why::Cause(place as u32);
                void.add(why);
                contradictions.push(reasons([why]));
            }
        }
        let mut graphs = of_evidence(&system, &void);
        for stamp in stamps {
            while let Err(Contradiction(round)) = at(&graphs, stamp, true) {
                let mut news = false;
                for &why in &round {
                    news |= void.add(why);
                }
                if !news {
                    break;
                }
                let mut round = reasons(round);
                round.sort_unstable();
                contradictions.push(round);
                graphs = of_evidence(&system, &void);
            }
        }
        Ok(Closure {
            causal: Causal::new(stamps.len(), causes, &void),
            guesses: Guesses::new(&system, &void),
            contradictions,
            moments: stamps.iter().map(|_| [OnceLock::new(), OnceLock::new()]).collect(),
            trees: clocks.iter().map(|_| OnceLock::new()).collect(),
            system,
            graphs,
        })
    }

    /// How the stamp `i` stands to the stamp `j`.
    ///
    /// # Panics
    /// Where there is no such stamp.
    #[must_use]
    pub fn relation(&self, i: usize, j: usize) -> Relation {
        let (one, other) = (&self.system.stamps[i], &self.system.stamps[j]);
        let known = self.known(i, j, true);
        let limits = known.limits;
        if i == j || limits.is_empty() {
            return Relation {
                verdict: Verdict::CannotTell,
                by: None,
                lower: (i == j).then_some(Span::ZERO),
                upper: (i == j).then_some(Span::ZERO),
                estimate: (i == j).then_some(Span::ZERO),
                est_error: (i == j).then_some(Span::ZERO),
                rests_on: Vec::new(),
            };
        }
        let (verdict, by, rests_on) = self.verdict(i, j, &known);
        let (estimate, est_error) = self.guess(one, other, limits).unzip();
        let span = Span::from_nanos;
        Relation {
            verdict,
            by,
            lower: limits.lower.map(span),
            upper: limits.upper.map(span),
            estimate,
            est_error,
            rests_on,
        }
    }

    /// Evidence that cannot all be true, and is used for nothing. In each, at least one lies.
    #[must_use]
    pub fn contradictions(&self) -> &[Vec<Reason>] {
        &self.contradictions
    }

    fn verdict(&self, i: usize, j: usize, known: &Known) -> (Verdict, Option<By>, Vec<Reason>) {
        let certain = |earlier: usize, later: usize, first: Option<Way>| match first {
            Some(way) => Some(self.certain(i, j, way)),
            // Counters are coarse, and messages are not slower for it.
            None => self.causal.way(earlier, later).map(|way| (By::Cause, reasons(way))),
        };
        let elapsed = known.elapsed;
        if elapsed.lower.is_some_and(|lower| lower >= 0)
            && let Some((by, rests_on)) = certain(i, j, known.before)
        {
            return (Verdict::Before, Some(by), rests_on);
        }
        if elapsed.upper.is_some_and(|upper| upper <= 0)
            && let Some((by, rests_on)) = certain(j, i, known.after)
        {
            return (Verdict::After, Some(by), rests_on);
        }
        let ways = [known.lower, known.upper];
        if let [Some(Way::Own(clock)), _] = ways {
            return (Verdict::CannotTell, None, vec![Reason::Counter(clock)]);
        }
        let steps = ways.into_iter().flatten().flat_map(|way| self.steps(i, j, way, true));
        (Verdict::CannotTell, None, reasons(steps))
    }

    /// By what an order is certain, and what that rests on.
    fn certain(&self, i: usize, j: usize, way: Way) -> (By, Vec<Reason>) {
        if let Way::Own(clock) = way {
            return (By::Clock, vec![Reason::Counter(clock)]);
        }
        let steps = self.steps(i, j, way, true);
        if !steps.iter().any(|why| matches!(why, Why::Cause(_))) {
            return (By::Clock, reasons(steps));
        }
        let known = self.known(i, j, false);
        let first = if way.is_lower() { known.before } else { known.after };
        match first {
            Some(way) => (By::Clock, reasons(self.steps(i, j, way, false))),
            None => (By::Cause, reasons(steps)),
        }
    }

    /// All limits of the time from one stamp to the other, by all ways.
    fn known(&self, i: usize, j: usize, with_causes: bool) -> Known {
        let System { clocks, stamps, .. } = &self.system;
        let (one, other) = (&stamps[i], &stamps[j]);
        let (x, y) = (one.counter.as_nanos(), other.counter.as_nanos());
        let mut known = Known::default();
        if one.clock == other.clock {
            let elapsed = Limits::since((Some(x), Some(x)), y);
            known.take(elapsed, &clocks[one.clock], [Way::Own(one.clock); 2]);
        }
        let at_one = self.moment(i, with_causes);
        let at_other = self.moment(j, with_causes);
        if one.clock != other.clock {
            if let Some(both) = at_one {
                let elapsed = Limits::since(both.interval(other.clock), y);
                let ways = [Way::Most { from_one: true }, Way::Least { from_one: true }];
                known.take(elapsed, &clocks[other.clock], ways);
            }
            if let Some(both) = at_other {
                let elapsed = Limits::since(both.interval(one.clock), x).reversed();
                let ways = [Way::Least { from_one: false }, Way::Most { from_one: false }];
                known.take(elapsed, &clocks[one.clock], ways);
            }
        }
        if let (Some(one), Some(other)) = (at_one, at_other) {
            let utc = self.system.utc();
            let elapsed = Limits::between(one.interval(utc), other.interval(utc));
            known.narrow(elapsed, [Way::Utc { lower: true }, Way::Utc { lower: false }]);
        }
        known
    }

    /// What all clocks read at a stamp's moment.
    fn moment(&self, stamp: usize, with_causes: bool) -> Option<&Both> {
        let place = &self.moments[stamp][usize::from(with_causes)];
        place
            .get_or_init(|| at(&self.graphs, &self.system.stamps[stamp], with_causes).ok())
            .as_ref()
    }

    /// The steps of a way, in order from `i` to `j`.
    fn steps(&self, i: usize, j: usize, way: Way, with_causes: bool) -> Vec<Why> {
        let (one, other) = (self.system.stamps[i].clock, self.system.stamps[j].clock);
        let utc = self.system.utc();
        let back = |stamp: usize, side: fn(&Both) -> &Reach, to: usize| -> Vec<Why> {
            let both = self.moment(stamp, with_causes);
            both.map_or_else(Vec::new, |both| {
                side(both).steps_back(to).map(|(_, why)| why).collect()
            })
        };
        let most: fn(&Both) -> &Reach = |both| &both.most;
        let least: fn(&Both) -> &Reach = |both| &both.least;
        let side = |is_most| if is_most { most } else { least };
        let (mut there, back) = match way {
            Way::Own(_) => return Vec::new(),
            Way::Most { from_one: true } => (back(i, most, other), Vec::new()),
            Way::Least { from_one: true } => (back(i, least, other), Vec::new()),
            Way::Most { from_one: false } => (Vec::new(), back(j, most, one)),
            Way::Least { from_one: false } => (Vec::new(), back(j, least, one)),
            Way::Utc { lower } => (back(i, side(lower), utc), back(j, side(!lower), utc)),
        };
        there.reverse();
        there.extend(back);
        there
    }

    /// The best guess of the time from one stamp to the other, and its standard deviation.
    fn guess(&self, one: &Stamp, other: &Stamp, limits: Limits) -> Option<(Span, Span)> {
        let (lower, upper) = (limits.lower?, limits.upper?);
        let width = upper.checked_sub(lower)? as f64;
        let tree = self.trees[one.clock].get_or_init(|| self.guesses.tree(one.clock));
        let (x, y) = (one.counter.as_nanos(), other.counter.as_nanos());
        let guess = self.guesses.follow(&self.system, tree, one.clock, other.clock, x);
        let told = guess.and_then(|guess| Some((y.checked_sub(guess.reading)?, guess.variance)));
        let most = width / 2.0 * SHARE;
        let (estimate, est_error) = match told {
            // How fast the counter itself ran is a guess, too.
            Some((apart, variance)) => {
                let drift = apart as f64 * TYPICAL_RATE;
                (apart, variance.sqrt().hypot(drift).min(most))
            }
            None => (lower + (upper - lower) / 2, most),
        };
        let estimate = Span::from_nanos(estimate.clamp(lower, upper));
        Some((estimate, Span::from_nanos_f64_ceil(est_error)))
    }
}

/// By which way a limit of the time from one stamp to another is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// Both stamps are of this clock.
    Own(usize),
    /// By what the other's clock reads at most at the moment of one.
    Most { from_one: bool },
    /// By what it reads at least.
    Least { from_one: bool },
    /// By what time it was at both.
    Utc { lower: bool },
}

impl Way {
    /// Whether this bounds the time from the first stamp to the second from below.
    fn is_lower(self) -> bool {
        match self {
            Way::Own(_) => true,
            Way::Most { from_one } => from_one,
            Way::Least { from_one } => !from_one,
            Way::Utc { lower } => lower,
        }
    }
}

/// All that is known of the time from one stamp to another.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Of true time.
    limits: Limits,
    lower: Option<Way>,
    upper: Option<Way>,
    /// By the counters of either, whose sign no rate changes.
    elapsed: Limits,
    /// What says that the first one came first, beyond all doubt.
    before: Option<Way>,
    /// What says that it came last.
    after: Option<Way>,
}

impl Known {
    /// What is known by a counter; the ways to the lower and to the upper limit.
    fn take(&mut self, elapsed: Limits, oscillator: &Oscillator, ways: [Way; 2]) {
        let [lower, upper] = ways;
        if let Some(least) = elapsed.lower
            && self.elapsed.lower.is_none_or(|before| least > before)
        {
            self.elapsed.lower = Some(least);
            self.before = (least > 0).then_some(lower);
        }
        if let Some(most) = elapsed.upper
            && self.elapsed.upper.is_none_or(|before| most < before)
        {
            self.elapsed.upper = Some(most);
            self.after = (most < 0).then_some(upper);
        }
        self.narrow(elapsed.in_true_time(oscillator), ways);
    }

    /// What is known of true time.
    fn narrow(&mut self, limits: Limits, ways: [Way; 2]) {
        let [lower, upper] = ways;
        if limits.lower.is_some_and(|least| self.limits.lower.is_none_or(|before| least > before)) {
            self.limits.lower = limits.lower;
            self.lower = Some(lower);
        }
        if limits.upper.is_some_and(|most| self.limits.upper.is_none_or(|before| most < before)) {
            self.limits.upper = limits.upper;
            self.upper = Some(upper);
        }
    }
}

fn of_evidence(system: &System, void: &Void) -> [Graph; 2] {
    let System { clocks, stamps, links, causes } = system;
    [Sense::Most, Sense::Least].map(|sense| Graph::new(sense, clocks, stamps, links, causes, void))
}

fn at(graphs: &[Graph; 2], stamp: &Stamp, with_causes: bool) -> Result<Both, Contradiction> {
    Both::new(graphs, stamp.clock, stamp.counter.as_nanos(), with_causes)
}

/// Each once, as they first come.
fn reasons(steps: impl IntoIterator<Item = Why>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for reason in steps.into_iter().filter_map(Why::reason) {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}
