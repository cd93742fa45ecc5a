//! `ntp-clock now`: the time, once.

use ntp_clock::{Builder, Clock, Reading};
use serde_json::json;

use crate::args::{NowArgs, TimeFormat};
use crate::failure::Failure;
use crate::output::print_line;
use crate::sync;

pub(crate) fn run(args: &NowArgs, clock: Builder) -> Result<(), Failure> {
    let clock = sync::start(clock)?;
    sync::wait(&clock, args.timeout)?;
    let reading =
        clock.now().ok_or_else(|| Failure::Failed(sync::why_not(&clock, args.timeout)))?;
    print_line(&text(args.format, &reading, &clock))
}

fn text(format: TimeFormat, reading: &Reading, clock: &Clock) -> String {
    let time = reading.time();
    match format {
        TimeFormat::Iso => time.to_string(),
        TimeFormat::Ms => time.as_millis_floor().to_string(),
        TimeFormat::Ns => time.as_nanos().to_string(),
        TimeFormat::Json => json!({
            "time": time.to_string(),
            "time_ns": time.as_nanos(),
            "max_error_ns": reading.max_error().as_nanos(),
            "est_error_ns": reading.est_error().as_nanos(),
            "epoch": reading.epoch(),
            "server": clock.status().server,
            "authenticated": clock.status().authenticated,
        })
        .to_string(),
    }
}
