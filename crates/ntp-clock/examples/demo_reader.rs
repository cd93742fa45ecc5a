//! One of the two programs of `cargo xtask demo`: answers each line on standard input with its
//! system clock and the shared clock's reading, as a line of JSON, and ends with its input.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::io::{self, BufRead, Write};

    use ntp_clock::Clock;

    let clock = Clock::global();
    let mut out = io::stdout();
    for line in io::stdin().lock().lines() {
        line?;
        let sample = Sample::take(clock)?;
        let synced = match sample.reading {
            Some(reading) => format!(
                r#""time_ns": {}, "max_error_ns": {}"#,
                reading.time().as_nanos(),
                reading.max_error().as_nanos()
            ),
            None => {
                let reason = clock.status().last_error.unwrap_or_else(|| "no reply yet".into());
                format!(r#""time_ns": null, "error": {reason:?}"#)
            }
        };
        writeln!(
            out,
            r#"{{"before_ns": {}, "after_ns": {}, "system_ns": {}, {synced}}}"#,
            sample.before_ns, sample.after_ns, sample.system_ns
        )?;
        out.flush()?;
    }
    Ok(())
}

/// All clocks at one moment, bracketed by the counter that all programs of the machine share.
#[cfg(target_os = "linux")]
struct Sample {
    before_ns: i64,
    system_ns: i64,
    reading: Option<ntp_clock::Reading>,
    after_ns: i64,
}

#[cfg(target_os = "linux")]
impl Sample {
    fn take(clock: &ntp_clock::Clock) -> nix::Result<Self> {
        use nix::time::ClockId;

        Ok(Sample {
            before_ns: nanos(ClockId::CLOCK_MONOTONIC)?,
            system_ns: nanos(ClockId::CLOCK_REALTIME)?,
            reading: clock.now(),
            after_ns: nanos(ClockId::CLOCK_MONOTONIC)?,
        })
    }
}

#[cfg(target_os = "linux")]
fn nanos(id: nix::time::ClockId) -> nix::Result<i64> {
    let time = nix::time::clock_gettime(id)?;
    Ok(time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("the demo needs Linux's CLOCK_MONOTONIC; see the example 'watch'");
    std::process::exit(1);
}
