//! How often one connection may ask.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A connection's requests in hand: they come back at a steady rate, up to a burst's worth.
#[derive(Debug, Default)]
pub(crate) struct Budget(Mutex<Option<State>>);

#[derive(Debug)]
struct State {
    left: f64,
    at: Instant,
}

impl Budget {
    /// Takes a request out, if one is there; a rate of 0 is no limit.
    pub(crate) fn take(&self, per_second: u32) -> bool {
        per_second == 0 || self.take_at(per_second, per_second.saturating_mul(2), Instant::now())
    }

    fn take_at(&self, per_second: u32, burst: u32, now: Instant) -> bool {
        let most = f64::from(burst);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { left, at } = state.get_or_insert(State { left: most, at: now });
        let gained = now.saturating_duration_since(*at).as_secs_f64() * f64::from(per_second);
        *left = (*left + gained).min(most);
        *at = now.max(*at);
        let granted = *left >= 1.0;
        if granted {
            *left -= 1.0;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_vectors_requests_are_allowed_and_refused_as_they_say() {
        for case in crate::vectors::cases("relay-rate.json") {
            let (budget, start) = (Budget::default(), Instant::now());
            let number = |name: &str| u32::try_from(case[name].as_u64().unwrap()).unwrap();
            let allowed = case["at_ms"].as_array().unwrap().iter().map(|at| {
                let at = start + Duration::from_secs_f64(at.as_f64().unwrap() / 1e3);
                serde_json::Value::from(budget.take_at(number("rate"), number("burst"), at))
            });
            let allowed = allowed.collect();
            assert_eq!(serde_json::Value::Array(allowed), case["allowed"], "{}", case["name"]);
        }
    }

    #[test]
    fn time_that_goes_back_gives_nothing_and_costs_nothing() {
        let (budget, start) = (Budget::default(), Instant::now());
        let later = start + Duration::from_secs(9);
        assert!(budget.take_at(1, 1, later));
        assert!(!budget.take_at(1, 1, start));
        assert!(!budget.take_at(1, 1, later));
        assert!(budget.take_at(1, 1, later + Duration::from_secs(1)));
    }

    #[test]
    fn a_rate_of_nothing_is_no_limit() {
        let budget = Budget::default();
        assert!((0..10_000).all(|_| budget.take(0)));
    }
}
