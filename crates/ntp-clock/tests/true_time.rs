//! TrueTime's questions, commit wait and hybrid stamps, put to whole clocks.

mod common;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{busy_clock_of, eventually, serve, truth_ns};
use ntp_clock::{Clock, HybridClock, HybridError, Look, ManualClock, Span, UnixTime, WaitError};
use ntp_test_server::Delay;

const TIME: UnixTime = UnixTime::from_nanos(1_759_639_032_000_000_000);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn without_a_reading_nothing_is_past_or_future_and_with_one_its_bound_decides() {
    let manual = ManualClock::new();
    let clock = manual.clock();
    let answers =
        |time| (clock.earliest(), clock.latest(), clock.is_past(time), clock.is_future(time));
    assert_eq!(answers(TIME), (None, None, None, None));
    manual.set(TIME, Span::from_millis(5));
    let (first, last) = (TIME - Span::from_millis(5), TIME + Span::from_millis(5));
    let nano = Span::from_nanos(1);
    assert_eq!(answers(first - nano), (Some(first), Some(last), Some(true), Some(false)));
    for within in [first, TIME, last] {
        assert_eq!(answers(within), (Some(first), Some(last), Some(false), Some(false)));
    }
    assert_eq!(answers(last + nano), (Some(first), Some(last), Some(false), Some(true)));
    manual.fail();
    assert_eq!(answers(TIME), (None, None, None, None));
}

#[test]
fn a_wait_outlasts_an_error_that_grows_and_a_clock_that_fails_and_ends_when_the_time_has_passed() {
    let manual = ManualClock::new();
    let clock = manual.clock();
    manual.set(TIME, Span::from_millis(5));
    let returned = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let reading = clock.wait_until_past(TIME, Duration::from_secs(60));
            returned.store(true, Ordering::SeqCst);
            reading
        });
        let still_waits = |why| {
            // Twice as long as it takes to look again.
            sleep(ms(110));
            assert!(!returned.load(Ordering::SeqCst), "returned {why}");
        };
        still_waits("at once");
        manual.advance(ms(4));
        still_waits("before the time");
        manual.set(TIME + Span::from_millis(6), Span::from_millis(50));
        still_waits("though the error grew");
        manual.fail();
        manual.advance(ms(1_000));
        still_waits("without a reading");
        manual.set(TIME - Span::from_millis(1), Span::ZERO);
        still_waits("in an epoch that begins earlier");
        manual.set(TIME + Span::from_millis(3), Span::from_millis(2));
        let reading = waiting.join().expect("no panic").expect("it has passed");
        assert_eq!(reading.earliest(), TIME + Span::from_millis(1));
    });
}

#[test]
fn a_wait_ends_at_its_time_out_with_what_is_left_and_at_once_where_it_would_be_in_vain() {
    let manual = ManualClock::new();
    let clock = manual.clock();
    let begun = Instant::now();
    assert_eq!(clock.wait_until_past(TIME, ms(120)), Err(WaitError::TimedOut { left: None }));
    manual.set(TIME, Span::from_millis(5));
    let left = Some(Span::from_nanos(5_000_001));
    assert_eq!(clock.wait_until_past(TIME, ms(120)), Err(WaitError::TimedOut { left }));
    assert_eq!(clock.wait_until_past(TIME, Duration::ZERO), Err(WaitError::TimedOut { left }));
    assert!(begun.elapsed() >= ms(240));
    let year = TIME + Span::from_secs(31_536_000);
    let ahead = year - TIME - Span::from_millis(5);
    let refused = clock.wait_until_past(year, Duration::from_secs(3_600));
    assert_eq!(refused, Err(WaitError::TooFar { ahead }));
    let never = clock.wait_until_past(UnixTime::MAX, Duration::MAX);
    assert!(matches!(never, Err(WaitError::TooFar { .. })), "{never:?}");
}

#[test]
fn no_wait_of_hundreds_returns_before_its_time_while_delays_and_errors_change() {
    let server = serve(|b| b.set_delay(Delay::fixed(ms(3))));
    let clock = busy_clock_of(&server);
    assert!(clock.wait_synced(Duration::from_secs(30)), "{:?}", clock.status());
    let (begun, waits) = (Instant::now(), AtomicU32::new(0));
    // This many, over some rounds of the clock.
    let go_on = || waits.load(Ordering::SeqCst) < 300 || begun.elapsed() < ms(2_500);
    let seed = 11;
    println!("seed {seed}");
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let (clock, waits, go_on) = (&clock, &waits, &go_on);
            scope.spawn(move || {
                let mut dice = fastrand::Rng::with_seed(seed + thread);
                while go_on() {
                    let Some(latest) = clock.latest() else { continue };
                    let time = latest + Span::from_micros(dice.i64(-20_000..20_000));
                    let reading = clock.wait_until_past(time, Duration::from_secs(30));
                    let truth_ns = truth_ns();
                    let reading = reading.expect("it passes");
                    assert!(reading.earliest() > time);
                    assert!(truth_ns > time.as_nanos(), "{} ns early", time.as_nanos() - truth_ns);
                    waits.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let mut dice = fastrand::Rng::with_seed(seed);
        while go_on() {
            // From one way to the other and back: the bound has to stay one.
            let (to_server, to_client) = (dice.u64(0..25), dice.u64(0..25));
            server.set(|b| b.to_server.delay = Delay::fixed(ms(to_server)));
            server.set(|b| b.to_client.delay = Delay::fixed(ms(to_client)));
            sleep(ms(200));
        }
    });
}

#[test]
fn a_thread_that_waits_is_woken_when_the_clock_hears_of_its_server() {
    let server = serve(|b| b.set_delay(Delay::fixed(ms(400))));
    let clock: Clock = busy_clock_of(&server);
    // From before there is a reading: it ends with one.
    let reading = clock.wait_until_past(TIME, Duration::from_secs(20)).expect("long ago");
    assert!(reading.earliest() > TIME && clock.now().is_some());
}

#[test]
fn a_look_tells_those_who_wait_by_themselves_how_long_to_pause() {
    let manual = ManualClock::new();
    let clock = manual.clock();
    manual.set(TIME, Span::from_millis(5));
    let pause = match clock.look_past(TIME, Duration::from_secs(1)) {
        Ok(Look::NotYet(pause)) => pause,
        other => panic!("{other:?}"),
    };
    assert_eq!(pause, Duration::from_nanos(5_000_001));
    manual.advance(pause);
    assert!(matches!(clock.look_past(TIME, Duration::ZERO), Ok(Look::Past(_))));
}

#[test]
fn threads_that_share_a_hybrid_clock_never_get_a_stamp_twice_or_one_before_what_they_saw() {
    let manual = ManualClock::new();
    manual.set(TIME, Span::from_millis(5));
    let hybrid = HybridClock::new(manual.clock());
    let (threads, each) = (8, 4_000);
    let (all, started) = (Mutex::new(BTreeSet::new()), Barrier::new(threads));
    let published = Mutex::new(None);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (hybrid, manual, all) = (&hybrid, &manual, &all);
            let (published, started) = (&published, &started);
            scope.spawn(move || {
                started.wait();
                let mut mine = Vec::new();
                for turn in 0..each {
                    // Whatever any thread has published before this began is a cause.
                    let seen = *published.lock().unwrap();
                    let stamp = match seen.filter(|_| turn % 3 == 0) {
                        Some(seen) => hybrid.receive(seen),
                        None => hybrid.now(),
                    };
                    let stamp = stamp.expect("within the bound");
                    assert!(Some(stamp) > seen && mine.last().is_none_or(|last| stamp > *last));
                    *published.lock().unwrap() = Some(stamp);
                    mine.push(stamp);
                    if turn % 500 == 0 && thread == 0 {
                        manual.advance(ms(1));
                    }
                }
                all.lock().unwrap().extend(mine);
            });
        }
    });
    assert_eq!(all.into_inner().unwrap().len(), threads * each);
}

#[test]
fn a_poisoned_stamp_changes_nothing_and_the_clock_never_runs_ahead_of_its_bound() {
    let manual = ManualClock::new();
    let hybrid = HybridClock::new(manual.clock());
    assert_eq!((hybrid.now(), hybrid.last()), (Err(HybridError::NoReading), None));
    manual.set(TIME, Span::from_millis(5));
    let first = hybrid.now().unwrap();

    let other = ManualClock::new();
    other.set(TIME + Span::from_secs(60), Span::from_millis(5));
    let poison = HybridClock::new(other.clock()).now().unwrap();
    let refused = hybrid.receive(poison);
    assert!(
        matches!(refused, Err(HybridError::Future { by }) if by > Span::from_secs(59)),
        "{refused:?}"
    );
    assert_eq!(hybrid.last(), Some(first));

    manual.fail();
    assert_eq!(hybrid.now(), Err(HybridError::NoReading));
    assert_eq!(hybrid.receive(first), Err(HybridError::NoReading));
    // An epoch that begins earlier, within what the bound was: stamps go on.
    manual.set(TIME - Span::from_millis(6), Span::from_millis(5));
    let next = hybrid.now().unwrap();
    assert!(next > first && next.time() == first.time());
    // And one by which the readings before were wrong: none, until true time has caught up.
    manual.set(TIME - Span::from_secs(2), Span::from_millis(5));
    let ahead = match hybrid.now() {
        Err(HybridError::Ahead { by }) => by,
        other => panic!("{other:?}"),
    };
    assert_eq!(hybrid.last(), Some(next));
    manual.advance(Duration::from(ahead));
    assert!(hybrid.now().unwrap() > next);
    // What was kept is gone on from.
    let resumed = HybridClock::resume(manual.clock(), hybrid.last().unwrap());
    assert!(resumed.now().unwrap() > hybrid.last().unwrap());
}

#[test]
fn hybrid_stamps_of_clocks_on_opposite_paths_are_in_order_and_never_ahead_of_truth() {
    let slow_to = serve(|b| b.to_server.delay = Delay::fixed(ms(20)));
    let slow_back = serve(|b| b.to_client.delay = Delay::fixed(ms(20)));
    let clocks = [busy_clock_of(&slow_to), busy_clock_of(&slow_back)];
    for clock in &clocks {
        eventually("both have the time", Duration::from_secs(10), || clock.now().is_some());
    }
    let hybrids = clocks.map(HybridClock::new);
    let mut last = hybrids[0].now().expect("synchronised");
    let mut counted = 0;
    for turn in 0..2_000 {
        let stamp = hybrids[turn % 2].receive(last).expect("no honest stamp is refused");
        assert!(stamp > last);
        assert!(stamp.time().as_nanos() <= truth_ns(), "ahead of truth");
        counted += u32::from(stamp.count() > 0);
        last = stamp;
        if turn % 100 == 0 {
            sleep(ms(2));
        }
    }
    assert!(counted > 0, "one of the two is behind, so it has to count");
}
