//! Order between clocks: [`ntp_clock_order`], with numbers for Python.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ntp_clock_order::{
    By, Cause, Evidence, Fed, LinkSnapshot, LinkStamps, LinkState, Links, LocalTime, Moment,
    NamedLink, Relation, Relations, Span, UnixTime, Verdict,
};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;

/// `counter`, `counter_ns`, `time_ns`, `max_error_ns`.
type PlainMoment = (String, i64, Option<i64>, Option<i64>);
/// `a`, `b`; readings of both; `lower_ns`, `upper_ns`, `est_ns`, `est_error_ns`; `rate_ppb`;
/// `round_trip_ns`; `exchanges_ns`.
type PlainLink = (
    String,
    String,
    (i64, i64),
    (Option<f64>, Option<f64>, Option<f64>, Option<f64>),
    (f64, f64),
    Option<f64>,
    (Option<f64>, Option<f64>),
);
/// `order`, `by`; lower, upper, estimate and its error in nanoseconds; `rests_on`.
type PlainRelation = (
    &'static str,
    Option<&'static str>,
    (Option<i64>, Option<i64>, Option<i64>, Option<i64>),
    Vec<String>,
);
/// Exchanges, messages, restarts, and A's counter at the newest evidence.
type Counts = (u64, u64, u64, Option<i64>);
/// A's name, B's, and the counts.
type NamedCounts = (String, String, Counts);

/// What follows of moments, links and causes.
#[pyclass(frozen, module = "portacode._native")]
pub(crate) struct OrderRelations(Relations);

#[pymethods]
impl OrderRelations {
    #[new]
    fn new(
        moments: Vec<PlainMoment>,
        links: Vec<PlainLink>,
        causes: Vec<(usize, usize)>,
        names: Vec<String>,
    ) -> PyResult<Self> {
        let moments: Vec<_> = moments.into_iter().map(moment).collect();
        let links: Vec<_> = links.into_iter().map(link).collect();
        let causes: Vec<_> =
            causes.into_iter().map(|(earlier, later)| Cause { earlier, later }).collect();
        let relations = Relations::new(&moments, &links, &causes, &names);
        relations.map(OrderRelations).map_err(refused)
    }

    /// How one moment stands to another; by exchanges alone, or by all there is.
    fn between(
        &self,
        py: Python<'_>,
        i: usize,
        j: usize,
        exchanges: bool,
    ) -> PyResult<PlainRelation> {
        let evidence = if exchanges { Evidence::Exchanges } else { Evidence::All };
        let found = py.detach(|| self.0.between(i, j, evidence));
        let (relation, rests_on) =
            found.ok_or_else(|| PyIndexError::new_err(format!("there is no moment {i} or {j}")))?;
        Ok(plain(&relation, rests_on))
    }

    /// Evidence that cannot all be true, in words.
    fn contradictions(&self) -> Vec<Vec<String>> {
        self.0.contradictions()
    }
}

/// A bounded table of links.
#[pyclass(frozen, module = "portacode._native")]
pub(crate) struct LinkTable(Mutex<Links>);

#[pymethods]
impl LinkTable {
    #[new]
    fn new(most: usize) -> Self {
        LinkTable(Mutex::new(Links::new(most)))
    }

    /// T1 to T4 of a request of `a` and the reply of `b`; "kept", "dropped" or "restarted".
    fn exchange(&self, a: &str, b: &str, stamps: (i64, i64, i64, i64)) -> PyResult<&'static str> {
        let (sent_a, received_b, sent_b, received_a) = stamps;
        let stamps = LinkStamps {
            sent_a: LocalTime::from_nanos(sent_a),
            received_b: LocalTime::from_nanos(received_b),
            sent_b: LocalTime::from_nanos(sent_b),
            received_a: LocalTime::from_nanos(received_a),
        };
        self.links().exchange(a, b, &stamps).map(fed).map_err(refused)
    }

    /// Something was sent and received; "kept", "dropped" or "restarted".
    fn message(
        &self,
        sender: &str,
        receiver: &str,
        sent_ns: i64,
        received_ns: i64,
    ) -> PyResult<&'static str> {
        let (sent, received) = (LocalTime::from_nanos(sent_ns), LocalTime::from_nanos(received_ns));
        self.links().message(sender, receiver, sent, received).map(fed).map_err(refused)
    }

    /// What is known of two counters when that of `a` reads this; None without evidence.
    fn snapshot(&self, a: &str, b: &str, at_ns: i64) -> Option<PlainLink> {
        NamedLink::of(&self.links(), a, b, LocalTime::from_nanos(at_ns)).map(plain_link)
    }

    /// How a moment of one counter stands to a moment of another.
    fn difference(
        &self,
        a: (String, i64),
        b: (String, i64),
        exchanges: bool,
    ) -> PyResult<PlainRelation> {
        let evidence = if exchanges { Evidence::Exchanges } else { Evidence::All };
        let moment = |(name, ns): &(String, i64)| (name.clone(), LocalTime::from_nanos(*ns));
        let ((a, at_a), (b, at_b)) = (moment(&a), moment(&b));
        let between = self.links().between((&a, at_a), (&b, at_b), evidence).map_err(refused)?;
        Ok(plain(&between.relation, between.rests_on()))
    }

    /// The names of the link of these two, and what it was fed; None where there is none.
    fn pair(&self, a: &str, b: &str) -> Option<NamedCounts> {
        self.links().get(a, b).map(counts)
    }

    /// The same of each link, those first that were fed last.
    fn pairs(&self) -> Vec<NamedCounts> {
        self.links().iter().map(counts).collect()
    }

    fn __len__(&self) -> usize {
        self.links().len()
    }
}

impl LinkTable {
    fn links(&self) -> MutexGuard<'_, Links> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn counts(LinkState { a, b, link }: LinkState<'_>) -> NamedCounts {
    let newest = link.newest_a().map(LocalTime::as_nanos);
    let counts = (link.exchanges(), link.messages(), link.restarts(), newest);
    (a.to_owned(), b.to_owned(), counts)
}

fn refused(error: impl ToString) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn fed(fed: Fed) -> &'static str {
    match fed {
        Fed::Kept => "kept",
        Fed::Dropped => "dropped",
        Fed::Restarted => "restarted",
    }
}

fn moment((counter, counter_ns, time_ns, max_error_ns): PlainMoment) -> Moment {
    let utc = time_ns.zip(max_error_ns);
    let utc = utc.map(|(time, error)| (UnixTime::from_nanos(time), Span::from_nanos(error)));
    Moment { counter, at: LocalTime::from_nanos(counter_ns), utc }
}

fn link((a, b, (a_ns, b_ns), bounds, rates, round_trip, exchanges): PlainLink) -> NamedLink {
    let (lower, upper, estimate, est_error) = bounds;
    let snapshot = LinkSnapshot {
        a: LocalTime::from_nanos(a_ns),
        b: LocalTime::from_nanos(b_ns),
        lower_ns: lower.unwrap_or(f64::NEG_INFINITY),
        upper_ns: upper.unwrap_or(f64::INFINITY),
        estimate_ns: estimate.unwrap_or(f64::NAN),
        est_error_ns: est_error.unwrap_or(0.0),
        rate_low: rates.0 * PER_BILLION,
        rate_high: rates.1 * PER_BILLION,
        round_trip_ns: round_trip.unwrap_or(f64::INFINITY),
    };
    let exchanges =
        (exchanges.0.unwrap_or(f64::NEG_INFINITY), exchanges.1.unwrap_or(f64::INFINITY));
    NamedLink { a, b, snapshot, exchanges }
}

fn plain_link(NamedLink { a, b, snapshot, exchanges }: NamedLink) -> PlainLink {
    let known = |number: f64| number.is_finite().then_some(number);
    let estimate = known(snapshot.estimate_ns);
    (
        a,
        b,
        (snapshot.a.as_nanos(), snapshot.b.as_nanos()),
        (
            known(snapshot.lower_ns),
            known(snapshot.upper_ns),
            estimate,
            estimate.and(known(snapshot.est_error_ns)),
        ),
        (snapshot.rate_low / PER_BILLION, snapshot.rate_high / PER_BILLION),
        known(snapshot.round_trip_ns),
        (known(exchanges.0), known(exchanges.1)),
    )
}

fn plain(relation: &Relation, rests_on: Vec<String>) -> PlainRelation {
    let order = match relation.verdict {
        Verdict::Before => "certainly_before",
        Verdict::After => "certainly_after",
        Verdict::CannotTell => "cannot_tell",
    };
    let by = relation.by.map(|by| match by {
        By::Clock => "clock",
        By::Cause => "cause",
    });
    let ns = |span: Option<Span>| span.map(Span::as_nanos);
    let Relation { lower, upper, estimate, est_error, .. } = *relation;
    (order, by, (ns(lower), ns(upper), ns(estimate), ns(est_error)), rests_on)
}

const PER_BILLION: f64 = 1e-9;
