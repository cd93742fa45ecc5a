//! A truthful server, an oscillator within its allowance, any delays, losses and pauses: truth is
//! within the bound of every reading, and the epoch never changes.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ntp_clock_core::{
    EngineConfig, Leap, LocalTime, Reading, ReferenceId, ServerReply, Span, UnixTime,
};
use ntp_clock_fuzz::{BEGIN, Driver, Driving, Length};

#[derive(Arbitrary, Debug)]
struct Input {
    /// Of the oscillator; the wander comes on top.
    rate: i16,
    poll_interval: Option<Length>,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Wait(Length, Driving),
    /// All requests under way are answered, or lost.
    Answer {
        forth: Length,
        held: Length,
        back: Length,
        error: i8,
        lost: bool,
    },
    /// From now on.
    Wander(i8),
    RequestSync,
    Fork(u64),
}

/// Truth as a function of the counter: lines joined where the rate changes.
struct Oscillator {
    base_ppb: i64,
    /// From this moment of the counter on: truth, and parts per billion by which it is faster.
    lines: Vec<(LocalTime, UnixTime, i64)>,
}

impl Oscillator {
    fn new(base_ppb: i64) -> Self {
        let truth = UnixTime::from_nanos(1_800_000_000_000_000_000);
        Oscillator { base_ppb, lines: vec![(BEGIN, truth, base_ppb)] }
    }

    fn truth(&self, at: LocalTime) -> UnixTime {
        let after = self.lines.partition_point(|(from, ..)| *from <= at).max(1);
        let (from, truth, ppb) = self.lines[after - 1];
        let since = at - from;
        let gained = i128::from(since.as_nanos()) * i128::from(ppb) / 1_000_000_000;
        truth + since + Span::from_nanos(gained as i64)
    }

    fn wander(&mut self, now: LocalTime, ppb: i64) {
        self.lines.push((now, self.truth(now), self.base_ppb + ppb));
    }
}

fuzz_target!(|input: Input| {
    let mut config = EngineConfig::default();
    if let Some(interval) = input.poll_interval {
        config.poll_interval = interval.span(26);
    }
    // 480 ppm at most, and 7 ppm of wander, so that two moments differ by 14.
    let base_ppb = i64::from(input.rate) * 480_000 / 32_768;
    let mut oscillator = Oscillator::new(base_ppb);
    let mut driver = Driver::new(config, BEGIN);
    for step in input.steps.iter().take(STEPS) {
        let mut check = |at: LocalTime, reading: &Reading| is_true(&oscillator, at, reading);
        match step {
            Step::Wait(span, driving) => driver.wait(span.span(26), *driving, &mut check),
            Step::Answer { forth, held, back, error, lost } => {
                let requests: Vec<_> = driver.requests.drain(..).collect();
                if *lost {
                    continue;
                }
                let (forth, held, back) = (forth.span(15), held.span(8), back.span(15));
                // Replies come in the order of their requests, none before its time.
                for request in requests {
                    let received_at = request.sent_at + forth;
                    let sent_back_at = received_at + held;
                    let arrives_at = sent_back_at + back;
                    if arrives_at > driver.now {
                        driver.wait(arrives_at - driver.now, Driving::Punctual, &mut check);
                    }
                    // What the server's clock is wrong by, it says.
                    let error = Span::from_nanos(i64::from(*error) * 1_000);
                    let reply = ServerReply {
                        receive_time: oscillator.truth(received_at) + error,
                        transmit_time: oscillator.truth(sent_back_at) + error,
                        root_delay: Span::ZERO,
                        root_dispersion: error.abs() + Span::from_nanos(2),
                        precision_log2_s: -29,
                        leap: Leap::None,
                        stratum: 1,
                        reference_id: ReferenceId::NONE,
                    };
                    let at = driver.now;
                    let answered =
                        driver.engine.handle_response(request.cookie, reply, arrives_at, at);
                    if answered.is_ok() {
                        driver.believed();
                    }
                    driver.settle(&mut check);
                }
            }
            Step::Wander(ppb) => {
                let now = driver.now;
                oscillator.wander(now, i64::from(*ppb) * 7_000 / 128);
            }
            Step::RequestSync => {
                let _ = driver.engine.request_sync(driver.now);
                driver.settle(&mut check);
            }
            Step::Fork(entropy) => {
                driver.fork(*entropy);
                driver.settle(&mut check);
            }
        }
        assert_eq!(driver.engine.status(driver.now).epoch, 1, "the server was honest");
        // Moments that have passed are dated as well.
        if let Some(mapping) = driver.mapping() {
            for ago in [1, 1_000_000_000, 600_000_000_000] {
                let at = driver.now - Span::from_nanos(ago);
                if at >= BEGIN
                    && let Some(reading) = mapping.read(at)
                {
                    is_true(&oscillator, at, &reading);
                }
            }
        }
    }
});

fn is_true(oscillator: &Oscillator, at: LocalTime, reading: &Reading) {
    let truth = oscillator.truth(at);
    // Our own arithmetic drops fractions of a nanosecond.
    let ns = Span::from_nanos(1);
    assert!(
        reading.earliest() - ns <= truth && truth <= reading.latest() + ns,
        "truth {truth:?} is outside {reading:?}"
    );
}

const STEPS: usize = 200;
