//! What a clock does with what JavaScript gives it.

use super::*;
use crate::layout::EventKind;
use std::vec::Vec;

const UNIX_MS: f64 = 1_800_000_000_000.0;

fn clock() -> Clock {
    Clock::new(0.0, UNIX_MS, 5_000.0, 50, 300_000.0, 0.0)
}

fn reply(send_ms: f64) -> RelayReply {
    RelayReply {
        receive_ms: send_ms,
        send_ms,
        root_delay_ms: 1.0,
        root_dispersion_ms: 0.5,
        stratum: 2.0,
        leap: 0.0,
    }
}

fn ask(clock: &mut Clock, now_ms: f64) -> u64 {
    clock.timeout(now_ms, UNIX_MS + now_ms);
    let cookie = clock.transmit(now_ms, 7 + now_ms as u64, &mut [0; 48]).expect("due");
    assert!(clock.sent(cookie, now_ms));
    cookie
}

#[test]
fn a_relays_reply_becomes_a_reading_with_all_errors_on_the_way() {
    let mut clock = clock();
    assert!(clock.now(0.0, UNIX_MS).is_nan());
    let cookie = ask(&mut clock, 0.0);
    clock.relayed(cookie, reply(UNIX_MS + 1_005.0), 10.0, 10.0).expect("believed");
    let answer = clock.read(10.0, UNIX_MS + 10.0).expect("synchronised");
    assert_eq!(answer.time_ms, UNIX_MS + 1_010.0);
    assert!((6.0..6.1).contains(&answer.max_error_ms), "{answer:?}");
    assert!(answer.est_error_ms <= answer.max_error_ms);
}

#[test]
fn a_later_stamp_of_sending_narrows_the_bound() {
    let mut clock = clock();
    let cookie = ask(&mut clock, 0.0);
    clock.refine_sent(cookie, 8.0);
    clock.refine_sent(cookie + 1, 9.0);
    clock.relayed(cookie, reply(UNIX_MS + 9.0), 10.0, 10.0).expect("believed");
    let answer = clock.read(10.0, UNIX_MS + 10.0).expect("synchronised");
    assert!((2.0..2.1).contains(&answer.max_error_ms), "{answer:?}");
}

#[test]
fn numbers_that_are_none_are_malformed_and_an_unsynchronised_relay_learns_why() {
    let good = reply(UNIX_MS);
    let cases = [
        (RelayReply { receive_ms: f64::NAN, ..good }, Rejection::Malformed),
        (RelayReply { send_ms: f64::INFINITY, ..good }, Rejection::Malformed),
        (RelayReply { send_ms: -1.0, ..good }, Rejection::Malformed),
        (RelayReply { root_delay_ms: f64::NAN, ..good }, Rejection::Malformed),
        (RelayReply { root_dispersion_ms: -1.0, ..good }, Rejection::Malformed),
        (RelayReply { root_dispersion_ms: 1e300, ..good }, Rejection::RootDistance),
        (RelayReply { stratum: 1.5, ..good }, Rejection::Malformed),
        (RelayReply { leap: 4.0, ..good }, Rejection::Malformed),
        (RelayReply { leap: 3.0, send_ms: f64::NAN, ..good }, Rejection::Unsynchronised),
        (RelayReply { stratum: 16.0, ..good }, Rejection::Unsynchronised),
        (RelayReply { receive_ms: UNIX_MS + 1.0, ..good }, Rejection::BackwardTimestamps),
    ];
    for (reply, rejection) in cases {
        let mut clock = clock();
        let cookie = ask(&mut clock, 0.0);
        assert_eq!(clock.relayed(cookie, reply, 10.0, 10.0), Err(rejection), "{reply:?}");
        assert!(clock.now(10.0, UNIX_MS + 10.0).is_nan());
        assert_eq!(clock.rejections()[rejection.index()], 1);
    }
}

#[test]
fn a_wall_clock_that_jumps_ends_the_epoch_at_the_next_read() {
    let mut clock = clock();
    let cookie = ask(&mut clock, 0.0);
    clock.relayed(cookie, reply(UNIX_MS), 10.0, 10.0).expect("believed");
    let before = clock.read(20.0, UNIX_MS + 20.0).expect("synchronised");
    assert!(clock.now(30.0, UNIX_MS + 3_600_030.0).is_nan());
    clock.notice(30.0, UNIX_MS + 3_600_030.0);
    assert!(clock.now(31.0, UNIX_MS + 3_600_031.0).is_nan());
    assert_eq!(clock.absence(31.0), Absence::Suspended);
    clock.timeout(40.0, UNIX_MS + 3_600_040.0);
    let cookie = clock.transmit(42.0, 99, &mut [0; 48]).expect("a round at once");
    assert!(clock.sent(cookie, 42.0));
    clock.relayed(cookie, reply(UNIX_MS + 5_000.0), 50.0, 50.0).expect("believed");
    let after = clock.read(50.0, UNIX_MS + 3_600_050.0).expect("synchronised");
    assert_eq!(after.epoch, before.epoch + 1.0);
    let events: Vec<_> = core::iter::from_fn(|| clock.event()).map(|event| event.kind).collect();
    assert_eq!(events.iter().filter(|kind| **kind == EventKind::Epoch).count(), 1, "{events:?}");
}

#[test]
fn a_reader_held_up_between_the_counters_has_no_reading_and_ends_none() {
    let mut clock = clock();
    let cookie = ask(&mut clock, 0.0);
    clock.relayed(cookie, reply(UNIX_MS), 10.0, 10.0).expect("believed");
    let before = clock.read(20.0, UNIX_MS + 20.0).expect("synchronised");
    assert!(clock.now(30.0, UNIX_MS + 130.0).is_nan());
    clock.notice(131.0, UNIX_MS + 131.0);
    let after = clock.read(131.0, UNIX_MS + 131.0).expect("synchronised");
    assert_eq!(after.epoch, before.epoch);
}

#[test]
fn a_wall_clock_that_stands_still_means_no_reading_and_no_new_epoch() {
    let mut clock = clock();
    let cookie = ask(&mut clock, 0.0);
    clock.relayed(cookie, reply(UNIX_MS), 10.0, 10.0).expect("believed");
    let before = clock.read(20.0, UNIX_MS).expect("synchronised");
    for now in [100.0, 200.0, 20_000.0] {
        assert!(clock.now(now, UNIX_MS).is_nan());
        clock.notice(now, UNIX_MS);
        clock.timeout(now, UNIX_MS);
        assert!(clock.now(now, UNIX_MS).is_nan());
        assert_eq!(clock.absence(now), Absence::WallClockStopped);
        assert_eq!(clock.status(now)[0], ("state", State::Unsynchronised.number()));
    }
    // It goes on as if it had never stood still: nothing slept.
    let after = clock.read(20_001.0, UNIX_MS + 20_001.0).expect("synchronised");
    assert_eq!(after.epoch, before.epoch);
}

#[test]
fn readings_that_ran_out_say_so_before_the_driver_wakes() {
    let mut clock = clock();
    let cookie = ask(&mut clock, 0.0);
    clock.relayed(cookie, reply(UNIX_MS), 10.0, 10.0).expect("believed");
    let late = 3_600_000.0;
    clock.notice(late, UNIX_MS + late);
    assert!(clock.now(late, UNIX_MS + late).is_nan());
    assert_eq!(clock.absence(late), Absence::Expired);
}

#[test]
fn another_way_is_a_fresh_start_in_an_epoch_of_its_own() {
    let mut clock = clock();
    let cookie = ask(&mut clock, 0.0);
    clock.relayed(cookie, reply(UNIX_MS), 10.0, 10.0).expect("believed");
    let before = clock.read(20.0, UNIX_MS + 20.0).expect("synchronised");
    assert!(clock.configured(30.0, UNIX_MS + 30.0));
    assert!(clock.now(31.0, UNIX_MS + 31.0).is_nan());
    assert_eq!(clock.absence(31.0), Absence::Awaited);
    // One that has no reading ends none.
    assert!(!clock.configured(32.0, UNIX_MS + 32.0));
    let cookie = ask(&mut clock, 40.0);
    clock.relayed(cookie, reply(UNIX_MS - 5_000.0), 50.0, 50.0).expect("believed");
    let after = clock.read(60.0, UNIX_MS + 60.0).expect("synchronised");
    assert_eq!(after.epoch, before.epoch + 1.0);
    assert!(after.time_ms < before.time_ms);
    let (_, epoch) = clock.status(60.0)[1];
    assert_eq!(epoch, after.epoch);
}

#[test]
fn a_refusal_of_one_server_is_none_of_another() {
    let mut clock = clock();
    let cookie = ask(&mut clock, 0.0);
    let mut deny = [0; 48];
    deny[0] = 0x24;
    deny[12..16].copy_from_slice(b"DENY");
    deny[24..32].copy_from_slice(&cookie.to_be_bytes());
    let kiss = clock.datagram(&deny, 10.0, 10.0).expect_err("a kiss");
    assert!(matches!(kiss, Rejection::Kiss(_)), "{kiss:?}");
    assert!(!clock.request_sync(20.0).is_nan());
    clock.configured(30.0, UNIX_MS + 30.0);
    assert!(clock.request_sync(31.0).is_nan());
    let cookie = ask(&mut clock, 32.0);
    clock.relayed(cookie, reply(UNIX_MS), 40.0, 40.0).expect("believed");
}

#[test]
fn a_counter_that_goes_back_reads_no_earlier() {
    let mut clock = clock();
    let cookie = ask(&mut clock, 0.0);
    clock.relayed(cookie, reply(UNIX_MS), 10.0, 10.0).expect("believed");
    let late = clock.now(20.0, UNIX_MS + 20.0);
    assert_eq!(clock.now(15.0, UNIX_MS + 15.0), late);
}

#[test]
fn a_whole_second_stamp_gives_a_reading_within_a_second() {
    let mut clock = clock();
    clock.timeout(0.0, UNIX_MS);
    let cookie = clock.transmit(0.0, 7, &mut [0; 48]).expect("due");
    clock.stamped(cookie, 0.0, UNIX_MS, 1_000.0, 20.0, 20.0).expect("believed");
    let answer = clock.read(20.0, UNIX_MS + 20.0).expect("synchronised");
    assert!((500.0..570.0).contains(&answer.max_error_ms), "{answer:?}");
    let send_at = clock.stamped_send(30.0, 20.0);
    assert!((400.0..600.0).contains(&send_at), "{send_at}");
}
