//! Which of a name's addresses the requests of one attempt go to.
//!
//! The idea is that of "happy eyeballs" (RFC 8305): an address that does not answer soon is not
//! waited for, and one that refuses is left at once. Here the requests of an attempt, which are
//! sent anyway, go to one address after the other until one answers: no packet more than with a
//! single address.

use std::net::SocketAddr;

use ntp_clock_core::AttemptError;

use crate::failure::{Failure, FailureKind};

/// The addresses of one attempt and what became of each.
#[derive(Debug)]
pub(super) struct Order {
    candidates: Vec<Candidate>,
    /// Only the first is asked, unless it fails.
    stays: bool,
    /// The candidate asked last, and how many requests in a row went to it.
    at: usize,
    asked: u32,
    answered: Option<SocketAddr>,
}

#[derive(Debug)]
struct Candidate {
    address: SocketAddr,
    asked: bool,
    /// Why it cannot be used, as far as this attempt knows.
    failure: Option<Failure>,
}

impl Order {
    /// `home` comes first: the address that answered last. While it `stays`, no other is asked
    /// unless it fails. The `others` are taken in turn, from the one after `turn` others on.
    pub(super) fn new(
        home: Option<SocketAddr>,
        stays: bool,
        others: &[SocketAddr],
        turn: usize,
    ) -> Self {
        let mut order = Order {
            candidates: Vec::new(),
            stays: stays && home.is_some(),
            at: 0,
            asked: 0,
            answered: None,
        };
        order.extend(home.as_slice());
        let (before, after) = others.split_at(turn.checked_rem(others.len()).unwrap_or(0));
        order.extend(after);
        order.extend(before);
        order
    }

    /// Further addresses, found meanwhile.
    pub(super) fn extend(&mut self, addresses: &[SocketAddr]) {
        for address in addresses {
            if self.candidates.iter().all(|candidate| candidate.address != *address) {
                let address = *address;
                self.candidates.push(Candidate { address, asked: false, failure: None });
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.candidates.len()
    }

    /// The address for the next request.
    ///
    /// The first address gets two, so that it has 150 ms before another is asked (RFC 8305,
    /// section 5: 100 ms to 2 s) and one lost packet does not change the server. Those that failed
    /// are passed over, unless all did.
    pub(super) fn next(&mut self) -> Option<SocketAddr> {
        if self.answered.is_some() {
            return self.answered;
        }
        let usable = |candidate: &Candidate| candidate.failure.is_none();
        let repeats = match self.at {
            0 if self.stays => u32::MAX,
            0 => 2,
            _ => 1,
        };
        let again = self.asked < repeats && self.candidates.get(self.at).is_some_and(usable);
        if !again {
            let after = (1..=self.len()).map(|step| (self.at + step) % self.len());
            let next = after.clone().find(|at| self.candidates.get(*at).is_some_and(usable));
            self.at = next.or_else(|| after.clone().next())?;
            self.asked = 0;
        }
        self.asked = self.asked.saturating_add(1);
        let candidate = self.candidates.get_mut(self.at)?;
        candidate.asked = true;
        Some(candidate.address)
    }

    /// The address cannot be used, for this reason. Gives whether asking another one at once may
    /// help: it was the last one asked, and there is one that has not failed.
    pub(super) fn failed(&mut self, address: SocketAddr, failure: Failure) -> bool {
        let current = self.candidates.get(self.at).is_some_and(|at| at.address == address);
        if let Some(candidate) = self.candidates.iter_mut().find(|c| c.address == address) {
            candidate.failure = Some(failure);
        }
        current
            && self.answered.is_none()
            && self.candidates.iter().any(|candidate| candidate.failure.is_none())
    }

    /// The address has answered: all further requests go there.
    pub(super) fn answered(&mut self, address: SocketAddr) {
        self.answered = Some(address);
    }

    /// How many of the addresses were asked.
    pub(super) fn reach(&self) -> usize {
        self.candidates.iter().filter(|candidate| candidate.asked).count()
    }

    /// Which address failed how; nothing where the only one asked was silent.
    pub(super) fn story(&self) -> Option<Failure> {
        let asked: Vec<_> = self.candidates.iter().filter(|candidate| candidate.asked).collect();
        if asked.len() < 2 && asked.iter().all(|candidate| candidate.failure.is_none()) {
            return None;
        }
        let failures = asked.iter().map(|candidate| match &candidate.failure {
            Some(failure) => format!("{}: {failure}", candidate.address),
            None => format!("{}: no reply", candidate.address),
        });
        let silent = FailureKind::Attempt(AttemptError::NoReply);
        let kinds = asked.iter().map(|c| c.failure.as_ref().map_or(silent, Failure::kind));
        let kind = kinds.reduce(|one, other| if one == other { one } else { silent });
        Some(Failure::new(kind.unwrap_or(silent), failures.collect::<Vec<_>>().join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> [SocketAddr; 3] {
        ["192.0.2.1:123", "[2001:db8::1]:123", "192.0.2.2:123"].map(|a| a.parse().unwrap())
    }

    fn refused() -> Failure {
        Failure::new(FailureKind::Refused, "Connection refused")
    }

    fn asked(order: &mut Order, requests: usize) -> Vec<SocketAddr> {
        (0..requests).filter_map(|_| order.next()).collect()
    }

    #[test]
    fn an_address_that_is_silent_is_not_waited_for() {
        let [a, b, c] = addresses();
        let mut order = Order::new(None, false, &[a, b, c], 0);
        assert_eq!(asked(&mut order, 6), [a, a, b, c, a, a]);
        let mut later = Order::new(None, false, &[a, b, c], 4);
        assert_eq!(asked(&mut later, 2), [b, b], "another attempt begins elsewhere");
        let mut alone = Order::new(None, false, &[a], 7);
        assert_eq!(asked(&mut alone, 4), [a, a, a, a]);
        assert_eq!(Order::new(None, false, &[], 3).next(), None);
    }

    #[test]
    fn an_address_that_fails_is_left_at_once_and_passed_over_unless_all_did() {
        let [a, b, c] = addresses();
        let mut order = Order::new(None, false, &[a, b, c], 0);
        assert_eq!(order.next(), Some(a));
        assert!(order.failed(a, refused()));
        assert_eq!(asked(&mut order, 2), [b, c]);
        assert!(!order.failed(b, refused()), "the one after it is being asked");
        assert_eq!(asked(&mut order, 2), [c, c]);
        assert!(!order.failed(c, refused()), "there is no other");
        assert_eq!(asked(&mut order, 3), [a, b, c]);
    }

    #[test]
    fn an_address_that_answers_is_stayed_with_while_it_does() {
        let [a, b, c] = addresses();
        let mut order = Order::new(None, false, &[a, b, c], 0);
        assert_eq!(asked(&mut order, 3), [a, a, b]);
        order.answered(a);
        assert_eq!(asked(&mut order, 4), [a, a, a, a]);

        let mut next = Order::new(Some(c), true, &[a, b], 0);
        assert_eq!(asked(&mut next, 4), [c, c, c, c], "whatever its name leads to now");
        let mut refusing = Order::new(Some(c), true, &[a, b, c], 0);
        assert_eq!(refusing.next(), Some(c));
        assert!(refusing.failed(c, refused()));
        assert_eq!(asked(&mut refusing, 3), [a, b, a]);
        let mut silent = Order::new(Some(c), false, &[a, b, c], 1);
        assert_eq!(asked(&mut silent, 4), [c, c, b, a], "after an attempt without an answer");
    }

    #[test]
    fn the_story_names_each_address_that_was_asked() {
        let [a, b, c] = addresses();
        let mut order = Order::new(None, false, &[a, b, c], 0);
        let story = |order: &Order| order.story().map(|s| (s.code(), s.to_string()));
        assert_eq!(story(&order), None);
        order.next();
        assert_eq!(story(&order), None, "that nothing came back is said elsewhere");
        order.failed(a, refused());
        let one = "192.0.2.1:123: Connection refused".to_owned();
        assert_eq!(story(&order), Some(("refused", one)));
        order.next();
        let both = "192.0.2.1:123: Connection refused; [2001:db8::1]:123: no reply";
        assert_eq!(story(&order), Some(("no_reply", both.to_owned())));
        assert_eq!(order.reach(), 2);
    }

    #[test]
    fn addresses_found_meanwhile_are_asked_too() {
        let [a, b, _] = addresses();
        let mut order = Order::new(None, false, &[a], 0);
        assert_eq!(asked(&mut order, 2), [a, a]);
        order.extend(&[a, b]);
        assert_eq!(asked(&mut order, 2), [b, a]);
    }
}
