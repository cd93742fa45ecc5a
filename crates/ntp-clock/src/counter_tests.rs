//! The processor's counter as this machine has it, and what happens when it is of no use any more.

use std::sync::{Arc, Weak};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ntp_clock_core::{Disruption, EngineConfig, LocalTime, Span};
use ntp_test_server::TestServer;

use crate::clock::Clock;
use crate::counter_choice::CounterChoice;
use crate::counters::Counters;
use crate::keeper;
use crate::os::{self, Distrust};
use crate::proof::Security;
use crate::shared::Shared;
use crate::status::Status;
use crate::system_counter::SystemCounter;

fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        sleep(Duration::from_millis(1));
    }
}

/// A clock whose counter a test can spoil.
struct Spoilt {
    clock: Clock,
    shared: Arc<Shared>,
    counter: Arc<SystemCounter>,
    _server: TestServer,
}

impl Spoilt {
    /// `None` where this machine's processor has no counter of use.
    fn start() -> Option<Self> {
        let counter = Arc::new(SystemCounter::new(CounterChoice::Processor));
        counter.ticks()?;
        let server = TestServer::builder().spawn().expect("loopback");
        let shared = keeper::start(
            Ok(server.addr().to_string().parse().expect("an address")),
            Ok(Security::None),
            EngineConfig::default(),
            Counters::Os(Arc::clone(&counter)),
            Weak::new(),
            Ok(None),
        );
        let clock = Clock::from_shared(Arc::clone(&shared));
        assert!(clock.wait_synced(Duration::from_secs(30)), "{:?}", clock.status());
        eventually("a comparison with the kernel's counter", || {
            shared.runtime().lock().bridge.is_some()
        });
        Some(Spoilt { clock, shared, counter, _server: server })
    }

    /// Waits for the kernel's counter to be in use, and a new epoch.
    fn left(&self) -> Status {
        self.shared.runtime().alarm();
        eventually("readings by the kernel's counter", || {
            let status = self.clock.status();
            status.counter == os::counter_name() && status.is_synced
        });
        self.clock.status()
    }
}

#[test]
fn a_clock_runs_on_the_processors_counter_where_the_kernel_does_and_says_why_it_does_not_elsewhere()
{
    let server = TestServer::builder().spawn().expect("loopback");
    let clock = |choice| {
        let address = server.addr().to_string().parse().expect("an address");
        Clock::builder().server(address).counter(choice).build().expect("a clock")
    };
    let trusted = os::distrust().is_none();
    let automatic = clock(CounterChoice::Processor).status();
    match automatic.counter_reason {
        None => assert_eq!(automatic.counter, os::TICKS_NAME),
        Some(why) => {
            assert!(!trusted || matches!(why, "unsuitable" | "rate_unknown"), "{why}");
            assert_eq!(automatic.counter, os::counter_name());
        }
    }
    let system = clock(CounterChoice::System).status();
    assert_eq!((system.counter, system.counter_reason), (os::counter_name(), Some("chosen")));
    if automatic.counter_reason.is_none() {
        assert_ne!(system.counter_id, automatic.counter_id);
    }
}

#[test]
fn two_clocks_on_the_processors_counter_have_one_counter_and_one_order() {
    let (Some(one), Some(other)) = (Spoilt::start(), Spoilt::start()) else { return };
    assert_eq!(one.clock.counter_id(), other.clock.counter_id());
    let mut last = LocalTime::MIN;
    for _ in 0..1_000 {
        for clock in [&one.clock, &other.clock] {
            let stamp = clock.stamp();
            assert!(stamp.counter >= last, "{stamp:?} after {last:?}");
            last = stamp.counter;
        }
    }
}

#[test]
fn a_moment_of_the_kernels_counter_is_dated_within_what_is_stated_by_either_counter() {
    let Some(Spoilt { clock, counter, .. }) = Spoilt::start() else { return };
    let system = Counters::of_system(CounterChoice::System);
    assert_eq!(system.of_raw(Span::from_nanos(7)), Some(LocalTime::from_nanos(7)));
    for _ in 0..200 {
        let before = counter.now();
        let raw = os::raw_now().expect("Linux");
        let after = counter.now();
        let read = |local| clock.at(local).expect("synchronised");
        let carried = clock.at_raw(Duration::from(raw)).expect("synchronised");
        let (before, after) = (read(before), read(after));
        let error = carried.max_error() - before.max_error();
        assert!(error > Span::ZERO && carried.est_error() > Span::ZERO, "{carried:?}");
        assert!(carried.time() + error >= before.time(), "{before:?} {carried:?}");
        assert!(carried.time() - error <= after.time(), "{carried:?} {after:?}");
    }
}

#[test]
fn a_counter_that_runs_apart_is_left_with_a_new_epoch_a_new_name_and_no_moment_of_before() {
    for ahead in [Span::from_secs(3_600), Span::from_secs(-3_600), Span::from_millis(5)] {
        let Some(spoilt) = Spoilt::start() else { return };
        let (before, epoch) = (spoilt.clock.stamp(), spoilt.clock.status().epoch);
        spoilt.counter.spoil(ahead);
        let status = spoilt.left();
        assert_eq!(status.counter_reason, Some(Distrust::Apart.name()));
        assert_eq!(status.last_disruption, Some(Disruption::CountersApart), "{ahead:?}");
        assert!(status.epoch > epoch && status.counter_id != before.counter_id);
        assert_eq!(spoilt.clock.at(before.counter), None, "{ahead:?}");
        let after = spoilt.clock.stamp();
        assert!(after.counter > before.counter, "{ahead:?}: {after:?} after {before:?}");
        let wall = Span::from_nanos(os::system_now().as_nanos());
        let error = Span::from_nanos(after.reading.expect("synced").time().as_nanos()) - wall;
        assert!(error.abs() < Span::from_millis(500), "{ahead:?}: {error:?}");
    }
}

#[test]
fn a_reading_by_a_counter_that_went_back_gives_nothing_even_before_the_thread_looks() {
    let Some(spoilt) = Spoilt::start() else { return };
    let epoch = spoilt.clock.now().expect("synchronised").epoch();
    spoilt.counter.spoil(Span::from_secs(-3_600));
    if let Some(reading) = spoilt.clock.now() {
        assert!(reading.epoch() > epoch, "{reading:?} by a counter that went back");
    }
    spoilt.left();
}
