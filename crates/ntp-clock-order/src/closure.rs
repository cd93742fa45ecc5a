//! All that follows from what is known of several clocks together.

use std::sync::OnceLock;

use ntp_clock_core::{Oscillator, Span};

use crate::causal::Causal;
use crate::graph::Graph;
use crate::guess::{Guesses, SHARE, TYPICAL_RATE, Tree};
use crate::reach::Both;
use crate::reason::{Reason, Why, reasons};
use crate::relation::{By, Limits, Relation, Verdict};
use crate::scene::{Scene, graphs};
use crate::system::{Cause, ClosureError, LinkBetween, Stamp, System};
use crate::void::Void;

/// Stamps by several clocks, and all that follows of any two of them.
///
/// What follows is computed for a stamp when it is first asked for, and kept. Evidence that
/// contradicts itself at the moment of a stamp is void for what is said of this stamp, and nothing
/// else is.
#[derive(Debug)]
pub struct Closure {
    system: System,
    /// What is void everywhere.
    void: Void,
    graphs: [Graph; 2],
    causal: Causal,
    guesses: OnceLock<Guesses>,
    contradictions: OnceLock<Vec<Vec<Reason>>>,
    /// By stamp.
    scenes: Vec<OnceLock<Scene>>,
    trees: Vec<OnceLock<Tree>>,
}

/// Two stamps and what is known at their moments.
struct Two<'a> {
    i: usize,
    j: usize,
    graphs: &'a [Graph; 2],
    scenes: [&'a Scene; 2],
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
        for (place, cause) in causes.iter().enumerate() {
            let (earlier, later) = (&stamps[cause.earlier], &stamps[cause.later]);
            // The clocks' ways say nothing of one counter.
            if earlier.clock == later.clock && earlier.counter > later.counter {
                void.add(Why::Cause(place as u32));
            }
        }
        Ok(Closure {
            graphs: graphs(&system, &void),
            causal: Causal::new(stamps.len(), causes),
            guesses: OnceLock::new(),
            contradictions: OnceLock::new(),
            scenes: stamps.iter().map(|_| OnceLock::new()).collect(),
            trees: clocks.iter().map(|_| OnceLock::new()).collect(),
            system,
            void,
        })
    }

    /// How the stamp `i` stands to the stamp `j`.
    ///
    /// # Panics
    /// Where there is no such stamp.
    #[must_use]
    pub fn relation(&self, i: usize, j: usize) -> Relation {
        let scenes = [self.scene(i), self.scene(j)];
        let two = Two { i, j, graphs: &self.graphs, scenes };
        let known = self.known(&two, true);
        if scenes[0].void() == scenes[1].void() || !self.rests_on_void(&two, &known) {
            return self.conclude(&two, &known);
        }
        // What is void at one of the moments is used for neither.
        let mut void = self.void.clone();
        loop {
            let graphs = graphs(&self.system, &void);
            let scenes = [i, j]
                .map(|stamp| Scene::new(&self.system, &void, &graphs, &self.system.stamps[stamp]));
            let found = [scenes[0].void(), scenes[1].void()];
            if found == [None, None] {
                let two = Two { i, j, graphs: &graphs, scenes: [&scenes[0], &scenes[1]] };
                return self.conclude(&two, &self.known(&two, true));
            }
            for more in found.into_iter().flatten() {
                void.merge(more);
            }
        }
    }

    /// Evidence that cannot all be true at the moment of some stamp, and is used for nothing there.
    /// In each, at least one lies.
    ///
    /// All moments are looked at for it.
    #[must_use]
    pub fn contradictions(&self) -> &[Vec<Reason>] {
        self.contradictions.get_or_init(|| {
            let causes = 0..self.system.causes.len();
            let backward = causes.map(|cause| Why::Cause(cause as u32));
            let backward = backward.filter(|&why| self.void.has(why)).map(|why| reasons([why]));
            let mut all: Vec<_> = backward.collect();
            for stamp in 0..self.system.stamps.len() {
                for contradiction in self.scene(stamp).contradictions() {
                    if !all.contains(contradiction) {
                        all.push(contradiction.clone());
                    }
                }
            }
            all
        })
    }

    fn conclude(&self, two: &Two<'_>, known: &Known) -> Relation {
        let limits = known.limits;
        let same = two.i == two.j;
        if same || limits.is_empty() {
            let none = same.then_some(Span::ZERO);
            // Both moments are consistent, and the two together are not: what says so is named.
            let ways = if same { [None; 2] } else { [known.lower, known.upper] };
            let steps = ways.into_iter().flatten().flat_map(|way| self.steps(two, way, true));
            return Relation {
                verdict: Verdict::CannotTell,
                by: None,
                lower: none,
                upper: none,
                estimate: none,
                est_error: none,
                rests_on: reasons(steps),
            };
        }
        let (verdict, by, rests_on) = self.verdict(two, known);
        let (estimate, est_error) = self.guess(two, limits).unzip();
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

    fn rests_on_void(&self, two: &Two<'_>, known: &Known) -> bool {
        let voids = two.scenes.map(Scene::void);
        let is_void = |why: Why| voids.iter().flatten().any(|void| void.has(why));
        let ways = [known.lower, known.upper, known.before, known.after];
        ways.into_iter().flatten().flat_map(|way| self.steps(two, way, true)).any(is_void)
    }

    fn verdict(&self, two: &Two<'_>, known: &Known) -> (Verdict, Option<By>, Vec<Reason>) {
        let certain = |earlier: usize, later: usize, first: Option<Way>| match first {
            Some(way) => Some(self.certain(two, way)),
            // Counters are coarse, and messages are not slower for it.
            None => {
                let way = self.causal.way(earlier, later, |why| self.is_void(two, why))?;
                Some((By::Cause, reasons(way)))
            }
        };
        let (elapsed, i, j) = (known.elapsed, two.i, two.j);
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
        let steps = ways.into_iter().flatten().flat_map(|way| self.steps(two, way, true));
        (Verdict::CannotTell, None, reasons(steps))
    }

    /// By what an order is certain, and what that rests on.
    fn certain(&self, two: &Two<'_>, way: Way) -> (By, Vec<Reason>) {
        if let Way::Own(clock) = way {
            return (By::Clock, vec![Reason::Counter(clock)]);
        }
        let steps = self.steps(two, way, true);
        if !steps.iter().any(|why| matches!(why, Why::Cause(_))) {
            return (By::Clock, reasons(steps));
        }
        let known = self.known(two, false);
        let first = if way.is_lower() { known.before } else { known.after };
        let by_clock = first.map(|way| self.steps(two, way, false));
        match by_clock {
            Some(steps) if !steps.iter().any(|&why| self.is_void(two, why)) => {
                (By::Clock, reasons(steps))
            }
            _ => (By::Cause, reasons(steps)),
        }
    }

    /// All limits of the time from one stamp to the other, by all ways.
    fn known(&self, two: &Two<'_>, with_causes: bool) -> Known {
        let clocks = &self.system.clocks;
        let [one, other] = self.stamps(two);
        let (x, y) = (one.counter.as_nanos(), other.counter.as_nanos());
        let mut known = Known::default();
        if one.clock == other.clock {
            let elapsed = Limits::since((Some(x), Some(x)), y);
            known.take(elapsed, &clocks[one.clock], [Way::Own(one.clock); 2]);
        }
        let [at_one, at_other] = self.boths(two, with_causes);
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

    /// What is known at a stamp's moment.
    fn scene(&self, stamp: usize) -> &Scene {
        self.scenes[stamp].get_or_init(|| {
            Scene::new(&self.system, &self.void, &self.graphs, &self.system.stamps[stamp])
        })
    }

    fn stamps(&self, two: &Two<'_>) -> [&Stamp; 2] {
        [two.i, two.j].map(|stamp| &self.system.stamps[stamp])
    }

    fn boths<'a>(&self, two: &Two<'a>, with_causes: bool) -> [Option<&'a Both>; 2] {
        let [one, other] = self.stamps(two);
        let Two { graphs, scenes, .. } = two;
        [scenes[0].both(graphs, one, with_causes), scenes[1].both(graphs, other, with_causes)]
    }

    /// Whether this is void at either moment.
    fn is_void(&self, two: &Two<'_>, why: Why) -> bool {
        let mut voids = two.scenes.iter().filter_map(|scene| scene.void());
        self.void.has(why) || voids.any(|void| void.has(why))
    }

    /// The steps of a way, in order from the first stamp to the second.
    fn steps(&self, two: &Two<'_>, way: Way, with_causes: bool) -> Vec<Why> {
        let [one, other] = self.stamps(two).map(|stamp| stamp.clock);
        let [at_one, at_other] = self.boths(two, with_causes);
        let utc = self.system.utc();
        let back = |both: Option<&Both>, is_most: bool, to: usize| -> Vec<Why> {
            let reach = both.map(|both| if is_most { &both.most } else { &both.least });
            reach.map_or_else(Vec::new, |reach| reach.steps_back(to).map(|(_, why)| why).collect())
        };
        let (mut there, back) = match way {
            Way::Own(_) => return Vec::new(),
            Way::Most { from_one: true } => (back(at_one, true, other), Vec::new()),
            Way::Least { from_one: true } => (back(at_one, false, other), Vec::new()),
            Way::Most { from_one: false } => (Vec::new(), back(at_other, true, one)),
            Way::Least { from_one: false } => (Vec::new(), back(at_other, false, one)),
            Way::Utc { lower } => (back(at_one, lower, utc), back(at_other, !lower, utc)),
        };
        there.reverse();
        there.extend(back);
        there
    }

    /// The best guess of the time from one stamp to the other, and its standard deviation.
    fn guess(&self, two: &Two<'_>, limits: Limits) -> Option<(Span, Span)> {
        let [one, other] = self.stamps(two);
        let (lower, upper) = (limits.lower?, limits.upper?);
        let width = upper as f64 - lower as f64;
        let guesses = self.guesses.get_or_init(|| Guesses::new(&self.system));
        let tree = self.trees[one.clock].get_or_init(|| guesses.tree(one.clock));
        let (x, y) = (one.counter.as_nanos(), other.counter.as_nanos());
        let guess = {
            let is_void = |why| self.is_void(two, why);
            guesses.follow(&self.system, tree, one.clock, other.clock, x, &is_void)
        };
        let found = guess.and_then(|guess| Some((y.checked_sub(guess.reading)?, guess.variance)));
        let most = width / 2.0 * SHARE;
        let (estimate, est_error) = match found {
            // How fast the counter itself ran is a guess, too.
            Some((apart, variance)) => {
                let drift = apart as f64 * TYPICAL_RATE;
                (apart, (variance + drift * drift).sqrt().min(most))
            }
            None => (lower.midpoint(upper), most),
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
