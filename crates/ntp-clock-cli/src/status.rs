//! `ntp-clock status`: synchronise, then everything about the clock.

use std::time::{Duration, Instant};

use ntp_clock::{Builder, Span, Status};

use crate::args::StatusArgs;
use crate::display;
use crate::failure::Failure;
use crate::nts;
use crate::output::{print, print_line};
use crate::sync;

pub(crate) fn run(args: &StatusArgs, clock: Builder) -> Result<(), Failure> {
    let clock = sync::start(clock)?;
    let begun = Instant::now();
    let round = clock.request_sync();
    let synced = sync::wait(&clock, args.timeout);
    // The first reply has given the time; the rest of its round makes it better.
    while synced.is_ok() && clock.sync_outcome(&round).is_none() && begun.elapsed() < args.timeout {
        std::thread::sleep(LOOK);
    }
    let status = clock.status();
    if args.json {
        print_line(&status.to_json().to_string())?;
    } else {
        print(&human(&status))?;
    }
    synced
}

fn human(status: &Status) -> String {
    let mut text = String::new();
    for (name, value) in rows(status) {
        text.push_str(&format!("{name:<12}{value}\n"));
    }
    text
}

/// What there is to say, in the order in which people ask.
pub(crate) fn rows(status: &Status) -> Vec<(&'static str, String)> {
    let span = |value: Option<Span>| display::or_dash(value, display::span);
    let mut rows = vec![("state", status.state.name().to_owned()), ("server", server_line(status))];
    rows.extend(nts::rows(status));
    rows.extend([
        ("offset", display::or_dash(status.offset, offset_line)),
        ("max error", span(status.max_error)),
        ("est error", span(status.est_error)),
        ("delay", span(status.delay)),
        ("drift", display::or_dash(status.drift_ppm, drift)),
        ("last sync", display::or_dash(status.last_sync, |time| time.to_string())),
        ("next sync", display::or_dash(status.next_sync, |time| time.to_string())),
        ("replies", format!("{} of {} believed", status.believed, status.requests)),
    ]);
    if let Some(rejections) = rejections_line(status) {
        rows.push(("rejected", rejections));
    }
    if let Some(error) = &status.last_error {
        rows.push(("last error", format!("{error} [{}]", error.code())));
    }
    if let Some(disruption) = status.last_disruption {
        let times = status.disruptions;
        rows.push(("disturbed", format!("{disruption} [{}], {times} in all", disruption.name())));
    }
    rows.push(("epoch", status.epoch.to_string()));
    rows.push(("counter", format!("{} {}", status.counter, status.counter_id)));
    rows
}

pub(crate) fn server_line(status: &Status) -> String {
    let mut line = status.server.clone();
    if let Some(address) = status.address.filter(|address| address.to_string() != status.server) {
        line.push_str(&format!(" ({address})"));
    }
    if let (Some(stratum), Some(id)) = (status.stratum, status.reference_id) {
        line.push_str(&format!(", stratum {stratum}, reference {id}"));
    }
    line
}

/// Reasons and counts, if any.
pub(crate) fn rejections_line(status: &Status) -> Option<String> {
    let all: Vec<_> =
        status.rejections().map(|(reason, count)| format!("{count} x {reason}")).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

pub(crate) fn drift(ppm: f64) -> String {
    format!("{ppm:+.3} ppm")
}

fn offset_line(offset: Span) -> String {
    let word = if offset < Span::ZERO { "fast" } else { "slow" };
    format!("{} (the system's clock is {word})", display::signed(offset))
}

const LOOK: Duration = Duration::from_millis(10);
