//! A machine of a test's own, with a clock that runs on it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ntp_clock_core::{EngineConfig, Reading, Span};
use ntp_test_server::TestServer;

use crate::clock::Clock;
use crate::counter_id::CounterId;
use crate::counters::{Counters, StandIn};
use crate::keeper;

/// A machine whose wall clock and sleep are ours, with a clock that runs on it.
pub(crate) struct Machine {
    pub(crate) stand_in: Arc<StandIn>,
    pub(crate) clock: Clock,
    pub(crate) server: TestServer,
    /// How long the world went on while the machine stood still.
    stood_ns: AtomicI64,
}

impl Machine {
    /// The wall clock is steered by `wall_ppm` parts per million.
    pub(crate) fn start(wall_ppm: i64) -> Self {
        Machine::of(StandIn::running(wall_ppm))
    }

    pub(crate) fn of(stand_in: StandIn) -> Self {
        let server = TestServer::builder().spawn().expect("loopback");
        let stand_in = Arc::new(stand_in);
        let shared = keeper::start(
            Ok(server.addr().to_string().parse().expect("an address")),
            Ok(crate::proof::Security::None),
            EngineConfig::default(),
            Counters::StandIn(Arc::clone(&stand_in)),
            Weak::new(),
            Ok(None),
        );
        let clock = Clock::from_shared(shared);
        assert!(clock.wait_synced(Duration::from_secs(30)), "{:?}", clock.status());
        Machine { stand_in, clock, server, stood_ns: AtomicI64::new(0) }
    }

    fn truth_ns(&self) -> i64 {
        crate::os::system_now().as_nanos() + self.stood_ns.load(Ordering::SeqCst)
    }

    /// All that counts here stands still for so long, as where a host stops the machine.
    pub(crate) fn stand_still(&self, by: Span) {
        self.server.set(move |behaviour| behaviour.offset += by);
        self.stood_ns.fetch_add(by.as_nanos(), Ordering::SeqCst);
    }

    /// A reading of now, and how far it is off.
    fn look(&self) -> Option<(Reading, Span)> {
        let before = self.truth_ns();
        let reading = self.clock.now()?;
        let after = self.truth_ns();
        let time = reading.time().as_nanos();
        Some((reading, Span::from_nanos((before - time).max(time - after))))
    }

    /// How far a reading of now is off, and its bound, whether it keeps that or not.
    pub(crate) fn error(&self) -> Option<(Span, Span)> {
        self.look().map(|(reading, error)| (error, reading.max_error()))
    }

    /// Reads, and checks the reading against the truth.
    pub(crate) fn read(&self) -> Option<Reading> {
        let (reading, error) = self.look()?;
        assert!(error <= reading.max_error(), "off by {error:?}: {reading:?}");
        Some(reading)
    }

    /// Reads for a while; gives how often, and how often there was nothing.
    pub(crate) fn read_for(&self, time: Duration) -> (u32, u32) {
        let (begun, mut readings, mut nones) = (Instant::now(), 0, 0);
        let mut last: Option<Reading> = None;
        while begun.elapsed() < time {
            match self.read() {
                None => nones += 1,
                Some(reading) => {
                    readings += 1;
                    if let Some(last) = last.filter(|last| last.epoch() == reading.epoch()) {
                        assert!(reading.time() >= last.time());
                    }
                    last = Some(reading);
                }
            }
            sleep(Duration::from_micros(100));
        }
        (readings, nones)
    }

    /// Reads in eight threads for so long. Once the machine was disturbed, after a quarter of that,
    /// no reading is of the first epoch.
    pub(crate) fn while_many_read(&self, time: Duration, disturb: impl FnOnce()) {
        Machine::while_threads(8, time, disturb, |was_disturbed| {
            if let Some(reading) = self.clock.now()
                && was_disturbed
            {
                assert!(reading.epoch() > 1, "{reading:?} after the disturbance");
            }
        });
    }

    /// The counter's name after a disturbance, which all threads find at once, and no other.
    pub(crate) fn renamed_by(&self, disturb: impl FnOnce()) -> CounterId {
        let before = self.clock.counter_id();
        let ids = Mutex::new(BTreeSet::new());
        Machine::while_threads(4, Duration::from_millis(400), disturb, |was_disturbed| {
            let stamp = self.clock.stamp();
            if was_disturbed {
                assert_ne!(stamp.counter_id, before, "{stamp:?} after the disturbance");
                ids.lock().unwrap().insert(stamp.counter_id);
            }
        });
        let ids = ids.into_inner().unwrap();
        assert_eq!(ids.len(), 1, "{ids:?}");
        let after = self.clock.counter_id();
        assert!(ids.contains(&after), "{after:?}, not {ids:?}");
        after
    }

    /// Has threads do something again and again, with whether the machine was disturbed before.
    fn while_threads(
        threads: u32,
        time: Duration,
        disturb: impl FnOnce(),
        act: impl Fn(bool) + Sync,
    ) {
        let disturbed = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let begun = Instant::now();
                    while begun.elapsed() < time {
                        act(disturbed.load(Ordering::SeqCst));
                    }
                });
            }
            sleep(time / 4);
            disturb();
            disturbed.store(true, Ordering::SeqCst);
        });
    }
}
