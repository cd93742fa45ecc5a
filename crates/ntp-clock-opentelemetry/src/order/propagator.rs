//! The propagator around the program's own.

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};

use opentelemetry::trace::{SpanId, TraceContextExt as _};

use super::exchanges::Exchanges;
use super::member::Member;
use super::tracestate::{TRACESTATE, member_of, with_member};

pub(super) const TRACEPARENT: &str = "traceparent";

/// Adds to what the program's own propagator sends the `tracestate` member `ntpclock`: when the
/// request left, by the clock's counter, whether the clock is synchronised or not.
///
/// Made by [`Timekeeper::propagator`](crate::Timekeeper::propagator). A [`Peer`] in the context
/// says whom the request is for; only with it there is an exchange in the member. With a
/// [`ClientLayer`](crate::ClientLayer) neither is needed. It adds nothing where the inner propagator sends no `traceparent`, or where other members leave
/// no room in `tracestate`: those stay as they are.
///
/// ```
/// use std::collections::HashMap;
/// use ntp_clock::ManualClock;
/// use ntp_clock_opentelemetry::{Peer, Received, install};
/// use opentelemetry::Context;
/// use opentelemetry::propagation::TextMapPropagator;
/// use opentelemetry_sdk::propagation::TraceContextPropagator;
///
/// let clock = ManualClock::new().clock(); // a program has `Clock::global().clone()`
/// let propagator = install(&clock).propagator(TraceContextPropagator::new());
/// let headers = HashMap::from([
///     ("traceparent".into(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
///     ("tracestate".into(), "ntpclock=1.5e884898da280471.1200,vendor=x".to_string()),
/// ]);
/// let context = propagator.extract_with_context(&Context::new(), &headers);
/// assert_eq!(context.get::<Received>().unwrap().member.sent.as_nanos(), 1_200);
///
/// let mut sent = HashMap::new();
/// propagator.inject_context(&context.with_value(Peer("mail:8080".into())), &mut sent);
/// let ours = format!("ntpclock=1.{}.", clock.counter_id());
/// assert!(sent["tracestate"].starts_with(&ours) && sent["tracestate"].ends_with(",vendor=x"));
/// ```
#[derive(Debug)]
pub struct Propagator<P> {
    inner: P,
    exchanges: Exchanges,
}

/// Whom a request is for, in the [`Context`] that is injected: host and port, or any other name
/// that [`Exchanges::answered`](crate::Exchanges::answered) is called with.
///
/// See [`Propagator`] for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer(pub String);

/// What came with a request, in the [`Context`] that the propagator extracted.
///
/// See [`Propagator`] for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// What the sender said. It came from the network and may be a lie.
    pub member: Member,
    /// The span that it came with: a context that is derived from this one may have another.
    pub(crate) parent: SpanId,
}

impl<P> Propagator<P> {
    pub(crate) fn new(inner: P, exchanges: Exchanges) -> Self {
        Propagator { inner, exchanges }
    }
}

impl<P: TextMapPropagator> TextMapPropagator for Propagator<P> {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        let mut watched = Watched { injector, traced: false, others: String::new() };
        self.inner.inject_context(cx, &mut watched);
        let Watched { injector, traced, others } = watched;
        if traced {
            let peer = cx.get::<Peer>().map(|peer| peer.0.as_str());
            let state = with_member(&others, &self.exchanges.member(peer));
            if !state.is_empty() {
                injector.set(TRACESTATE, state);
            }
        } else if !others.is_empty() {
            injector.set(TRACESTATE, others);
        }
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        let context = self.inner.extract_with_context(cx, extractor);
        let member = extractor.get(TRACESTATE).and_then(|state| member_of(state)?.parse().ok());
        let Some(member) = member else { return context };
        self.exchanges.received(&member);
        let parent = context.span().span_context().span_id();
        context.with_value(Received { member, parent })
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

    fn exchanges() -> Exchanges {
        Exchanges::new(ManualClock::new().clock())
    }

    fn passed_on(state: &str) -> (Option<Received>, HashMap<String, String>) {
        let propagator = Propagator::new(TraceContextPropagator::new(), exchanges());
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
        Propagator::new(TraceContextPropagator::new(), exchanges())
            .inject_context(&Context::new(), &mut sent);
        Propagator::new(BaggagePropagator::new(), exchanges())
            .inject_context(&Context::new(), &mut sent);
        assert!(sent.is_empty(), "{sent:?}");
    }
}
