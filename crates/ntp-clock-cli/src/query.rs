//! `ntp-clock query`: one burst of requests, and what each exchange says.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ntp_clock::{
    Builder, Clock, ClockEvent, Event, Events, Exchange, LocalTime, LogEntry, Reading, Recorded,
    Recording, Replay, Span, Status,
};
use serde_json::{Map, Value, json};

use crate::args::QueryArgs;
use crate::display::{signed, span};
use crate::failure::Failure;
use crate::nts;
use crate::output::{print, print_line};
use crate::status::server_line;
use crate::sync;

pub(crate) fn run(args: &QueryArgs, clock: Builder) -> Result<(), Failure> {
    let built = clock.build_recorded();
    let (clock, recording) = built.map_err(|error| Failure::Usage(error.to_string()))?;
    let events = clock.subscribe();
    let burst = Burst::take(&clock, &recording, args.timeout);
    let events_seen = events_until_end(&events, burst.reading.is_some());
    let status = clock.status();
    if args.json {
        print_line(&json(&burst, &status).to_string())?;
    } else {
        print(&human(&burst, &status, &events_seen))?;
    }
    match burst.reading {
        Some(_) => Ok(()),
        None => Err(Failure::Failed(sync::why_not(&clock, args.timeout))),
    }
}

/// What one round brought.
#[derive(Default)]
struct Burst {
    requests: Vec<Request>,
    /// The clock's word at the end, with its offset from the system's clock.
    reading: Option<(Reading, Span)>,
}

/// One request and what became of it, with the reading of a clock that has seen all up to here.
struct Request {
    sent_at: LocalTime,
    exchange: Option<Seen>,
}

struct Seen {
    exchange: Exchange,
    /// The server's clock less the system's.
    offset: Span,
    reading: Option<Reading>,
    disbelieved: Option<&'static str>,
}

impl Burst {
    /// Waits for the end of the clock's first round that had keys, where it must have some.
    fn take(clock: &Clock, recording: &Recording, timeout: Duration) -> Burst {
        let deadline = Instant::now().checked_add(timeout);
        let mut replay = Replay::new(Span::from_nanos(1));
        let mut burst = Burst::default();
        let mut in_vain = false;
        while !(in_vain && burst.requests.is_empty() && Keys::of(clock) == Keys::None) {
            let left = deadline.map_or(LOOK, |at| at.saturating_duration_since(Instant::now()));
            let Ok(next) = recording.next_timeout(left.min(LOOK)) else { break };
            match next {
                Some(Recorded::Entry(LogEntry::Exchange { exchange, handled_at })) => {
                    let believed = replay.exchange(&exchange, handled_at);
                    let seen = Seen {
                        offset: offset_of(&exchange, clock),
                        reading: replay.read(handled_at),
                        disbelieved: believed.err().map(|rejection| rejection.name()),
                        exchange,
                    };
                    let sent_at = exchange.sent_at();
                    burst.requests.push(Request { sent_at, exchange: Some(seen) });
                }
                Some(Recorded::Entry(LogEntry::Lost { sent_at })) => {
                    burst.requests.push(Request { sent_at, exchange: None });
                }
                Some(Recorded::Entry(LogEntry::RoundEnd { .. })) => {
                    if !burst.requests.is_empty() || in_vain && Keys::of(clock) == Keys::Some {
                        break;
                    }
                    in_vain = true;
                }
                _ if left.is_zero() => break,
                _ => {}
            }
        }
        burst.requests.sort_by_key(|request| request.sent_at);
        let local = clock.local_now();
        burst.reading = clock.at(local).map(|reading| {
            (reading, Span::from_nanos(reading.time().as_nanos()) - system_at(local, clock))
        });
        burst
    }
}

/// Whether waiting for another round may help one that was over before anything was asked.
#[derive(PartialEq, Eq)]
enum Keys {
    /// It does not require any, or has none and gets none for now.
    None,
    Exchanging,
    Some,
}

impl Keys {
    fn of(clock: &Clock) -> Self {
        match clock.status().nts {
            Some(nts) if nts.exchanging => Keys::Exchanging,
            Some(nts) if nts.cookies > 0 => Keys::Some,
            _ => Keys::None,
        }
    }
}

/// What the clock reported of its round. The status is up to date once it has reported the end.
fn events_until_end(events: &Events, synchronised: bool) -> Vec<ClockEvent> {
    let is_end = |event: &ClockEvent| match event.kind() {
        Event::Synchronised { .. } => true,
        // One before it has waited for keys.
        Event::AttemptFailed { .. } => !synchronised,
        _ => false,
    };
    let mut events_seen = Vec::new();
    while !events_seen.last().is_some_and(is_end) {
        let Some(event) = events.next_timeout(LOOK) else { break };
        events_seen.push(event);
    }
    events_seen
}

/// Of the exchange's middle from the system's clock then.
fn offset_of(exchange: &Exchange, clock: &Clock) -> Span {
    let reply = exchange.reply();
    let half = |from: i64, to: i64| Span::from_nanos(from + (to - from) / 2);
    let server = half(reply.receive_time.as_nanos(), reply.transmit_time.as_nanos());
    let local = half(exchange.sent_at().as_nanos(), exchange.received_at().as_nanos());
    server - system_at(LocalTime::from_nanos(local.as_nanos()), clock)
}

/// The system's clock at a recent moment, by the tightest of a few comparisons.
fn system_at(local: LocalTime, clock: &Clock) -> Span {
    let compare = || {
        let before = clock.local_now();
        let system = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let width = clock.local_now() - before;
        (width, Span::from(system) - (before - local) - width.half_ceil())
    };
    let pairs = [compare(), compare(), compare()];
    pairs.into_iter().min_by_key(|(width, _)| *width).map_or(Span::ZERO, |(_, system)| system)
}

fn human(burst: &Burst, status: &Status, events_seen: &[ClockEvent]) -> String {
    let proofs = nts::rows(status);
    let width = if proofs.is_empty() { 8 } else { 12 };
    let mut text = String::new();
    for (name, value) in [("server", server_line(status))].into_iter().chain(proofs) {
        text.push_str(&format!("{name:<width$}{value}\n"));
    }
    text.push('\n');
    if !burst.requests.is_empty() {
        text.push_str(&format!(
            "{:>2}  {:>11}  {:>14}  {:>12}  {:>12}  {:>12}\n",
            "#", "sent after", "offset", "delay", "max error", "est error"
        ));
    }
    let first = burst.requests.first().map(|request| request.sent_at);
    for (index, request) in burst.requests.iter().enumerate() {
        let after = first.map_or(Span::ZERO, |first| request.sent_at - first);
        text.push_str(&format!("{:>2}  {:>11}  ", index + 1, span(after)));
        text.push_str(&match &request.exchange {
            None => "no believed reply\n".to_owned(),
            Some(seen) => format!(
                "{:>14}  {:>12}  {:>12}  {:>12}{}\n",
                signed(seen.offset),
                span(seen.exchange.delay()),
                seen.reading.map_or_else(|| "-".to_owned(), |r| span(r.max_error())),
                seen.reading.map_or_else(|| "-".to_owned(), |r| span(r.est_error())),
                seen.disbelieved.map(|name| format!("  not believed: {name}")).unwrap_or_default(),
            ),
        });
    }
    if !burst.requests.is_empty() {
        text.push('\n');
    }
    for (name, count) in status.rejections() {
        // The words are in the events, for those that came after the subscription began.
        let words = events_seen.iter().find_map(|event| match event.kind() {
            Event::Rejected(rejection) if rejection.name() == name => {
                Some(format!(" ({rejection})"))
            }
            _ => None,
        });
        let replies = if count == 1 { "reply" } else { "replies" };
        let words = words.unwrap_or_default();
        text.push_str(&format!("{count} {replies} not believed: {name}{words}\n"));
    }
    let believed = format!("{} of {} replies believed", status.believed, status.requests);
    match &burst.reading {
        Some((reading, offset)) => text.push_str(&format!(
            "result  offset {} +- {} (probably within {}), {believed}\n",
            signed(*offset),
            span(reading.max_error()),
            span(reading.est_error()),
        )),
        None => text.push_str(&format!("result  none, {believed}\n")),
    }
    text
}

fn json(burst: &Burst, status: &Status) -> Value {
    let requests: Vec<Value> = burst.requests.iter().map(request_json).collect();
    let rejections: Map<_, _> =
        status.rejections().map(|(reason, count)| (reason.to_owned(), count.into())).collect();
    let reading = burst.reading.as_ref();
    json!({
        "server": status.server,
        "address": status.address.map(|address| address.to_string()),
        "stratum": status.stratum,
        "reference_id": status.reference_id.map(|id| id.to_string()),
        "leap": status.leap.map(|leap| leap as u8),
        "is_synced": reading.is_some(),
        "offset_ns": reading.map(|(_, offset)| offset.as_nanos()),
        "max_error_ns": reading.map(|(reading, _)| reading.max_error().as_nanos()),
        "est_error_ns": reading.map(|(reading, _)| reading.est_error().as_nanos()),
        "delay_ns": status.delay.map(Span::as_nanos),
        "authenticated": status.authenticated,
        "nts": nts::json_in_full(status),
        "requests": requests,
        "believed": status.believed,
        "rejections": rejections,
        "last_error": status.last_error.as_ref().map(ntp_clock::Failure::detail),
        "last_error_code": status.last_error_code(),
    })
}

fn request_json(request: &Request) -> Value {
    let sent_at = request.sent_at.as_nanos();
    let Some(seen) = &request.exchange else {
        return json!({ "t1_local_ns": sent_at, "believed": false, "reason": "no believed reply" });
    };
    let (exchange, reply) = (&seen.exchange, seen.exchange.reply());
    json!({
        "t1_local_ns": sent_at,
        "t2_ns": reply.receive_time.as_nanos(),
        "t3_ns": reply.transmit_time.as_nanos(),
        "t4_local_ns": exchange.received_at().as_nanos(),
        "root_delay_ns": reply.root_delay.as_nanos(),
        "root_dispersion_ns": reply.root_dispersion.as_nanos(),
        "precision_log2_s": reply.precision_log2_s,
        "stratum": reply.stratum,
        "leap": reply.leap as u8,
        "offset_ns": seen.offset.as_nanos(),
        "delay_ns": exchange.delay().as_nanos(),
        "max_error_ns": seen.reading.map(|reading| reading.max_error().as_nanos()),
        "est_error_ns": seen.reading.map(|reading| reading.est_error().as_nanos()),
        "believed": seen.disbelieved.is_none(),
        "reason": seen.disbelieved,
    })
}

const LOOK: Duration = Duration::from_millis(100);
