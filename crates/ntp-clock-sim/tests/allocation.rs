//! The engine lives in the memory that it was made with.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ntp_clock_core::{
    EngineConfig, Leap, LocalTime, ReferenceId, ServerReply, Span, SyncEngine, UnixTime,
};

/// The system's allocator, counting.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above; the block came from there.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.get()
}

fn reply(at_ns: i64) -> ServerReply {
    let time = UnixTime::from_nanos(1_759_639_032_000_000_000 + at_ns);
    ServerReply {
        receive_time: time,
        transmit_time: time,
        root_delay: Span::from_micros(500),
        root_dispersion: Span::from_micros(100),
        precision_log2_s: -25,
        leap: Leap::None,
        stratum: 1,
        reference_id: ReferenceId::from_bytes(*b"GPS\0"),
    }
}

#[test]
fn an_engine_allocates_nothing_from_its_beginning_through_three_days_with_sleep_and_outage() {
    let before = allocations();
    drop(Box::new(1));
    assert!(allocations() > before, "the allocator counts");

    let before = allocations();
    let mut engine = SyncEngine::new(EngineConfig::default(), LocalTime::from_nanos(0));
    let (mut now_ns, mut exchanges, mut entropy) = (0_i64, 0_u64, 1_u64);
    while now_ns < 3 * 86_400_000_000_000 {
        let now = LocalTime::from_nanos(now_ns);
        engine.handle_timeout(now);
        let hour = now_ns / 3_600_000_000_000;
        while let Some(transmit) = {
            entropy = entropy.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            engine.poll_transmit(now, entropy)
        } {
            engine.handle_sent(transmit.token, now);
            if hour == 20 {
                continue; // The network is gone.
            }
            let there_ns = 10_000_000 + (entropy >> 44) as i64;
            let arrived = LocalTime::from_nanos(now_ns + there_ns + 10_000_000);
            let believed =
                engine.handle_response(transmit.cookie, reply(now_ns + there_ns), arrived, arrived);
            exchanges += u64::from(believed.is_ok());
            now_ns += there_ns + 10_000_000;
        }
        if hour == 40 && engine.round_number().is_multiple_of(2) {
            engine.handle_suspend(LocalTime::from_nanos(now_ns));
        }
        while engine.poll_event().is_some() {}
        while engine.poll_log().is_some() {}
        let _ = engine.mapping().and_then(|mapping| mapping.read(now));
        let _ = engine.status(now);
        now_ns = engine.poll_timeout().as_nanos().max(now_ns + 1);
    }
    assert!(exchanges > 3_000, "{exchanges} exchanges");
    assert_eq!(allocations() - before, 0);
}
