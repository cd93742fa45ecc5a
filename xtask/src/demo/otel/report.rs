//! What the traces in the store say, held against the truth.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::store::Span;

/// How many spans a trace of one order has.
pub(super) const SPANS: usize = 8;

/// One run's traces.
#[derive(Debug)]
pub(super) struct Report {
    spans: Vec<Span>,
    /// The truth when the counter of [`Truth`] was zero, Unix nanoseconds.
    zero_ns: i64,
}

/// Between which moments a span began.
#[derive(Clone, Copy, Debug)]
struct Truth {
    earliest_ns: i64,
    latest_ns: i64,
}

impl Report {
    pub(super) fn of(mut spans: Vec<Span>, zero_ns: i64) -> Result<Self> {
        spans.sort_by(|a, b| (&a.trace, a.start_ns).cmp(&(&b.trace, b.start_ns)));
        let report = Report { spans, zero_ns };
        report.root().context("the store has no root span")?;
        Ok(report)
    }

    /// Whether no child begins before its parent by more than both say that they can be wrong, and
    /// all starts whose truth is known are within the error that they state.
    pub(super) fn is_true(&self) -> bool {
        let known = self.known();
        let contradicts = |(span, by_ns): &(&Span, i64)| {
            let allowed_ns = stated_ns(span) + self.parent(span).map_or(0, stated_ns);
            *by_ns > allowed_ns
        };
        !self.early().iter().any(contradicts)
            && !known.is_empty()
            && known.iter().all(|(span, truth)| error_ns(span, *truth) <= stated_ns(span))
    }

    pub(super) fn print(&self, title: &str) {
        let traces: BTreeMap<&str, ()> = self.spans.iter().map(|span| (&*span.trace, ())).collect();
        println!("{title}: {} traces, {} spans", traces.len(), self.spans.len());
        println!("\n  first trace                     begins      lasts   stated error");
        if let Some(root) = self.root() {
            self.print_tree(root, root.start_ns, 0);
        }
        let early = self.early();
        let worst_ns = early.iter().map(|(_, by_ns)| *by_ns).max().unwrap_or(0);
        let children = self.spans.iter().filter(|span| self.parent(span).is_some()).count();
        println!(
            "\n  children that begin before their parent: {} of {children}{}",
            early.len(),
            if early.is_empty() {
                String::new()
            } else {
                format!(", by {} at most", shown(worst_ns))
            }
        );
        let known = self.known();
        let wrong_ns = known.iter().map(|(span, truth)| error_ns(span, *truth)).max().unwrap_or(0);
        let stated: Vec<i64> = known.iter().filter_map(|(span, _)| said_ns(span)).collect();
        let within = known
            .iter()
            .filter(|(span, truth)| {
                said_ns(span).is_some_and(|said| error_ns(span, *truth) <= said)
            })
            .count();
        println!("  furthest from the truth, of {} starts: {}", known.len(), shown(wrong_ns));
        match (stated.iter().min(), stated.iter().max()) {
            (Some(least), Some(most)) => println!(
                "  stated error: {} to {}; {within} of {} starts are within theirs\n",
                shown(*least),
                shown(*most),
                known.len()
            ),
            _ => println!("  stated error: none\n"),
        }
    }

    fn print_tree(&self, span: &Span, from_ns: i64, depth: usize) {
        let name = format!("{}{} {}", "  ".repeat(depth), self.service(span), span.name);
        let begins = shown(span.start_ns - from_ns);
        let lasts = shown(span.end_ns - span.start_ns);
        let said = said_ns(span).map_or("none".to_owned(), |ns| format!("±{}", shown(ns)));
        println!("  {name:<30}{begins:>12}{lasts:>11}   {said}");
        for child in self.spans.iter().filter(|child| child.parent.as_ref() == Some(&span.id)) {
            self.print_tree(child, from_ns, depth + 1);
        }
    }

    /// The one whose spans are printed.
    fn root(&self) -> Option<&Span> {
        self.spans.iter().filter(|span| span.parent.is_none()).min_by_key(|span| span.start_ns)
    }

    fn parent(&self, span: &Span) -> Option<&Span> {
        let parent = span.parent.as_ref()?;
        self.spans.iter().find(|other| other.id == *parent)
    }

    /// Children that begin before their parent, and by how much.
    fn early(&self) -> Vec<(&Span, i64)> {
        let early = self.spans.iter().filter_map(|span| {
            let by_ns = self.parent(span)?.start_ns - span.start_ns;
            (by_ns > COARSE_NS).then_some((span, by_ns))
        });
        early.collect()
    }

    /// Spans of which it is known when they began.
    fn known(&self) -> Vec<(&Span, Truth)> {
        let known = self.spans.iter().filter_map(|span| {
            let [earliest_ns, latest_ns] =
                ["truth.before_ns", "truth.after_ns"].map(|name| span.number(name));
            let truth = Truth {
                earliest_ns: self.zero_ns + earliest_ns?,
                latest_ns: self.zero_ns + latest_ns?,
            };
            Some((span, truth))
        });
        known.collect()
    }

    /// Whose span it is: that of its parent, but for the first of the next service.
    fn service(&self, span: &Span) -> &'static str {
        match (&*span.name, self.parent(span)) {
            ("GET /reserve", _) => "stock",
            ("GET /charge", _) => "payment",
            (_, Some(parent)) => self.service(parent),
            (_, None) => "shop",
        }
    }
}

/// Which spans there are, and how many of each.
pub(super) fn names(spans: &[Span]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for span in spans {
        *counts.entry(&span.name).or_default() += 1;
    }
    let shown = counts.iter().map(|(name, count)| format!("{count} {name}"));
    shown.collect::<Vec<_>>().join(", ")
}

/// How far a start is from when it can have been.
fn error_ns(span: &Span, truth: Truth) -> i64 {
    let early_ns = truth.earliest_ns - span.start_ns;
    let late_ns = span.start_ns - truth.latest_ns;
    (early_ns.max(late_ns) - COARSE_NS).max(0)
}

/// What the span says of itself.
fn said_ns(span: &Span) -> Option<i64> {
    span.number("ntp_clock.max_error_ns")
}

/// The same; what says nothing claims to be right.
fn stated_ns(span: &Span) -> i64 {
    said_ns(span).unwrap_or(0)
}

/// A length of time, in the unit that suits it.
fn shown(ns: i64) -> String {
    let seconds = ns as f64 / 1e9;
    match seconds.abs() {
        hours if hours >= 3600.0 => format!("{:.3} h", seconds / 3600.0),
        whole if whole >= 1.0 => format!("{seconds:.3} s"),
        _ => format!("{:.3} ms", seconds * 1e3),
    }
}

/// The store's times are doubles, and so coarse.
const COARSE_NS: i64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// A shop, and a stock whose clock is off by `skew_ns`; each says an error of a millisecond.
    fn report(skew_ns: i64) -> Report {
        let span = |name: &str, parent: Option<&str>, start_ns: i64, truth_ns: i64| {
            let attributes = [
                ("truth.before_ns", truth_ns - 10),
                ("truth.after_ns", truth_ns + 10),
                ("ntp_clock.max_error_ns", 1_000_000),
            ];
            Span::for_test(name, parent, start_ns, &attributes)
        };
        let zero_ns = 1_000_000_000_000;
        let spans = vec![
            span("GET", None, zero_ns + 5_000_000, 5_000_000),
            span("GET /reserve", Some("GET"), zero_ns + 9_000_000 + skew_ns, 9_000_000),
        ];
        Report::of(spans, zero_ns).unwrap()
    }

    #[test]
    fn traces_are_true_where_children_follow_parents_and_starts_are_within_their_error() {
        assert!(report(0).is_true());
        assert!(report(900_000).is_true());
        assert!(!report(1_100_000).is_true());
        let early = report(-5_000_000);
        assert!(!early.is_true());
        assert!(!report(-20_000_000).is_true());
        assert_eq!(early.early().iter().map(|(_, by_ns)| *by_ns).collect::<Vec<_>>(), [1_000_000]);
    }

    #[test]
    fn lengths_of_time_are_in_the_unit_that_suits_them() {
        assert_eq!(shown(10_800_000_000_000), "3.000 h");
        assert_eq!(shown(-2_000_000_000), "-2.000 s");
        assert_eq!(shown(17_002_000), "17.002 ms");
    }
}
