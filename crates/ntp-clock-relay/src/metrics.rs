//! What clock and relay tell Prometheus: names and meanings are in `docs/METRICS.md`.

use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use ntp_clock::{Failure, NtsStatus, Span, Status, UnixTime};

/// What was done and is going on, counted.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: [[AtomicU64; Outcome::ALL.len()]; Transport::ALL.len()],
    open: AtomicU64,
    ended: [AtomicU64; Ended::ALL.len()],
    #[cfg(feature = "server")]
    pub(crate) connections: AtomicU64,
    #[cfg(feature = "server")]
    refused: [AtomicU64; Refused::ALL.len()],
}

/// An enumeration of which each has a name and a count.
macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$doc_of:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum $name { $($(#[$doc_of])* $variant),+ }

        impl $name {
            pub(crate) const ALL: &'static [(Self, &'static str)] =
                &[$(($name::$variant, $text)),+];
        }
    };
}

names!(
    /// By what a request came.
    Transport { Http = "http", WebSocket = "websocket" }
);
names!(
    /// What became of a request.
    Outcome {
        Answered = "answered",
        Unsynchronised = "unsynchronised",
        Malformed = "malformed",
        Oversize = "oversize",
        RateLimited = "rate_limited",
    }
);
names!(
    /// What ended a WebSocket.
    Ended {
        /// The client closed it, or was lost.
        Client = "client",
        Idle = "idle",
        /// What came was not WebSocket's protocol.
        Malformed = "malformed",
        Oversize = "oversize",
        RateLimited = "rate_limited",
        /// Replies are not read.
        Slow = "slow",
        Shutdown = "shutdown",
    }
);
#[cfg(feature = "server")]
names!(
    /// Why a connection was not taken.
    Refused { Full = "full", Tls = "tls" }
);

impl Metrics {
    pub(crate) fn request(&self, transport: Transport, outcome: Outcome) {
        self.requests[transport as usize][outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn websocket_opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn websocket_ended(&self, by: Ended) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.ended[by as usize].fetch_add(1, Ordering::Relaxed);
    }

    #[cfg(feature = "server")]
    pub(crate) fn refused(&self, why: Refused) {
        self.refused[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Everything, in Prometheus's text format.
    pub(crate) fn text(&self, status: &Status) -> String {
        let mut page = Page(String::with_capacity(4096));
        page.clock(status);
        page.relay(self);
        page.0
    }
}

struct Page(String);

impl Page {
    fn clock(&mut self, status: &Status) {
        let server = [("server", status.server.as_str())];
        let mut gauge = |name, help, value: Option<f64>| {
            if let Some(value) = value {
                self.family(name, "gauge", help);
                self.sample(name, &server, value);
            }
        };
        let seconds = |span: Option<Span>| span.map(Span::as_secs_f64);
        let synced = f64::from(u8::from(status.is_synced));
        gauge("ntp_clock_synchronised", "Whether readings are given.", Some(synced));
        gauge(
            "ntp_clock_offset_seconds",
            "Synchronised time less the system's.",
            seconds(status.offset),
        );
        gauge(
            "ntp_clock_max_error_seconds",
            "Hard bound on a reading's error.",
            seconds(status.max_error),
        );
        gauge(
            "ntp_clock_est_error_seconds",
            "One standard deviation of a reading.",
            seconds(status.est_error),
        );
        gauge(
            "ntp_clock_delay_seconds",
            "Smallest round trip among the exchanges in use.",
            seconds(status.delay),
        );
        gauge(
            "ntp_clock_drift_ppm",
            "How much faster than true time the local counter runs, parts per million.",
            status.drift_ppm,
        );
        gauge(
            "ntp_clock_last_sync_age_seconds",
            "Time since the last believed reply.",
            seconds(status.time_since_sync),
        );
        gauge(
            "ntp_clock_epoch",
            "Epoch of the current or next readings.",
            Some(status.epoch as f64),
        );
        gauge(
            "ntp_clock_attempts_failed",
            "Attempts failed in a row.",
            Some(f64::from(status.attempts)),
        );
        let mut counter = |name, help, value: u64| {
            self.family(name, "counter", help);
            self.sample(name, &server, value);
        };
        counter("ntp_clock_requests_total", "Requests sent to the server.", status.requests);
        counter("ntp_clock_believed_total", "Replies believed.", status.believed);
        let name = "ntp_clock_rejections_total";
        self.family(name, "counter", "Replies not believed, by reason.");
        for (reason, count) in status.rejections() {
            self.sample(name, &[("server", &status.server), ("reason", reason)], count);
        }
        let name = "ntp_clock_last_error";
        self.family(name, "gauge", "Why the last attempt failed, until one succeeds.");
        if let Some(code) = status.last_error_code() {
            self.sample(name, &[("server", &status.server), ("code", code)], 1);
        }
        let name = "ntp_clock_authenticated";
        self.family(name, "gauge", "Whether readings are given of replies that were proved.");
        self.sample(name, &server, u8::from(status.authenticated));
        if let Some(nts) = &status.nts {
            self.keys(nts, server[0]);
        }
    }

    /// Of a clock that requires Network Time Security.
    fn keys(&mut self, nts: &NtsStatus, server: (&str, &str)) {
        let name = "ntp_clock_nts_cookies";
        self.family(name, "gauge", "Requests that can be made before keys are exchanged again.");
        self.sample(name, &[server], nts.cookies);
        let name = "ntp_clock_nts_exchanges_total";
        self.family(name, "counter", "Exchanges that gave keys.");
        self.sample(name, &[server], nts.exchanges);
        if let Some(end) = nts.certificate_expires.map(UnixTime::as_secs_f64) {
            let name = "ntp_clock_nts_certificate_expires_timestamp_seconds";
            self.family(name, "gauge", "When the certificate of the key server ends.");
            self.sample(name, &[server], end);
        }
        if let Some(code) = nts.last_error.as_ref().map(Failure::code) {
            let name = "ntp_clock_nts_last_error";
            self.family(
                name,
                "gauge",
                "Why the last exchange gave no keys, until a round is proved.",
            );
            self.sample(name, &[server, ("code", code)], 1);
        }
        if let Some(host) = &nts.ntp_host {
            let name = "ntp_clock_nts_info";
            self.family(name, "gauge", "Where time is asked, as the key exchange said.");
            self.sample(name, &[server, ("ntp_host", host)], 1);
        }
    }

    fn relay(&mut self, metrics: &Metrics) {
        let name = "ntp_clock_relay_requests_total";
        self.family(name, "counter", "Requests, by what they came and what became of them.");
        for (transport, how) in Transport::ALL {
            for (outcome, what) in Outcome::ALL {
                let count = &metrics.requests[*transport as usize][*outcome as usize];
                self.sample(name, &[("transport", how), ("outcome", what)], load(count));
            }
        }
        let name = "ntp_clock_relay_websockets_open";
        self.family(name, "gauge", "WebSockets open.");
        self.sample(name, &[], load(&metrics.open));
        let name = "ntp_clock_relay_websockets_closed_total";
        self.family(name, "counter", "WebSockets ended, by what ended them.");
        for (ended, by) in Ended::ALL {
            self.sample(name, &[("reason", by)], load(&metrics.ended[*ended as usize]));
        }
        #[cfg(feature = "server")]
        {
            let name = "ntp_clock_relay_connections_open";
            self.family(name, "gauge", "Connections open, of all kinds.");
            self.sample(name, &[], load(&metrics.connections));
            let name = "ntp_clock_relay_connections_refused_total";
            self.family(name, "counter", "Connections not taken, by reason.");
            for (refused, why) in Refused::ALL {
                self.sample(name, &[("reason", why)], load(&metrics.refused[*refused as usize]));
            }
        }
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"", if at == 0 { '{' } else { ',' });
            for c in text.chars() {
                match c {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    c => self.0.push(c),
                }
            }
            self.0.push('"');
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

fn load(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

/// The content type of the text format.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;
    use ntp_clock::{ManualClock, UnixTime};

    #[test]
    fn what_the_clock_does_not_know_is_left_out() {
        let manual = ManualClock::new();
        let metrics = Metrics::default();
        let text = metrics.text(&manual.clock().status());
        assert!(text.contains("ntp_clock_synchronised{server=\"manual\"} 0\n"), "{text}");
        assert!(!text.contains("offset_seconds") && !text.contains("NaN"), "{text}");
        assert!(text.contains("ntp_clock_authenticated{server=\"manual\"} 0\n"), "{text}");
        assert!(!text.contains("ntp_clock_nts_"), "{text}");
        manual.set(UnixTime::from_nanos(1), Span::from_millis(2));
        let text = metrics.text(&manual.clock().status());
        assert!(text.contains("ntp_clock_max_error_seconds{server=\"manual\"} 0.002\n"), "{text}");
    }

    #[test]
    fn what_is_known_of_keys_is_shown_as_it_becomes_known() {
        let shown = |nts: &NtsStatus| {
            let mut page = Page(String::new());
            page.keys(nts, ("server", "time.example"));
            page.0.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
        };
        let first: Vec<String> = shown(&NtsStatus::default());
        assert_eq!(
            first,
            [
                "ntp_clock_nts_cookies{server=\"time.example\"} 0",
                "ntp_clock_nts_exchanges_total{server=\"time.example\"} 0",
            ]
        );
        let mut nts = NtsStatus::default();
        nts.cookies = 8;
        nts.exchanges = 1;
        nts.ntp_host = Some("ntp.example:123".to_owned());
        nts.certificate_expires = Some(UnixTime::from_nanos(1_893_456_000_000_000_000));
        let then: Vec<String> = shown(&nts);
        assert_eq!(
            then,
            [
                "ntp_clock_nts_cookies{server=\"time.example\"} 8",
                "ntp_clock_nts_exchanges_total{server=\"time.example\"} 1",
                "ntp_clock_nts_certificate_expires_timestamp_seconds{server=\"time.example\"} \
                 1893456000",
                "ntp_clock_nts_info{server=\"time.example\",ntp_host=\"ntp.example:123\"} 1",
            ]
        );
    }

    #[test]
    fn every_outcome_is_there_from_the_beginning_and_counts_for_itself() {
        let metrics = Metrics::default();
        metrics.request(Transport::WebSocket, Outcome::Oversize);
        metrics.websocket_opened();
        metrics.websocket_opened();
        metrics.websocket_ended(Ended::Slow);
        let text = metrics.text(&ManualClock::new().clock().status());
        for line in [
            "ntp_clock_relay_requests_total{transport=\"websocket\",outcome=\"oversize\"} 1",
            "ntp_clock_relay_requests_total{transport=\"http\",outcome=\"oversize\"} 0",
            "ntp_clock_relay_websockets_open 1",
            "ntp_clock_relay_websockets_closed_total{reason=\"slow\"} 1",
            "ntp_clock_relay_websockets_closed_total{reason=\"client\"} 0",
        ] {
            assert!(text.lines().any(|of| of == line), "{line}\n{text}");
        }
        // Each series belongs to a family that was announced before it.
        let mut family = "";
        for line in text.lines() {
            if let Some(declared) = line.strip_prefix("# TYPE ") {
                family = declared.split(' ').next().unwrap_or_default();
            } else if !line.starts_with('#') {
                assert!(line.starts_with(family) && !family.is_empty(), "{line}");
            }
        }
    }

    #[test]
    fn a_labels_value_is_escaped() {
        let mut page = Page(String::new());
        page.sample("x", &[("a", "\"\\\n"), ("b", "")], 1);
        assert_eq!(page.0, "x{a=\"\\\"\\\\\\n\",b=\"\"} 1\n");
    }
}
