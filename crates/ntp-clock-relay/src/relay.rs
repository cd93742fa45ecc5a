//! The relay itself: a clock, settings, counts; and what one request is answered.

use std::sync::Arc;
use std::time::Duration;

use ntp_clock::{Clock, Reading};
use tokio::sync::watch;

use crate::connection::Connection;
use crate::metrics::{Metrics, Outcome, Transport};
use crate::origin::Origins;
use crate::reply::{self, Facts, Reply, Stamps};
use crate::request::{self, RequestError};

/// What a relay lets others do.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct RelayConfig {
    /// Whose pages may ask; all, by default.
    pub origins: Origins,
    /// Requests a second that one connection may make, and twice as many at once; 20 by default,
    /// and 0 for no limit (behind a proxy, whose connections carry many clients).
    pub rate: u32,
    /// A WebSocket that has asked nothing so long after it was opened is closed; 10 s by default.
    pub first: Duration,
    /// One that is silent for so long afterwards is closed; 11 minutes by default, more than two of
    /// a clock's pauses.
    pub idle: Duration,
    /// A WebSocket that does not take a reply for so long is closed; 10 s by default.
    pub send_timeout: Duration,
}

impl Default for RelayConfig {
    fn default() -> Self {
        RelayConfig {
            origins: Origins::Any,
            rate: 20,
            first: Duration::from_secs(10),
            idle: Duration::from_secs(660),
            send_timeout: Duration::from_secs(10),
        }
    }
}

/// Answers for one clock. Cheap to clone: all clones are one relay.
#[derive(Clone, Debug)]
pub struct Relay(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    config: RelayConfig,
    /// This process, for there may be several behind one URL.
    instance: String,
    metrics: Metrics,
    closing: watch::Sender<bool>,
}

impl Relay {
    /// A relay for this clock.
    #[must_use]
    pub fn new(clock: Clock, config: RelayConfig) -> Self {
        // Where the system has no randomness, the process's number has to do.
        let instance = getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()));
        Relay(Arc::new(Inner {
            clock,
            config,
            instance: format!("{instance:016x}"),
            metrics: Metrics::default(),
            closing: watch::Sender::new(false),
        }))
    }

    /// Answers a message that came over a connection which the program has already; give the
    /// connection's own [`Connection`] for its limit to hold.
    ///
    /// ```
    /// use ntp_clock::{ManualClock, Span, UnixTime};
    /// use ntp_clock_relay::{Connection, Received, Relay, RelayConfig};
    ///
    /// let manual = ManualClock::new();
    /// manual.set(UnixTime::from_nanos(1_759_639_032_768_445_000), Span::from_millis(2));
    /// let relay = Relay::new(manual.clock(), RelayConfig::default());
    /// let connection = Connection::default();
    ///
    /// // First thing when the message comes:
    /// let received = Received::now(relay.clock());
    /// let text = r#"{"event": "clock_sync_request", "request_id": "00000000000000a7"}"#;
    /// // Last thing before the reply leaves:
    /// let reply = relay.answer(received, text, &connection);
    /// assert!(reply.contains(r#""server_time":1759639032768.445"#));
    /// ```
    #[must_use]
    pub fn answer(&self, received: Received, text: &str, connection: &Connection) -> String {
        let id = self.admit(connection).and_then(|()| request::of_text(text));
        match id {
            Ok(id) => self.reply(received, &id, Transport::WebSocket).1,
            Err(error) => self.refuse(&error, Transport::WebSocket),
        }
    }

    /// The clock whose time it is.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &RelayConfig {
        &self.0.config
    }

    /// What `/metrics` says: the text format of Prometheus.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.0.metrics.text(&self.0.clock.status())
    }

    /// Closes all WebSockets, those to come too: the program is about to end.
    pub fn close_websockets(&self) {
        self.0.closing.send_replace(true);
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Resolves once WebSockets are to be closed.
    pub(crate) async fn closing(&self) {
        // It cannot fail: the sender is ours.
        let _ = self.0.closing.subscribe().wait_for(|closing| *closing).await;
    }

    /// Whether the connection may make one more request.
    pub(crate) fn admit(&self, connection: &Connection) -> Result<(), RequestError> {
        let rate = self.0.config.rate;
        if connection.may_ask(rate) { Ok(()) } else { Err(RequestError::RateLimited(rate)) }
    }

    /// The reply that leaves now, and whether it has a time.
    pub(crate) fn reply(
        &self,
        received: Received,
        id: &str,
        transport: Transport,
    ) -> (bool, String) {
        let Inner { clock, instance, metrics, .. } = &*self.0;
        let status = clock.status();
        let facts = Facts::of(&status, instance);
        // From here on nothing is done but to write it down.
        let reply = Reply::new(id, &facts, Stamps::of(received.0, clock.now()));
        let has_time = reply.is_synchronised();
        let outcome = if has_time { Outcome::Answered } else { Outcome::Unsynchronised };
        metrics.request(transport, outcome);
        (has_time, reply.to_json())
    }

    /// The error sent to a request that gets no time.
    pub(crate) fn refuse(&self, error: &RequestError, transport: Transport) -> String {
        let outcome = match error {
            RequestError::RateLimited(_) => Outcome::RateLimited,
            RequestError::Oversize { .. } => Outcome::Oversize,
            _ => Outcome::Malformed,
        };
        self.0.metrics.request(transport, outcome);
        reply::error_json(error.request_id(), error.code(), &error.to_string())
    }
}

/// The moment at which a request came: to be taken before anything is done with it.
#[derive(Clone, Copy, Debug)]
pub struct Received(Option<Reading>);

impl Received {
    /// A request came now.
    #[must_use]
    pub fn now(clock: &Clock) -> Self {
        Received(clock.now())
    }
}
