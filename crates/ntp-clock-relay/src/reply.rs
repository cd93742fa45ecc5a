//! What a relay answers: `docs/WIRE.md`, "Reply", "Not synchronised" and "Errors".

use ntp_clock::{Reading, Span, Status, UnixTime};
use serde::Serialize;

/// What a relay knows beside its two stamps.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) server: &'a str,
    /// The stratum of the relay's server, where it has reported one.
    pub(crate) stratum: Option<u8>,
    pub(crate) leap: u8,
    /// The relay's round trip to its server.
    pub(crate) delay: Option<Span>,
    /// Of the readings, or of the next ones where there are none.
    pub(crate) epoch: u64,
    pub(crate) instance: &'a str,
}

impl<'a> Facts<'a> {
    pub(crate) fn of(status: &'a Status, instance: &'a str) -> Self {
        Facts {
            server: &status.server,
            stratum: status.stratum,
            leap: status.leap.map_or(0, |leap| leap as u8),
            delay: status.delay,
            epoch: status.epoch,
            instance,
        }
    }
}

/// When a request came and when its reply left, by readings of one epoch.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Stamps {
    received: Reading,
    sent: Reading,
}

impl Stamps {
    /// `None` without a reading at sending: then the relay has no time.
    pub(crate) fn of(received: Option<Reading>, sent: Option<Reading>) -> Option<Self> {
        let sent = sent?;
        // Where the first reading does not fit, the second one stands for both: the request came
        // before it, and no later moment claimed makes a client's bound wrong.
        let fits = |r: &Reading| r.epoch() == sent.epoch() && r.time() <= sent.time();
        Some(Stamps { received: received.filter(fits).unwrap_or(sent), sent })
    }
}

/// A reply: with times, or without where the relay has none.
#[derive(Serialize, Debug)]
pub(crate) struct Reply<'a> {
    event: &'static str,
    request_id: &'a str,
    server_receive_time: Option<f64>,
    server_send_time: Option<f64>,
    server_time: Option<f64>,
    server_time_iso: Option<String>,
    root_delay_ms: Option<f64>,
    root_dispersion_ms: Option<f64>,
    stratum: u8,
    leap: u8,
    server: &'a str,
    instance: &'a str,
    epoch: u64,
}

impl<'a> Reply<'a> {
    pub(crate) fn new(request_id: &'a str, facts: &Facts<'a>, stamps: Option<Stamps>) -> Self {
        let Facts { server, instance, .. } = *facts;
        // As in NTP: one further from the primary source than its server, and 15 is the last.
        let stratum = facts.stratum.unwrap_or(STRATUM_UNKNOWN).saturating_add(1);
        let has_time = stratum < STRATUM_UNSYNCHRONISED && facts.leap != LEAP_UNSYNCHRONISED;
        let Some(Stamps { received, sent }) = stamps.filter(|_| has_time) else {
            return Reply {
                event: RESPONSE,
                request_id,
                server_receive_time: None,
                server_send_time: None,
                server_time: None,
                server_time_iso: None,
                root_delay_ms: None,
                root_dispersion_ms: None,
                stratum: STRATUM_UNSYNCHRONISED,
                leap: LEAP_UNSYNCHRONISED,
                server,
                instance,
                epoch: facts.epoch,
            };
        };
        let sent_ms = unix_ms(sent.time());
        let root_delay = facts.delay.unwrap_or(Span::ZERO).max(Span::ZERO);
        // Half the root delay and this are what a client adds to its bound: together they cover
        // both stamps, of which a resynchronisation may have made either the worse one.
        let max_error = received.max_error().max(sent.max_error());
        let half_delay = Span::from_nanos(root_delay.as_nanos() / 2);
        let root_dispersion = (max_error - half_delay).max(Span::ZERO);
        Reply {
            event: RESPONSE,
            request_id,
            server_receive_time: Some(unix_ms(received.time())),
            server_send_time: Some(sent_ms),
            server_time: Some(sent_ms),
            server_time_iso: Some(sent.time().to_string()),
            root_delay_ms: Some(span_ms(root_delay)),
            root_dispersion_ms: Some(span_ms(root_dispersion)),
            stratum,
            leap: facts.leap,
            server,
            instance,
            epoch: sent.epoch(),
        }
    }

    pub(crate) fn is_synchronised(&self) -> bool {
        self.server_time.is_some()
    }

    pub(crate) fn to_json(&self) -> String {
        // Numbers, texts and names alone: there is nothing to fail at.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The error sent to a request that gets no time.
pub(crate) fn error_json(request_id: Option<&str>, code: &str, message: &str) -> String {
    let error = serde_json::json!({ "code": code, "message": message });
    serde_json::json!({ "event": RESPONSE, "request_id": request_id, "error": error }).to_string()
}

/// Milliseconds since 1970, right to a double's last bit (a quarter of a microsecond today).
fn unix_ms(time: UnixTime) -> f64 {
    let nanos = time.as_nanos();
    // Whole milliseconds apart, so that their fraction is rounded but once.
    nanos.div_euclid(1_000_000) as f64 + nanos.rem_euclid(1_000_000) as f64 / 1e6
}

fn span_ms(span: Span) -> f64 {
    span.as_nanos() as f64 / 1e6
}

const RESPONSE: &str = "clock_sync_response";
const STRATUM_UNSYNCHRONISED: u8 = 16;
const LEAP_UNSYNCHRONISED: u8 = 3;
/// What an unknown stratum of a server counts as.
const STRATUM_UNKNOWN: u8 = 14;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const ID: &str = "0123456789abcdef";

    fn reading(time_ns: i64, max_error_ns: i64) -> Reading {
        Reading::new(UnixTime::from_nanos(time_ns), Span::from_nanos(max_error_ns), Span::ZERO, 3)
    }

    fn facts(delay_ns: i64) -> Facts<'static> {
        Facts {
            server: "time.cloudflare.com",
            stratum: Some(3),
            leap: 0,
            delay: Some(Span::from_nanos(delay_ns)),
            epoch: 3,
            instance: "a",
        }
    }

    fn bound_ns(reply: &Reply<'_>) -> f64 {
        (reply.root_delay_ms.unwrap() / 2.0 + reply.root_dispersion_ms.unwrap()) * 1e6
    }

    #[test]
    fn the_bound_reported_covers_both_stamps_whatever_part_of_it_is_delay() {
        let t = 1_800_000_000_123_456_789;
        for (received, sent, delay) in
            [(500, 700, 200), (9_000, 700, 201), (0, 0, 0), (5, 7, 1_000_001), (7, 7, -5)]
        {
            let stamps = Stamps::of(Some(reading(t, received)), Some(reading(t + 10, sent)));
            let reply = Reply::new(ID, &facts(delay), stamps);
            let most = received.max(sent) as f64;
            assert!(bound_ns(&reply) >= most - 1e-6, "{received} {sent} {delay}: {reply:?}");
            assert!(reply.root_dispersion_ms >= Some(0.0));
            if delay < 500 {
                assert!(bound_ns(&reply) <= most + 1.0, "no more than that: {reply:?}");
            }
        }
    }

    #[test]
    fn a_reply_has_the_members_of_the_wire_and_times_in_milliseconds() {
        let stamps = Stamps::of(
            Some(reading(1_759_639_032_768_445_000, 900_000)),
            Some(reading(1_759_639_032_768_500_000, 1_000_000)),
        );
        let reply: Value =
            serde_json::from_str(&Reply::new(ID, &facts(200_000), stamps).to_json()).unwrap();
        let expected = serde_json::json!({
            "event": "clock_sync_response",
            "request_id": ID,
            "server_receive_time": 1_759_639_032_768.445,
            "server_send_time": 1_759_639_032_768.5,
            "server_time": 1_759_639_032_768.5,
            "server_time_iso": "2025-10-05T04:37:12.768500+00:00",
            "root_delay_ms": 0.2,
            "root_dispersion_ms": 0.9,
            "stratum": 4,
            "leap": 0,
            "server": "time.cloudflare.com",
            "instance": "a",
            "epoch": 3,
        });
        assert_eq!(reply, expected);
    }

    #[test]
    fn a_relay_without_a_time_gives_none_and_says_so_in_every_member() {
        let reply: Value =
            serde_json::from_str(&Reply::new(ID, &facts(1), None).to_json()).unwrap();
        for name in [
            "server_receive_time",
            "server_send_time",
            "server_time",
            "server_time_iso",
            "root_delay_ms",
            "root_dispersion_ms",
        ] {
            assert!(reply[name].is_null() && reply.as_object().unwrap().contains_key(name));
        }
        assert_eq!((&reply["stratum"], &reply["leap"]), (&16.into(), &3.into()));
        assert_eq!(reply["server"], "time.cloudflare.com");
    }
}
