//! Whatever the server says and whenever the thread wakes: no panic, no number that is none, no
//! reading earlier than the one before, no ninth packet in 8 s, no reading past its expiry.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ntp_clock_core::{EngineConfig, Leap, LocalTime, ReferenceId, ServerReply, UnixTime};
use ntp_clock_fuzz::{BEGIN, Driver, Driving, Length};

#[derive(Arbitrary, Debug)]
struct Input {
    poll_interval: Option<Length>,
    holdover: Option<Length>,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Wait(Length, Driving),
    /// To the request this many before the newest one.
    Reply {
        before: u8,
        says: Says,
    },
    /// The header as the server's clock would have it, but for what is put over it.
    Datagram {
        before: u8,
        bytes: Vec<u8>,
    },
    Network(bool),
    Suspend,
    RequestSync,
    PollInterval(Length),
    Fork(u64),
}

#[derive(Arbitrary, Debug)]
struct Says {
    time: Time,
    held: Length,
    root_delay: Length,
    root_dispersion: Length,
    precision_log2_s: i8,
    leap: u8,
    stratum: u8,
}

#[derive(Arbitrary, Debug)]
enum Time {
    Honest,
    Ahead(Length),
    Behind(Length),
    Any(i64),
}

fuzz_target!(|input: Input| {
    let mut config = EngineConfig::default();
    if let Some(interval) = input.poll_interval {
        config.poll_interval = interval.span(30);
    }
    if let Some(holdover) = input.holdover {
        config.holdover = holdover.span(30);
    }
    let mut driver = Driver::new(config, BEGIN);
    for step in input.steps.iter().take(STEPS) {
        match step {
            Step::Wait(span, driving) => {
                driver.wait(span.span(30), *driving, &mut |_, _| {});
                continue;
            }
            Step::Reply { before, says } => {
                let cookie = cookie(&driver, *before);
                let reply = says.reply(driver.now);
                if driver.engine.handle_response(cookie, reply, driver.now, driver.now).is_ok() {
                    driver.believed();
                }
            }
            Step::Datagram { before, bytes } => {
                let mut datagram = [0; 48];
                datagram[0] = 0x24;
                datagram[24..32].copy_from_slice(&cookie(&driver, *before).to_be_bytes());
                for (place, byte) in datagram.iter_mut().zip(bytes) {
                    *place ^= byte;
                }
                if driver.engine.handle_datagram(&datagram, driver.now, driver.now).is_ok() {
                    driver.believed();
                }
            }
            Step::Network(up) => driver.network_up = *up,
            Step::Suspend => driver.engine.handle_suspend(driver.now),
            Step::RequestSync => {
                let _ = driver.engine.request_sync(driver.now);
            }
            Step::PollInterval(interval) => driver.set_poll_interval(interval.span(30)),
            Step::Fork(entropy) => driver.fork(*entropy),
        }
        driver.settle(&mut |_, _| {});
    }
});

fn cookie(driver: &Driver, before: u8) -> u64 {
    let newest = driver.requests.len().checked_sub(1 + usize::from(before % 9));
    newest.and_then(|index| driver.requests.get(index)).map_or(0, |request| request.cookie)
}

impl Says {
    fn reply(&self, now: LocalTime) -> ServerReply {
        let honest = UnixTime::from_nanos(1_800_000_000_000_000_000) + (now - BEGIN);
        let time = match self.time {
            Time::Honest => honest,
            Time::Ahead(span) => honest + span.span(40),
            Time::Behind(span) => honest - span.span(40),
            Time::Any(nanos) => UnixTime::from_nanos(nanos),
        };
        ServerReply {
            receive_time: time,
            transmit_time: time + self.held.span(24),
            root_delay: self.root_delay.span(24),
            root_dispersion: self.root_dispersion.span(24),
            precision_log2_s: self.precision_log2_s,
            leap: Leap::from_bits(self.leap),
            stratum: self.stratum,
            reference_id: ReferenceId::NONE,
        }
    }
}

/// More of them find nothing new, only later.
const STEPS: usize = 200;
