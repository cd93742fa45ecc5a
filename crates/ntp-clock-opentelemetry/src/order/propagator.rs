//! The propagator around the program's own.

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};

use ntp_clock::{Clock, LocalTime};

use super::member::Member;
use super::tracestate::{member_of, with_member};

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// Adds to what the program's own propagator sends the `tracestate` member `ntpclock`: when the
/// request left, by the clock's counter, whether the clock is synchronised or not.
///
/// It adds nothing where the inner propagator sends no `traceparent`, or where other members leave
/// no room in `tracestate`: those stay as they are.
///
/// ```
/// use std::collections::HashMap;
/// use ntp_clock::ManualClock;
/// use ntp_clock_opentelemetry::{Propagator, Received};
/// use opentelemetry::Context;
/// use opentelemetry::propagation::TextMapPropagator;
/// use opentelemetry_sdk::propagation::TraceContextPropagator;
///
/// let clock = ManualClock::new().clock(); // a program has `Clock::global().clone()`
/// let propagator = Propagator::new(TraceContextPropagator::new(), clock.clone());
/// let headers = HashMap::from([
///     ("traceparent".into(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
///     ("tracestate".into(), "ntpclock=1.5e884898da280471.1200,vendor=x".to_string()),
/// ]);
/// let context = propagator.extract_with_context(&Context::new(), &headers);
/// assert_eq!(context.get::<Received>().unwrap().member.sent.as_nanos(), 1_200);
///
/// let mut sent = HashMap::new();
/// propagator.inject_context(&context, &mut sent);
/// let ours = format!("ntpclock=1.{}.", clock.counter_id());
/// assert!(sent["tracestate"].starts_with(&ours) && sent["tracestate"].ends_with(",vendor=x"));
/// ```
#[derive(Debug)]
pub struct Propagator<P> {
    inner: P,
    clock: Clock,
}

/// What came with a request, in the [`Context`] that the propagator extracted.
///
/// See [`Propagator`] for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// What the sender said. It came from the network and may be a lie.
    pub member: Member,
    /// When the headers were read here, by this clock's counter.
    pub at: LocalTime,
}

impl<P> Propagator<P> {
    /// A propagator around `inner`, with the counter of `clock`.
    pub fn new(inner: P, clock: Clock) -> Self {
        Propagator { inner, clock }
    }
}

impl<P: TextMapPropagator> TextMapPropagator for Propagator<P> {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        let mut watched = Watched { injector, traced: false, others: String::new() };
        self.inner.inject_context(cx, &mut watched);
        let Watched { injector, traced, others } = watched;
        if traced {
            let stamp = self.clock.stamp();
            let counter = stamp.counter_id.to_string();
            let member = Member { counter, sent: stamp.counter, exchange: None };
            let state = with_member(&others, &member);
            if !state.is_empty() {
                injector.set(TRACESTATE, state);
            }
        } else if !others.is_empty() {
            injector.set(TRACESTATE, others);
        }
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        let at = self.clock.local_now();
        let context = self.inner.extract_with_context(cx, extractor);
        let received = extractor.get(TRACESTATE).and_then(|state| {
            let member = member_of(state)?.parse().ok()?;
            Some(Received { member, at })
        });
        match received {
            Some(received) => context.with_value(received),
            None => context,
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        self.inner.fields()
    }
}

/// Passes on what the inner propagator sets, but keeps `tracestate` back.
struct Watched<'a> {
    injector: &'a mut dyn Injector,
    traced: bool,
    others: String,
}

impl Injector for Watched<'_> {
    fn set(&mut self, key: &str, value: String) {
        if key.eq_ignore_ascii_case(TRACESTATE) {
            self.others = value;
        } else {
            self.traced |= key.eq_ignore_ascii_case(TRACEPARENT);
            self.injector.set(key, value);
        }
    }

    fn reserve(&mut self, additional: usize) {
        self.injector.reserve(additional);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use ntp_clock::ManualClock;
    use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn passed_on(state: &str) -> (Option<Received>, HashMap<String, String>) {
        let propagator = Propagator::new(TraceContextPropagator::new(), ManualClock::new().clock());
        let headers = HashMap::from(
            [(TRACEPARENT, PARENT), (TRACESTATE, state)].map(|(k, v)| (k.into(), v.to_string())),
        );
        let context = propagator.extract_with_context(&Context::new(), &headers);
        let mut sent = HashMap::new();
        propagator.inject_context(&context, &mut sent);
        (context.get().cloned(), sent)
    }

    #[test]
    fn our_member_goes_first_and_once_and_the_others_stay() {
        let (received, sent) = passed_on("a=1,ntpclock=1.5e884898da280471.7,b=2");
        assert_eq!(received.expect("ours was there").member.sent.as_nanos(), 7);
        let (ours, others) = sent[TRACESTATE].split_once(',').expect("three members");
        assert_eq!(others, "a=1,b=2");
        let ours = ours.strip_prefix("ntpclock=").expect("first").parse::<Member>();
        assert!(ours.is_ok_and(|member| member.sent.as_nanos() != 7));
        assert_eq!(sent[TRACEPARENT], PARENT);
    }

    #[test]
    fn thirty_two_other_members_leave_no_room_and_stay() {
        let others: Vec<_> = (0..32).map(|number| format!("k{number}=v")).collect();
        let (received, sent) = passed_on(&others.join(","));
        assert_eq!((received, &sent[TRACESTATE]), (None, &others.join(",")));
    }

    #[test]
    fn a_malformed_member_is_ignored_and_replaced() {
        let (received, sent) = passed_on("ntpclock=nonsense,a=1");
        assert_eq!(received, None);
        assert!(
            sent[TRACESTATE].starts_with("ntpclock=1.") && !sent[TRACESTATE].contains("nonsense")
        );
    }

    #[test]
    fn where_nothing_is_traced_nothing_is_added() {
        let mut sent = HashMap::new();
        let clock = ManualClock::new().clock();
        Propagator::new(TraceContextPropagator::new(), clock.clone())
            .inject_context(&Context::new(), &mut sent);
        Propagator::new(BaggagePropagator::new(), clock).inject_context(&Context::new(), &mut sent);
        assert!(sent.is_empty(), "{sent:?}");
    }
}
