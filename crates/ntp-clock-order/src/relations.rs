//! Relations by names: what traces carry, for programs that know counters by their ids.

use std::collections::HashMap;
use std::sync::OnceLock;

use ntp_clock_core::{Evidence, LinkSnapshot, LocalTime, Span, UnixTime};

use crate::closure::Closure;
use crate::links::{Links, oscillator};
use crate::reason::{Reason, in_words};
use crate::relation::Relation;
use crate::system::{Cause, ClosureError, LinkBetween, Stamp};

/// A stamp by a counter that is known by its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moment {
    /// The counter's name; see [`Links`].
    pub counter: String,
    /// What it read.
    pub at: LocalTime,
    /// What time it was then, and the hard bound on its error.
    pub utc: Option<(UnixTime, Span)>,
}

/// What a link knew at one moment, and of that what exchanges alone say.
#[derive(Clone, PartialEq, Debug)]
pub struct NamedLink {
    /// The name of the link's A.
    pub a: String,
    /// The name of its B.
    pub b: String,
    /// What it knew by all evidence; its rates are by exchanges alone, where there were some.
    pub snapshot: LinkSnapshot,
    /// `lower_ns` and `upper_ns` by exchanges alone, counted from the same readings.
    pub exchanges: (f64, f64),
}

impl NamedLink {
    /// What a link of this table knows when the counter of `a` reads this; `None` where there is
    /// no link, or no evidence, or where one of the counters would be below zero.
    #[must_use]
    pub fn of(links: &Links, a: &str, b: &str, at: LocalTime) -> Option<Self> {
        let mut snapshot = links.snapshot(a, b, at, Evidence::All)?;
        // One of the two did not count yet at the moment, by what is known.
        if snapshot.a.as_nanos() < 0 || snapshot.b.as_nanos() < 0 {
            return None;
        }
        let exchanges = links.snapshot(a, b, at, Evidence::Exchanges).map(|exchanges| {
            // There is room for the rates of one: those by less evidence are true of both.
            (snapshot.rate_low, snapshot.rate_high) = (exchanges.rate_low, exchanges.rate_high);
            // Each counts from a reading of B of its own, and turned ones from one of A.
            let zero = (snapshot.b - snapshot.a, exchanges.b - exchanges.a);
            let moved = (zero.1 - zero.0).as_nanos() as f64;
            // And so its moment on the axis half-way between the counters is another one.
            let rate = exchanges.rate_low.abs().max(exchanges.rate_high.abs());
            let apart = (snapshot.a - exchanges.a) + (snapshot.b - exchanges.b);
            let spare = (apart.as_nanos() as f64).abs() / 2.0 * rate;
            (exchanges.lower_ns + moved - spare, exchanges.upper_ns + moved + spare)
        });
        let exchanges = exchanges.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
        Some(NamedLink { a: a.to_owned(), b: b.to_owned(), snapshot, exchanges })
    }

    /// The same by exchanges alone; `None` where they say nothing.
    fn by_exchanges(&self) -> Option<LinkSnapshot> {
        let (lower_ns, upper_ns) = self.exchanges;
        let both = lower_ns.is_finite() && upper_ns.is_finite();
        let estimate_ns = if both { (lower_ns + upper_ns) / 2.0 } else { f64::NAN };
        let est_error_ns = if both { (upper_ns - lower_ns) / 4.0 } else { 0.0 };
        let known = lower_ns.is_finite() || upper_ns.is_finite();
        let reported =
            LinkSnapshot { lower_ns, upper_ns, estimate_ns, est_error_ns, ..self.snapshot };
        known.then_some(reported)
    }
}

/// Stamps whose counters and causes have names, and how they stand to one another.
///
/// ```
/// use ntp_clock_core::{Evidence, LocalTime};
/// use ntp_clock_order::{Cause, Moment, Relations};
///
/// let at = |counter: &str, nanos| Moment {
///     counter: counter.to_owned(),
///     at: LocalTime::from_nanos(nanos),
///     utc: None,
/// };
/// let moments = [at("shop", 700), at("mail", 100), at("mail", 103)];
/// let names = ["paid", "received", "printed"].map(str::to_owned);
/// let relations = Relations::new(&moments, &[], &[Cause { earlier: 0, later: 1 }], &names)?;
/// let (_, rests_on) = relations.between(0, 2, Evidence::All).expect("both are there");
/// assert_eq!(rests_on, ["message paid -> received"]);
/// # Ok::<(), ntp_clock_order::ClosureError>(())
/// ```
#[derive(Debug)]
pub struct Relations {
    clocks: HashMap<String, usize>,
    stamps: Vec<Stamp>,
    links: Vec<NamedLink>,
    causes: Vec<Cause>,
    names: Vec<String>,
    all: Closure,
    exchanges: OnceLock<Option<Closure>>,
}

impl Relations {
    /// Of these moments. Links may be of counters that have stamped nothing: orders are also derived
    /// over third ones. `names` are those of the moments in what verdicts rest on; their places
    /// where there is none.
    ///
    /// # Errors
    /// [`ClosureError`] where a link or a cause is none.
    pub fn new(
        moments: &[Moment],
        links: &[NamedLink],
        causes: &[Cause],
        names: &[String],
    ) -> Result<Self, ClosureError> {
        let mut clocks = HashMap::new();
        let mut place = |name: &String| {
            let next = clocks.len();
            *clocks.entry(name.clone()).or_insert(next)
        };
        let stamps: Vec<_> = moments
            .iter()
            .map(|moment| Stamp {
                clock: place(&moment.counter),
                counter: moment.at,
                utc: moment.utc,
            })
            .collect();
        for (number, link) in links.iter().enumerate() {
            place(&link.a);
            place(&link.b);
            if link.by_exchanges().is_some_and(|exchanges| !exchanges.is_sound()) {
                return Err(ClosureError::Unsound { link: number });
            }
        }
        let places = 0..moments.len();
        let names =
            places.map(|i| names.get(i).cloned().unwrap_or_else(|| i.to_string())).collect();
        let snapshots: Vec<_> = links.iter().map(|link| Some(link.snapshot)).collect();
        let all = closure(&clocks, &stamps, links, &snapshots, causes)?;
        Ok(Relations {
            clocks,
            stamps,
            links: links.to_vec(),
            causes: causes.to_vec(),
            names,
            all,
            exchanges: OnceLock::new(),
        })
    }

    /// How one moment stands to another, and in words what that rests on; `None` where there is no
    /// such moment. By exchanges alone causes are not used, nor what messages said to links.
    #[must_use]
    pub fn between(
        &self,
        i: usize,
        j: usize,
        evidence: Evidence,
    ) -> Option<(Relation, Vec<String>)> {
        if i >= self.stamps.len() || j >= self.stamps.len() {
            return None;
        }
        let closure = match evidence {
            Evidence::All => &self.all,
            Evidence::Exchanges => self.exchanges.get_or_init(|| self.by_exchanges()).as_ref()?,
        };
        let relation = closure.relation(i, j);
        let rests_on = self.in_words(&relation.rests_on);
        Some((relation, rests_on))
    }

    /// Evidence that cannot all be true, in words.
    #[must_use]
    pub fn contradictions(&self) -> Vec<Vec<String>> {
        self.all.contradictions().iter().map(|reasons| self.in_words(reasons)).collect()
    }

    fn by_exchanges(&self) -> Option<Closure> {
        let snapshots: Vec<_> = self.links.iter().map(NamedLink::by_exchanges).collect();
        closure(&self.clocks, &self.stamps, &self.links, &snapshots, &[]).ok()
    }

    fn in_words(&self, reasons: &[Reason]) -> Vec<String> {
        let link = |place: usize| self.links.get(place).map(|link| (&*link.a, &*link.b));
        let cause = |place: usize| {
            let Cause { earlier, later } = self.causes.get(place)?;
            Some((&*self.names[*earlier], &*self.names[*later]))
        };
        in_words(reasons, link, cause)
    }
}

/// Links without a snapshot stay in their place and say nothing.
fn closure(
    clocks: &HashMap<String, usize>,
    stamps: &[Stamp],
    links: &[NamedLink],
    snapshots: &[Option<LinkSnapshot>],
    causes: &[Cause],
) -> Result<Closure, ClosureError> {
    let mut oscillators = vec![oscillator(""); clocks.len()];
    for (name, &place) in clocks {
        oscillators[place] = oscillator(name);
    }
    let between = |(link, snapshot): (&NamedLink, &Option<LinkSnapshot>)| {
        let nothing = LinkSnapshot {
            lower_ns: f64::NEG_INFINITY,
            upper_ns: f64::INFINITY,
            estimate_ns: f64::NAN,
            est_error_ns: 0.0,
            ..link.snapshot
        };
        let snapshot = snapshot.unwrap_or(nothing);
        LinkBetween { a: clocks[&link.a], b: clocks[&link.b], snapshot }
    };
    let links: Vec<_> = links.iter().zip(snapshots).map(between).collect();
    Closure::new(&oscillators, stamps, &links, causes)
}
