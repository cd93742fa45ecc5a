//! Whether stamps are in the order in which transactions really followed one another.

use std::fmt;

/// A transaction as it was: by the counter that all processes share, and by its stamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Transaction {
    /// The counter before it did anything, nanoseconds.
    pub(crate) began_ns: i64,
    /// The counter when it was over and its client knew, nanoseconds.
    pub(crate) ended_ns: i64,
    /// What it was committed at, nanoseconds of true time.
    pub(crate) stamp_ns: i64,
}

/// What a checker found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Found {
    /// How many were checked.
    pub(crate) transactions: u64,
    /// Pairs of them of which one began after the other was over.
    pub(crate) pairs: u64,
    /// Transactions with a stamp no later than that of one that was over before they began.
    pub(crate) violations: u64,
    /// How much later than the latest such stamp a transaction's was at least; negative where it
    /// was earlier. `None` where no pair is in order.
    pub(crate) least_gap_ns: Option<i64>,
}

/// Checks all pairs, in the time that sorting takes.
pub(crate) fn check(mut transactions: Vec<Transaction>) -> Found {
    let mut found = Found { transactions: transactions.len() as u64, ..Found::default() };
    let mut over = transactions.clone();
    over.sort_unstable_by_key(|t| t.ended_ns);
    transactions.sort_unstable_by_key(|t| t.began_ns);
    let mut over = over.into_iter().peekable();
    let (mut before, mut latest_ns) = (0, None);
    for transaction in transactions {
        while let Some(earlier) = over.next_if(|t| t.ended_ns < transaction.began_ns) {
            before += 1;
            latest_ns = latest_ns.max(Some(earlier.stamp_ns));
        }
        found.pairs += before;
        let Some(latest_ns) = latest_ns else { continue };
        let gap_ns = transaction.stamp_ns - latest_ns;
        found.violations += u64::from(gap_ns <= 0);
        found.least_gap_ns = Some(found.least_gap_ns.map_or(gap_ns, |least| least.min(gap_ns)));
    }
    found
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Found { transactions, pairs, violations, .. } = self;
        write!(f, "{transactions} transactions, {pairs} pairs in order, {violations} violations")?;
        match self.least_gap_ns {
            Some(gap_ns) => write!(f, ", least gap between stamps {:.3} ms", gap_ns as f64 / 1e6),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(of: &[(i64, i64, i64)]) -> Vec<Transaction> {
        of.iter()
            .map(|&(began_ns, ended_ns, stamp_ns)| Transaction { began_ns, ended_ns, stamp_ns })
            .collect()
    }

    #[test]
    fn a_transaction_after_another_must_have_a_later_stamp_and_one_at_the_same_time_need_not() {
        let after = |stamp_ns| check(all(&[(0, 10, 100), (11, 20, stamp_ns)]));
        assert_eq!((after(101).violations, after(101).least_gap_ns), (0, Some(1)));
        assert_eq!((after(100).violations, after(99).violations), (1, 1));
        let beside = check(all(&[(0, 10, 100), (10, 20, 50)]));
        let none = Found { transactions: 2, ..Found::default() };
        assert_eq!(beside, none, "it began when the other was not over yet");
    }

    #[test]
    fn the_sweep_finds_what_a_look_at_each_pair_finds() {
        for seed in 0..200 {
            let mut dice = fastrand::Rng::with_seed(seed);
            let transactions: Vec<Transaction> = (0..60)
                .map(|_| {
                    let began_ns = dice.i64(0..500);
                    let ended_ns = began_ns + dice.i64(0..60);
                    Transaction { began_ns, ended_ns, stamp_ns: ended_ns + dice.i64(-40..40) }
                })
                .collect();
            let (mut pairs, mut violations, mut least) = (0, 0, None);
            for b in &transactions {
                let before = transactions.iter().filter(|a| a.ended_ns < b.began_ns);
                pairs += before.clone().count() as u64;
                let Some(gap) = before.map(|a| b.stamp_ns - a.stamp_ns).min() else { continue };
                violations += u64::from(gap <= 0);
                least = Some(least.map_or(gap, |least: i64| least.min(gap)));
            }
            let found = check(transactions);
            assert_eq!((found.pairs, found.violations), (pairs, violations), "seed {seed}");
            assert_eq!(found.least_gap_ns, least, "seed {seed}");
        }
    }
}
