//! One line a reading, for logs, pipes and plain terminals.

use std::time::{Duration, Instant};

use ntp_clock::{Clock, Events, Span, Status};

use super::news::news;
use crate::args::WatchArgs;
use crate::display::{or_dash, signed, span};
use crate::failure::Failure;
use crate::output::print_line;
use crate::status::drift;
use crate::stop::Stop;

/// Until stopped, or for as many lines as asked for.
pub(super) fn run(
    args: &WatchArgs,
    clock: &Clock,
    events: &Events,
    stop: Stop,
) -> Result<(), Failure> {
    // The first line is worth waiting for.
    let _ = clock.wait_synced(args.interval.min(FIRST_WAIT));
    let mut next = Instant::now();
    let mut printed = 0;
    while !stop.is_asked() {
        for event in news(events) {
            print_line(&format!("# {event}"))?;
        }
        if Instant::now() >= next {
            let time = clock.now().map(|reading| reading.time().to_string());
            print_line(&line(time.as_deref(), &clock.status()))?;
            printed += 1;
            if args.count == Some(printed) {
                break;
            }
            next = (next + args.interval).max(Instant::now());
        }
        std::thread::sleep(next.saturating_duration_since(Instant::now()).min(LOOK));
    }
    Ok(())
}

fn line(time: Option<&str>, status: &Status) -> String {
    let of = |value: Option<Span>| or_dash(value, span);
    let Some(time) = time else {
        let why = status.last_error.as_ref();
        let why = why.map_or("waiting for the first reply", ntp_clock::Failure::detail);
        return format!("{}: {why}", status.state.name());
    };
    format!(
        "{time}  offset {}  max_error {}  est_error {}  delay {}  drift {}  {}{}",
        or_dash(status.offset, signed),
        of(status.max_error),
        of(status.est_error),
        of(status.delay),
        or_dash(status.drift_ppm, drift),
        status.state.name(),
        if status.authenticated { "  authenticated" } else { "" },
    )
}

const FIRST_WAIT: Duration = Duration::from_secs(2);
/// Ctrl-C and events are noticed within this.
const LOOK: Duration = Duration::from_millis(50);
