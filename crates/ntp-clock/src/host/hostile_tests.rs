//! Pages that somebody has filled with anything: they are refused or read, never a crash.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use ntp_clock_core::{EngineConfig, LocalTime, Span, SyncEngine};

use super::page::{Control, CounterKind, Head, Identity, MachinePage, NotOurs, Shown};
use crate::clock::Clock;
use crate::counters::{Counters, Reference, StandIn};
use crate::page::{from_words, to_words};
use crate::proof::Security;
use crate::runtime::{Runtime, Thread};
use crate::shared::{Shared, nothing_of_epoch};

const IDENTITY: Identity = Identity {
    counter: CounterKind::MonotonicRaw,
    boot: [1, 2],
    time_namespace: 3,
    server: 4,
    proof: 0,
    machine: 0,
};

fn head() -> Head {
    Head { identity: IDENTITY, generation: 7, writer: 42 }
}

/// A clock that reads this page, which nobody looks after.
fn reader(page: &'static MachinePage) -> Clock {
    let shared = Shared::new(
        Ok("127.0.0.1:1".parse().expect("an address")),
        Ok(Security::None),
        EngineConfig::default(),
        counters(),
        Weak::new(),
        Runtime::new(Thread::None),
    );
    let control: &Control = Box::leak(Box::default());
    shared.attach(Shown { page, control, generation: 7, writer: 42, ending: None });
    Clock::from_shared(Arc::new(shared))
}

/// All that a program can do with it. Miri knows no square root, which the status has.
fn use_all(clock: &Clock, local: LocalTime) {
    let _ = (clock.now(), clock.at(local), clock.stamp());
    if !cfg!(miri) {
        let _ = clock.status();
    }
}

/// Numbers that arithmetic fears, and any.
fn anything(random: &mut fastrand::Rng) -> u64 {
    let feared = [
        0,
        1,
        u64::MAX,
        i64::MAX as u64,
        i64::MIN as u64,
        f64::NAN.to_bits(),
        f64::INFINITY.to_bits(),
        f64::NEG_INFINITY.to_bits(),
        f64::MAX.to_bits(),
        f64::MIN_POSITIVE.to_bits(),
        1.0_f64.to_bits(),
    ];
    match random.usize(0..feared.len() + 4) {
        place if place < feared.len() => feared[place],
        _ => random.u64(..) >> random.u32(0..64),
    }
}

/// The words of a true page's line, some of which somebody has changed.
fn damaged<const N: usize>(random: &mut fastrand::Rng, counters: &Counters) -> [u64; N] {
    let reference: Reference = counters.reference();
    let line = to_words(&nothing_of_epoch(9), reference);
    let wild = random.bool();
    std::array::from_fn(|place| {
        let own = line.get(place).copied().unwrap_or(0);
        if wild || random.u8(0..4) == 0 { anything(random) } else { own }
    })
}

/// Counters that need no system, which an interpreter does not have.
fn counters() -> Counters {
    let stand_in = StandIn::default();
    stand_in.advance(Span::from_secs(1_000_000));
    Counters::StandIn(Arc::new(stand_in))
}

fn seeded() -> fastrand::Rng {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    fastrand::Rng::with_seed(seed)
}

#[test]
fn a_page_with_any_words_in_it_is_read_without_a_crash() {
    let mut random = seeded();
    let rounds = if cfg!(miri) { 20 } else { 20_000 };
    let page: &MachinePage = Box::leak(Box::new(MachinePage::with(head(), [0; _])));
    let clock = reader(page);
    for _ in 0..rounds {
        page.scribble(random.u64(..) & !2, damaged(&mut random, &counters()));
        use_all(&clock, LocalTime::from_nanos(anything(&mut random) as i64));
        let _ = (page.due(), page.busy());
    }
}

#[test]
fn a_page_that_changes_all_the_time_is_read_without_a_crash_and_without_waiting_for_ever() {
    let mut random = seeded();
    let page: &MachinePage = Box::leak(Box::new(MachinePage::with(head(), [0; _])));
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::SeqCst) {
                page.scribble(random.u64(..), damaged(&mut random, &counters()));
            }
        });
        let clock = reader(page);
        for _ in 0..(if cfg!(miri) { 2 } else { 50 }) {
            use_all(&clock, clock.local_now());
            let _ = (page.due(), page.supersede(Box::leak(Box::default())));
        }
        ended.store(true, Ordering::SeqCst);
    });
}

#[test]
#[cfg_attr(miri, ignore = "no square root")]
fn a_successor_goes_on_from_any_words_without_a_crash() {
    let mut random = seeded();
    for _ in 0..5_000 {
        let (mapping, _) = from_words(damaged(&mut random, &counters()));
        let now = counters().local();
        let mut engine = SyncEngine::resume(EngineConfig::default(), mapping, now, random.u64(..));
        engine.handle_timeout(now + Span::from_secs(2));
        let sent = engine.poll_transmit(now + Span::from_secs(2), random.u64(..));
        let next = engine.legacy();
        assert!(sent.is_some() && engine.poll_timeout() >= now, "{mapping:?} {next:?}");
        let _ = (next.read(now), next.read(now + Span::from_secs(300)));
    }
}

#[test]
fn a_process_that_leaves_a_page_begins_an_epoch_that_it_never_had() {
    let page: &MachinePage = Box::leak(Box::new(MachinePage::with(head(), [0; _])));
    let clock = reader(page);
    let shared = clock.shared();
    let own = shared.fresh_epoch();
    assert!((1 << 20..1 << 53).contains(&own), "{own}");
    let late = nothing_of_epoch(own + (5 << 20));
    page.announce();
    page.publish(&late, counters().reference(), LocalTime::MAX);
    assert_eq!(shared.fresh_epoch(), late.epoch() + 1);
    shared.detach();
    assert!(shared.shown().is_none());
    assert_eq!(shared.fresh_epoch(), late.epoch() + 2, "its own page begins after that");
}

#[test]
fn a_head_that_differs_in_one_bit_is_refused_with_the_reason() {
    let page = |change: &dyn Fn(&mut [u64])| {
        let mut words = head().words();
        change(&mut words);
        MachinePage::with_words(words).head(&IDENTITY, 7).map(|head| head.writer)
    };
    assert_eq!(page(&|_| {}), Ok(42));
    assert_eq!(page(&|words| words[0] ^= 1), Err(NotOurs::Magic));
    assert_eq!(page(&|words| words[1] ^= 3), Err(NotOurs::Layout(2)));
    assert!(matches!(page(&|words| words[1] |= 1 << 63), Err(NotOurs::Size(_))));
    assert_eq!(page(&|words| words[6] = u64::MAX), Err(NotOurs::Generation(u64::MAX, 7)));
    for word in [2, 3, 4, 5, 8, 9, 10, 11, 15] {
        for bit in 0..64 {
            let found = page(&|words| words[word] ^= 1 << bit);
            assert_eq!(found, Err(NotOurs::Identity), "word {word}, bit {bit}");
        }
    }
    // The status names the writer, and that number is used for nothing else.
    assert_eq!(page(&|words| words[7] = 43), Ok(43));
    assert_eq!(page(&|words| words[7] |= 1 << 40), Err(NotOurs::Identity));
}
