//! What the rows prove, computed from them.

use std::fmt;

use super::moment::Row;
use super::table::span;

/// Gathers rows; `Display` is the closing lines.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    /// Whether the truth is known: it is where our own server serves this machine's clock.
    knows_truth: bool,
    /// Whether the system clocks were made wrong.
    faked: bool,
    rows: usize,
    system_apart: Vec<i64>,
    synced_apart: Vec<i64>,
    errors: Vec<i64>,
    within_errors: usize,
    /// Readings whose bound held the truth.
    inside: usize,
}

impl Verdict {
    pub(super) fn new(knows_truth: bool, faked: bool) -> Self {
        Verdict {
            knows_truth,
            faked,
            rows: 0,
            system_apart: Vec::new(),
            synced_apart: Vec::new(),
            errors: Vec::new(),
            within_errors: 0,
            inside: 0,
        }
    }

    /// Takes a row; gives whether it keeps every promise.
    pub(super) fn add(&mut self, row: &Row) -> bool {
        self.rows += 1;
        let [rust, python] = row.system_ns();
        self.system_apart.push((rust - python).abs());
        let (Some([rust, python]), Some(errors)) = (row.readings(), row.errors_ns()) else {
            return false;
        };
        let apart = (rust.time_ns - python.time_ns).abs();
        self.synced_apart.push(apart);
        self.errors.push(errors);
        self.within_errors += usize::from(apart <= errors);
        let inside = row.truth_inside().into_iter().filter(|inside| *inside == Some(true)).count();
        self.inside += inside;
        apart <= errors && (inside == 2 || !self.knows_truth)
    }

    /// Whether the readings kept every promise, and the system clocks were as wrong as intended.
    pub(super) fn is_good(&self) -> bool {
        self.rows > 0
            && self.within_errors == self.rows
            && (!self.knows_truth || self.inside == 2 * self.rows)
            && (!self.faked || self.system_apart.iter().all(|apart| *apart > FAKED_APART_NS))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "In {} pairs of readings", self.rows)?;
        writeln!(f, "  system clocks  {} apart", range(&self.system_apart))?;
        writeln!(
            f,
            "  ntp-clock      {} apart, within both max_errors together ({}) in {} of {}",
            range(&self.synced_apart),
            range(&self.errors),
            self.within_errors,
            self.rows
        )?;
        if self.knows_truth {
            writeln!(
                f,
                "  the truth      inside reading ± max_error in {} of {} (it is what the server serves)",
                self.inside,
                2 * self.rows
            )?;
        } else {
            writeln!(f, "  the truth      is not known here")?;
        }
        f.write_str(if self.is_good() { "Good: every promise kept." } else { "BAD: see above." })
    }
}

/// From the least to the greatest.
fn range(spans: &[i64]) -> String {
    let least = span(spans.iter().copied().min().unwrap_or(0));
    let greatest = span(spans.iter().copied().max().unwrap_or(0));
    if least == greatest { least } else { format!("{least} to {greatest}") }
}

/// The system clocks are set 3.9 s apart; less than this would mean that they were not.
const FAKED_APART_NS: i64 = 3_000_000_000;

#[cfg(test)]
mod tests {
    use super::super::moment::tests::row;
    use super::*;

    fn good_row() -> Row {
        Row { truth: [(4_990, 4_992), (5_500, 5_502)], ..row() }
    }

    #[test]
    fn every_reading_must_hold_the_truth_where_it_is_known() {
        let mut verdict = Verdict::new(true, false);
        assert!(!verdict.is_good(), "nothing was shown");
        assert!(verdict.add(&good_row()) && verdict.is_good());
        assert!(!verdict.add(&row()) && !verdict.is_good());
        assert!(verdict.to_string().contains("in 3 of 4"), "{verdict}");
        let mut unknown = Verdict::new(false, false);
        assert!(unknown.add(&row()) && unknown.is_good());
    }

    #[test]
    fn readings_further_apart_than_their_errors_are_no_good() {
        let mut row = good_row();
        if let Some(reading) = &mut row.samples[1].reading {
            reading.time_ns += 1_000;
        }
        let mut verdict = Verdict::new(false, false);
        assert!(!verdict.add(&row) && !verdict.is_good());
    }

    #[test]
    fn system_clocks_that_agree_when_they_should_not_are_no_good() {
        let mut verdict = Verdict::new(true, true);
        verdict.add(&good_row());
        assert!(!verdict.is_good());
    }
}
