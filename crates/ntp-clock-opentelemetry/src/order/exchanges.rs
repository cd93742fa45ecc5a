//! What exchanges say of this process's counter and those of others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ntp_clock::{Clock, LocalTime};
use ntp_clock_history::Traced;
use ntp_clock_order::{Evidence, LinkStamps, Links, oscillator};
use opentelemetry::KeyValue;
use opentelemetry::trace::SpanId;

use super::member::{Answer, Exchanged, Member};
use super::tracestate::member_of;
use crate::bounded::Bounded;

/// Links are some 4 KiB each. They are apart from the program's own, because members come from
/// strangers.
const MOST_LINKS: usize = 1_024;
const MOST_PEERS: usize = 1_024;
/// Spans that have begun and not left yet.
const MOST_SPANS: usize = 4_096;

/// The exchanges of a process with those that it asks and that ask it, in bounded memory.
///
/// Made by [`Timekeeper::exchanges`](crate::Timekeeper::exchanges).
///
/// ```
/// use ntp_clock::ManualClock;
/// use ntp_clock_opentelemetry::install;
///
/// let clock = ManualClock::new().clock(); // a program has `Clock::global().clone()`
/// let exchanges = install(&clock).exchanges().clone();
/// // What was sent to "mail:8080" in tracestate, and the header of its answer.
/// let t1 = clock.local_now().as_nanos();
/// let sent = format!("ntpclock=1.{}.{t1}", clock.counter_id());
/// let header = format!("1.0f3a6c5d9be2714f.{t1}.7000.7050");
/// assert!(exchanges.answered("mail:8080", &sent, &header));
/// // A cache kept the answer to another request.
/// assert!(!exchanges.answered("mail:8080", &sent, "1.0f3a6c5d9be2714f.5.7000.7050"));
/// // Nobody has the counter of this process but itself.
/// let own = format!("1.{}.{t1}.7000.7050", clock.counter_id());
/// assert!(!exchanges.answered("mail:8080", &sent, &own));
/// ```
#[derive(Clone, Debug)]
pub struct Exchanges(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    links: Links,
    /// By whom was asked: the last exchange.
    peers: Bounded<String, Exchanged>,
    /// By a span that began here: what its remote parent said.
    parents: Bounded<SpanId, Member>,
}

impl Exchanges {
    pub(crate) fn new(clock: Clock) -> Self {
        let known = Known {
            links: Links::new(MOST_LINKS),
            peers: Bounded::new(MOST_PEERS),
            parents: Bounded::new(MOST_SPANS),
        };
        Exchanges(Arc::new(Inner { clock, known: Mutex::new(known) }))
    }

    #[cfg(any(test, feature = "tower"))]
    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Learns from the answer of a server, for programs that have no
    /// [`ClientLayer`](crate::ClientLayer): `peer` is who was asked, `sent` what `tracestate` the
    /// request had, `header` what the response had in `ntp-clock-exchange`. Call it as soon as the
    /// response is there; gives whether it says something.
    #[expect(clippy::must_use_candidate, reason = "it learns; the answer is for who wants to log")]
    pub fn answered(&self, peer: &str, sent: &str, header: &str) -> bool {
        let returned = self.0.clock.stamp();
        let member = member_of(sent).and_then(|member| member.parse::<Member>().ok());
        let (Some(member), Ok(answer)) = (member, header.parse::<Answer>()) else { return false };
        // After a sleep in between it is another counter; and a cache may have kept the answer to
        // another request.
        if member.counter != returned.counter_id.to_string() || member.sent != answer.sent {
            return false;
        }
        let stamps = [answer.sent, answer.received, answer.answered, returned.counter];
        let mut known = self.known();
        let link = link_stamps(stamps);
        let fed = known.links.exchange(&member.counter, &answer.counter, &link).is_ok();
        if fed {
            let exchanged = Exchanged { peer: answer.counter, stamps };
            known.peers.insert(peer.to_owned(), exchanged);
        }
        fed
    }

    /// What a request to this peer says of this process's counter.
    pub(super) fn member(&self, peer: Option<&str>) -> Member {
        let stamp = self.0.clock.stamp();
        let exchange = peer.and_then(|peer| self.known().peers.get(peer).cloned());
        let counter = stamp.counter_id.to_string();
        // Of an exchange before a sleep the stamps are another counter's.
        let exchange = exchange.filter(|exchange| exchange.stamps[3] <= stamp.counter);
        Member { counter, sent: stamp.counter, exchange }
    }

    /// Learns from the exchange in a member, if it is one with this process.
    pub(super) fn received(&self, member: &Member) {
        let Some(exchange) = &member.exchange else { return };
        if exchange.peer == self.0.clock.counter_id().to_string() {
            let stamps = link_stamps(exchange.stamps);
            // What cannot be true is refused.
            let _fed = self.known().links.exchange(&member.counter, &exchange.peer, &stamps);
        }
    }

    /// Remembers what the remote parent of a span said, until the span leaves.
    pub(crate) fn began(&self, span: SpanId, parent: Member) {
        self.known().parents.insert(span, parent);
    }

    /// What is known of the order of a span and the sending by its remote parent; nothing where
    /// that said nothing. `start` are the moments at which the span can have begun.
    pub(crate) fn order(
        &self,
        span: SpanId,
        start: impl FnOnce() -> Option<Traced>,
    ) -> Vec<KeyValue> {
        let mut known = self.known();
        let Some(parent) = known.parents.remove(&span) else { return Vec::new() };
        let gap = start().and_then(|start| gap(&known.links, &parent, start)).unwrap_or_default();
        gap.attributes()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn link_stamps([sent_a, received_b, sent_b, received_a]: [LocalTime; 4]) -> LinkStamps {
    LinkStamps { sent_a, received_b, sent_b, received_a }
}

/// From the sending by the parent to the start, nanoseconds.
#[derive(Debug, Default)]
struct Gap {
    lower_ns: Option<i64>,
    upper_ns: Option<i64>,
    estimate_ns: Option<i64>,
}

/// By the parent's counter; `None` where no exchange speaks of it.
fn gap(links: &Links, parent: &Member, start: Traced) -> Option<Gap> {
    if start.earliest.counter != start.latest.counter {
        return None;
    }
    let own = format!("{:016x}", start.earliest.counter);
    let moments = [start.earliest.counter_ns, start.latest.counter_ns];
    let sent_ns = parent.sent.as_nanos();
    let since =
        |at_ns: i64, ahead_ns: Option<i64>| at_ns.checked_add(ahead_ns?)?.checked_sub(sent_ns);
    if own == parent.counter {
        let [first, last] = moments.map(|at_ns| since(at_ns, Some(0)));
        let middle = first.and_then(|first| Some(first + (last?.checked_sub(first)?) / 2));
        return Some(Gap { lower_ns: first, upper_ns: last, estimate_ns: middle });
    }
    let ahead = |at_ns: i64| {
        let at = LocalTime::from_nanos(at_ns);
        let snapshot = links.snapshot(&own, &parent.counter, at, Evidence::Exchanges)?;
        Some(snapshot.at_a(at))
    };
    let ns = |span: Option<ntp_clock_order::Span>| span.map(|span| span.as_nanos());
    let [first, last] = moments;
    let (early, late) = (ahead(first)?, ahead(last)?);
    let middle = first.checked_add(last.checked_sub(first)? / 2)?;
    let gap = Gap {
        lower_ns: since(first, ns(early.lower)),
        upper_ns: since(last, ns(late.upper)),
        estimate_ns: since(middle, ns(early.estimate)),
    };
    Some(gap.in_true_time(oscillator(&parent.counter).rate_max()))
}

impl Gap {
    /// A counter runs at another rate than true time; which came first does not depend on it.
    fn in_true_time(self, rate_max: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "far below 2^53 for any real gap")]
        #[expect(clippy::cast_precision_loss, reason = "the same")]
        let stretched = |ns: i64| (ns as f64 * rate_max).abs().ceil() as i64;
        Gap {
            lower_ns: self.lower_ns.map(|ns| ns.saturating_sub(stretched(ns))),
            upper_ns: self.upper_ns.map(|ns| ns.saturating_add(stretched(ns))),
            ..self
        }
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let order = match (self.lower_ns, self.upper_ns) {
            (Some(lower_ns), _) if lower_ns > 0 => "after",
            (_, Some(upper_ns)) if upper_ns < 0 => "before",
            _ => "unknown",
        };
        let mut attributes = vec![KeyValue::new("ntp_clock.parent_order", order)];
        if let (Some(lower), Some(upper), Some(estimate)) =
            (self.lower_ns, self.upper_ns, self.estimate_ns)
        {
            let estimate = estimate.clamp(lower, upper.max(lower));
            let error = upper.saturating_sub(estimate).max(estimate.saturating_sub(lower));
            attributes.push(KeyValue::new("ntp_clock.parent_gap_ns", estimate));
            attributes.push(KeyValue::new("ntp_clock.parent_gap_max_error_ns", error));
        }
        attributes
    }
}

#[cfg(test)]
mod tests {
    use ntp_clock::ManualClock;
    use ntp_clock_history::Moment;
    use opentelemetry::Value;

    use super::*;

    const PEER: &str = "0f3a6c5d9be2714f";

    fn at(clock: &Clock, from_ns: i64, to_ns: i64) -> Option<Traced> {
        let counter = u64::from_str_radix(&clock.counter_id().to_string(), 16).expect("hex");
        let [earliest, latest] = [from_ns, to_ns].map(|counter_ns| Moment { counter_ns, counter });
        Some(Traced { earliest, latest, ambiguous: false })
    }

    fn said(attributes: &[KeyValue], key: &str) -> Option<Value> {
        attributes.iter().find(|one| one.key.as_str() == key).map(|one| one.value.clone())
    }

    /// The peer is 7 ms ahead of this process and has asked it, with 100 us each way.
    fn asked(exchanges: &Exchanges) -> String {
        let own = exchanges.clock().counter_id().to_string();
        let member = format!("1.{PEER}.9000000.{own}.8000000.1100000.1110000.8210000");
        exchanges.received(&member.parse().expect("a member"));
        own
    }

    fn order_of(exchanges: &Exchanges, sent_ns: i64, start: Option<Traced>) -> Vec<KeyValue> {
        let span = SpanId::from(7);
        let member = format!("1.{PEER}.{sent_ns}").parse().expect("a member");
        exchanges.began(span, member);
        let ordered = exchanges.order(span, || start);
        assert!(exchanges.order(span, || start).is_empty(), "reported once");
        ordered
    }

    #[test]
    fn a_span_is_after_before_or_beside_what_its_parent_sent_and_the_gap_is_bounded() {
        let clock = ManualClock::new().clock();
        let exchanges = Exchanges::new(clock.clone());
        asked(&exchanges);
        for (sent_ns, wanted) in
            [(9_000_000, "after"), (9_990_000, "unknown"), (13_000_000, "before")]
        {
            // By the peer's counter the span began at 10 ms, within 100 us.
            let ordered = order_of(&exchanges, sent_ns, at(&clock, 3_000_000, 3_001_000));
            assert_eq!(
                said(&ordered, "ntp_clock.parent_order"),
                Some(wanted.into()),
                "{ordered:?}"
            );
            let numbers = ["ntp_clock.parent_gap_ns", "ntp_clock.parent_gap_max_error_ns"]
                .map(|key| said(&ordered, key));
            let [Some(Value::I64(gap)), Some(Value::I64(error))] = numbers else {
                panic!("{ordered:?}")
            };
            assert!((gap - (10_000_000 - sent_ns)).abs() <= error, "{ordered:?}");
            assert!((100_000..120_000).contains(&error), "{ordered:?}");
        }
    }

    #[test]
    fn without_an_exchange_the_order_is_unknown_and_without_a_member_nothing_is_said() {
        let clock = ManualClock::new().clock();
        let exchanges = Exchanges::new(clock.clone());
        let unknown = [KeyValue::new("ntp_clock.parent_order", "unknown")];
        assert_eq!(order_of(&exchanges, 9_000_000, at(&clock, 0, 0)), unknown);
        asked(&exchanges);
        assert_eq!(order_of(&exchanges, 9_000_000, None), unknown);
        assert_eq!(exchanges.order(SpanId::from(8), || at(&clock, 0, 0)), []);
    }

    #[test]
    fn two_processes_of_one_machine_need_no_exchange() {
        let clock = ManualClock::new().clock();
        let exchanges = Exchanges::new(clock.clone());
        let member = Member {
            counter: clock.counter_id().to_string(),
            sent: LocalTime::from_nanos(1_000),
            exchange: None,
        };
        exchanges.began(SpanId::from(7), member);
        let ordered = exchanges.order(SpanId::from(7), || at(&clock, 1_500, 1_700));
        assert_eq!(said(&ordered, "ntp_clock.parent_order"), Some("after".into()));
        assert_eq!(said(&ordered, "ntp_clock.parent_gap_ns"), Some(600.into()));
        assert_eq!(said(&ordered, "ntp_clock.parent_gap_max_error_ns"), Some(100.into()));
    }

    #[test]
    fn exchanges_with_others_and_what_cannot_be_true_are_left_out() {
        let exchanges = Exchanges::new(ManualClock::new().clock());
        let own = exchanges.clock().counter_id().to_string();
        for member in [
            format!("1.{PEER}.9000000.00000000000000ff.8000000.1100000.1110000.8210000"),
            // The answer took longer than the whole.
            format!("1.{PEER}.9000000.{own}.8000000.1100000.9110000.8210000"),
        ] {
            exchanges.received(&member.parse().expect("a member"));
        }
        assert!(exchanges.known().links.is_empty());
    }

    #[test]
    fn a_request_carries_the_last_exchange_with_whom_it_asks() {
        let clock = ManualClock::new().clock();
        let exchanges = Exchanges::new(clock.clone());
        let own = clock.counter_id().to_string();
        let t1 = clock.local_now().as_nanos();
        let sent = format!("ntpclock=1.{own}.{t1}");
        assert!(exchanges.answered("mail", &sent, &format!("1.{PEER}.{t1}.7000.7000")));
        let member = exchanges.member(Some("mail"));
        assert_eq!(member.to_string().parse(), Ok(member.clone()));
        assert_eq!(member.exchange.map(|exchange| exchange.peer), Some(PEER.into()));
        assert_eq!(exchanges.member(Some("shop")).exchange, None);
        assert_eq!(exchanges.member(None).exchange, None);
    }

    #[test]
    fn an_answer_to_another_request_which_a_cache_kept_teaches_nothing() {
        let manual = ManualClock::new();
        manual.advance(std::time::Duration::from_millis(1));
        let clock = manual.clock();
        let exchanges = Exchanges::new(clock.clone());
        let t1 = clock.local_now().as_nanos();
        let sent = format!("ntpclock=1.{}.{t1}", clock.counter_id());
        for other in [t1 - 1, t1 + 1, 0] {
            assert!(!exchanges.answered("mail", &sent, &format!("1.{PEER}.{other}.7000.7000")));
        }
        assert_eq!(exchanges.member(Some("mail")).exchange, None);
        assert!(exchanges.known().links.is_empty());
    }

    #[test]
    fn memory_is_bounded_whatever_strangers_say() {
        let exchanges = Exchanges::new(ManualClock::new().clock());
        let own = exchanges.clock().counter_id().to_string();
        for number in 0..10_000_u64 {
            let text = format!("1.{number:016x}.9000000.{own}.8000000.1100000.1110000.8210000");
            let member: Member = text.parse().expect("a member");
            exchanges.received(&member);
            exchanges.began(SpanId::from(number), member);
            exchanges.order(SpanId::from(number / 2), || None);
        }
        let known = exchanges.known();
        assert!(known.links.len() <= MOST_LINKS);
        assert!(known.parents.len() <= MOST_SPANS);
    }
}
