//! The functions that JavaScript calls. `js/src/core.js` is their only caller; [`crate::layout`]
//! has the order of what is in the buffers.
//!
//! An instance has one thread, and no export calls another or calls out: the one reference to the
//! instance's state that each takes is the only one.

#![allow(unsafe_code)]

use core::cell::UnsafeCell;

use ntp_clock_core::{ReferenceId, Rejection};

use crate::clock::Clock;
use crate::layout::{Answer, EventKind, NewEpoch, REJECTIONS_AT, reading_fields, text_of, word_of};
use crate::reply::RelayReply;

/// All of an instance.
struct State {
    clock: Option<Clock>,
    numbers: [f64; NUMBERS],
    bytes: [u8; BYTES],
}

struct Single(UnsafeCell<State>);

// SAFETY: without threads nothing is shared between them.
unsafe impl Sync for Single {}

static STATE: Single =
    Single(UnsafeCell::new(State { clock: None, numbers: [0.0; NUMBERS], bytes: [0; BYTES] }));

fn state() -> &'static mut State {
    // SAFETY: called once by each export, none of which calls another; see above.
    unsafe { &mut *STATE.0.get() }
}

/// Where the buffer of numbers is.
#[unsafe(no_mangle)]
extern "C" fn numbers() -> *const f64 {
    state().numbers.as_ptr()
}

/// Where the buffer of bytes is.
#[unsafe(no_mangle)]
extern "C" fn bytes() -> *const u8 {
    state().bytes.as_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn create(
    now: f64,
    wall: f64,
    resolution_ns: f64,
    steering_ppm: u32,
    poll: f64,
    whole_since: f64,
) {
    let steering = steering_ppm.min(u32::from(u16::MAX)) as u16;
    state().clock = Some(Clock::new(now, wall, resolution_ns, steering, poll, whole_since));
}

#[unsafe(no_mangle)]
extern "C" fn now(now: f64, wall: f64) -> f64 {
    state().clock.as_mut().map_or(f64::NAN, |clock| clock.now(now, wall))
}

/// The reading goes to the numbers.
#[unsafe(no_mangle)]
extern "C" fn read(now: f64, wall: f64) -> bool {
    let State { clock, numbers, .. } = state();
    tell(clock.as_mut().and_then(|clock| clock.read(now, wall)), numbers)
}

#[unsafe(no_mangle)]
extern "C" fn at(moment: f64) -> bool {
    let State { clock, numbers, .. } = state();
    tell(clock.as_ref().and_then(|clock| clock.at(moment)), numbers)
}

fn tell(answer: Option<Answer>, numbers: &mut [f64; NUMBERS]) -> bool {
    let Some(answer) = answer else { return false };
    fill(numbers, reading_fields(answer).map(|(_, number)| number));
    true
}

#[unsafe(no_mangle)]
extern "C" fn notice(now: f64, wall: f64) -> bool {
    state().clock.as_mut().is_some_and(|clock| clock.notice(now, wall))
}

#[unsafe(no_mangle)]
extern "C" fn suspends() -> u32 {
    state().clock.as_ref().map_or(0, Clock::suspends)
}

#[unsafe(no_mangle)]
extern "C" fn timeout(now: f64, wall: f64) {
    if let Some(clock) = &mut state().clock {
        clock.timeout(now, wall);
    }
}

/// The relay's own time began afresh.
#[unsafe(no_mangle)]
extern "C" fn relay_epoch(now: f64, wall: f64) {
    if let Some(clock) = &mut state().clock {
        clock.suspend(now, wall, NewEpoch::Relay);
    }
}

/// Another way to the time was chosen. Whether an epoch ended by that.
#[unsafe(no_mangle)]
extern "C" fn configured(now: f64, wall: f64) -> bool {
    state().clock.as_mut().is_some_and(|clock| clock.configured(now, wall))
}

#[unsafe(no_mangle)]
extern "C" fn request_sync(now: f64) -> f64 {
    state().clock.as_mut().map_or(f64::NAN, |clock| clock.request_sync(now))
}

/// Whether a request is to be sent; its cookie is the entropy, its NTP packet goes to the bytes.
#[unsafe(no_mangle)]
extern "C" fn transmit(now: f64, entropy: u64) -> bool {
    let State { clock, bytes, .. } = state();
    let mut packet = [0; 48];
    if clock.as_mut().and_then(|clock| clock.transmit(now, entropy, &mut packet)).is_none() {
        return false;
    }
    for (byte, value) in bytes.iter_mut().zip(packet) {
        *byte = value;
    }
    true
}

#[unsafe(no_mangle)]
extern "C" fn sent(cookie: u64, at: f64) -> bool {
    state().clock.as_mut().is_some_and(|clock| clock.sent(cookie, at))
}

#[unsafe(no_mangle)]
extern "C" fn refine_sent(cookie: u64, at: f64) {
    if let Some(clock) = &mut state().clock {
        clock.refine_sent(cookie, at);
    }
}

#[unsafe(no_mangle)]
extern "C" fn send_failed(cookie: u64, now: f64) {
    if let Some(clock) = &mut state().clock {
        clock.send_failed(cookie, now);
    }
}

/// The datagram is in the bytes. Here and below: whether it was believed.
#[unsafe(no_mangle)]
extern "C" fn datagram(len: usize, t4: f64, now: f64) -> bool {
    let State { clock, bytes, .. } = state();
    let datagram = bytes.get(..len).unwrap_or(bytes);
    clock.as_mut().is_some_and(|clock| clock.datagram(datagram, t4, now).is_ok())
}

/// The reply is in the numbers.
#[unsafe(no_mangle)]
extern "C" fn relayed(cookie: u64, t4: f64, now: f64) -> bool {
    let State { clock, numbers, .. } = state();
    let Some((reply, _)) = numbers.split_first_chunk() else { return false };
    let reply = RelayReply::of(*reply);
    clock.as_mut().is_some_and(|clock| clock.relayed(cookie, reply, t4, now).is_ok())
}

/// A reply that is none (`of_another_server`: one of another server than the first).
#[unsafe(no_mangle)]
extern "C" fn refuse(cookie: u64, of_another_server: bool, t4: f64, now: f64) {
    let rejection = if of_another_server { Rejection::Server } else { Rejection::Malformed };
    if let Some(clock) = &mut state().clock {
        clock.refuse(cookie, rejection, t4, now);
    }
}

#[unsafe(no_mangle)]
extern "C" fn stamped_send(now: f64, round_trip: f64) -> f64 {
    state().clock.as_ref().map_or(now, |clock| clock.stamped_send(now, round_trip))
}

#[unsafe(no_mangle)]
extern "C" fn stamped(
    cookie: u64,
    t1: f64,
    stamp: f64,
    resolution: f64,
    t4: f64,
    now: f64,
) -> bool {
    let clock = state().clock.as_mut();
    clock.is_some_and(|clock| clock.stamped(cookie, t1, stamp, resolution, t4, now).is_ok())
}

#[unsafe(no_mangle)]
extern "C" fn poll_timeout() -> f64 {
    state().clock.as_ref().map_or(f64::INFINITY, Clock::poll_timeout)
}

#[unsafe(no_mangle)]
extern "C" fn in_round() -> bool {
    state().clock.as_ref().is_some_and(Clock::in_round)
}

/// Whether the round under way has given all that a program should wait for.
#[unsafe(no_mangle)]
extern "C" fn round_is_answered() -> bool {
    state().clock.as_ref().is_some_and(Clock::round_is_answered)
}

/// The kind of the next event. The server's own word in its reason goes to the bytes; the number of
/// the reason's text, the word's length, the code of the failure or of the new epoch, and what else
/// it says to the numbers.
#[unsafe(no_mangle)]
extern "C" fn event() -> u32 {
    let State { clock, numbers, bytes } = state();
    let Some(event) = clock.as_mut().and_then(Clock::event) else {
        return EventKind::None as u32;
    };
    let text = event.failure.map_or(0, text_of);
    let word = event.failure.and_then(word_of);
    let length = word.zip(bytes.first_chunk_mut()).map_or(0, |(word, to)| word.write_text(to));
    fill(numbers, [text as f64, length as f64, event.code, event.value]);
    event.kind as u32
}

/// What the clock knows goes to the numbers.
#[unsafe(no_mangle)]
extern "C" fn status(now: f64) {
    let State { clock, numbers, .. } = state();
    let Some(clock) = clock else { return };
    fill(numbers, clock.status(now).map(|(_, number)| number));
    for (number, count) in numbers.iter_mut().skip(REJECTIONS_AT).zip(clock.rejections()) {
        *number = count as f64;
    }
}

#[cfg(feature = "replay")]
mod replayed {
    use super::UnsafeCell;
    use crate::millis;
    use crate::replay::Replayed;

    struct Log(UnsafeCell<Option<Replayed>>);
    // SAFETY: as for the clock.
    unsafe impl Sync for Log {}
    static LOG: Log = Log(UnsafeCell::new(None));

    fn log() -> &'static mut Replayed {
        // SAFETY: as for the clock.
        let log = unsafe { &mut *LOG.0.get() };
        log.get_or_insert_with(Replayed::new)
    }

    #[unsafe(no_mangle)]
    extern "C" fn replay_exchange(
        t1: i64,
        t2: i64,
        t3: i64,
        t4: i64,
        handled: i64,
        root_delay: i64,
        root_dispersion: i64,
        precision: i32,
        leap: u32,
        stratum: u32,
    ) {
        log().exchange(
            [t1, t2, t3, t4, handled],
            [root_delay, root_dispersion],
            precision as i8,
            leap as u8,
            stratum as u8,
        );
    }

    #[unsafe(no_mangle)]
    extern "C" fn replay_lost(t1: i64) {
        log().lost(t1);
    }

    #[unsafe(no_mangle)]
    extern "C" fn replay_round_end(at: i64) {
        log().round_end(at);
    }

    #[unsafe(no_mangle)]
    extern "C" fn replay_suspend(at: i64) {
        log().suspend(at);
    }

    #[unsafe(no_mangle)]
    extern "C" fn replay_counter_changed(at: i64) {
        log().counter_changed(at);
    }

    #[unsafe(no_mangle)]
    extern "C" fn replay_read(at: i64) -> bool {
        log().read(at)
    }

    /// 0 is the time, 1 its bound, 2 its estimated error, nanoseconds.
    #[unsafe(no_mangle)]
    extern "C" fn replay_answer(which: u32) -> i64 {
        log().answer(which)
    }

    /// The time as the shipped module gives it.
    #[unsafe(no_mangle)]
    extern "C" fn replay_time_ms() -> f64 {
        millis::unix_ms(ntp_clock_core::UnixTime::from_nanos(log().answer(0)))
    }
}

fn fill<const N: usize>(numbers: &mut [f64; NUMBERS], with: [f64; N]) {
    for (number, value) in numbers.iter_mut().zip(with) {
        *number = value;
    }
}

const NUMBERS: usize = 32;
const _: () = assert!(REJECTIONS_AT + Rejection::COUNT <= NUMBERS);
/// Larger than any datagram that an NTP server sends us, and than any server's word.
const BYTES: usize = 1_024;
const _: () = assert!(ReferenceId::TEXT_MAX <= BYTES);
