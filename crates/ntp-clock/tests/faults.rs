//! Each fault of a server or its path: what the clock does, what its status says, and that no
//! reading was outside its error or went backwards.

mod common;

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use common::{Watch, busy_clock_of, clock_of, eventually, serve};
use ntp_clock::{Clock, Leap, Span, Status, SyncState};
use ntp_test_server::{Delay, Fault, Probability, TestServer, When};

/// Runs a clock against a server that always misbehaves like this, for long enough that an honest
/// one would have answered many times.
fn with_fault(fault: Fault) -> (TestServer, Clock) {
    let server = serve(move |b| {
        b.faults.always(fault);
    });
    let clock = clock_of(&server);
    let watch = Watch::over(&clock);
    sleep(Duration::from_millis(1_000));
    assert_eq!(watch.finish().readings, 0, "{fault:?} gave a reading");
    (server, clock)
}

fn rejections(status: &Status) -> BTreeMap<&'static str, u64> {
    status.rejections().collect()
}

/// The fault makes every reply unbelievable, for this reason and no other.
fn rejects(fault: Fault, reason: &str, words: &str) {
    let (server, clock) = with_fault(fault);
    let status = clock.status();
    let counted = rejections(&status);
    assert_eq!(counted.keys().copied().collect::<Vec<_>>(), [reason], "{fault:?}");
    assert!(counted[reason] >= 4, "{counted:?}");
    assert_eq!((status.state, status.is_synced), (SyncState::Unsynchronised, false));
    assert_eq!(status.offset, None);
    eventually("the attempt fails", Duration::from_secs(60), || clock.status().attempts > 0);
    let error = clock.status().last_error.expect("an attempt failed");
    assert!(error.detail().contains(words), "{fault:?}: {error}");
    let code =
        if reason == "kiss" { "kiss_other".to_owned() } else { format!("rejected_{reason}") };
    assert_eq!(error.code(), code);
    assert!(server.stats().most_requests_within(Duration::from_secs(8)) <= 8);
}

#[test]
fn a_wrong_origin_is_not_believed() {
    rejects(Fault::WrongOrigin, "origin", "wrong origin timestamp");
}

#[test]
fn a_zero_receive_timestamp_is_not_believed() {
    rejects(Fault::ZeroReceive, "zero_timestamp", "timestamp missing");
}

#[test]
fn a_zero_transmit_timestamp_is_not_believed() {
    rejects(Fault::ZeroTransmit, "zero_timestamp", "timestamp missing");
}

#[test]
fn timestamps_that_run_backwards_are_not_believed() {
    rejects(Fault::Backwards(Span::from_millis(5)), "backward_timestamps", "run backwards");
}

#[test]
fn a_server_that_claims_to_have_held_the_request_for_too_long_is_not_believed() {
    rejects(Fault::ShiftReceive(Span::from_secs(-10)), "negative_delay", "longer than the round");
}

#[test]
fn an_unsynchronised_server_is_not_believed() {
    rejects(Fault::Leap(Leap::Unsynchronised), "unsynchronised", "server is not synchronised");
}

#[test]
fn stratum_16_is_not_believed() {
    rejects(Fault::Stratum(16), "unsynchronised", "server is not synchronised");
}

#[test]
fn a_truncated_reply_is_not_believed() {
    rejects(Fault::Truncate(47), "malformed", "malformed packet");
}

#[test]
fn a_reply_with_junk_behind_it_is_not_believed() {
    rejects(Fault::Junk(300), "malformed", "malformed packet");
}

#[test]
fn a_reply_in_another_mode_is_not_believed() {
    rejects(Fault::Mode(ntp_clock_core::Mode::Client), "mode", "not a server's reply");
}

#[test]
fn a_reply_in_another_version_is_not_believed() {
    rejects(Fault::Version(3), "version", "not in NTP version 4");
}

#[test]
fn an_unknown_kiss_code_is_counted_and_nothing_more() {
    rejects(Fault::Kiss(*b"HOHO"), "kiss", "kiss-o'-death HOHO");
}

#[test]
fn stratum_0_without_a_kiss_code_is_not_believed() {
    rejects(Fault::Stratum(0), "kiss", "kiss-o'-death");
}

#[test]
fn rate_makes_the_clock_back_off_at_once() {
    let (server, clock) = with_fault(Fault::Kiss(*b"RATE"));
    let status = clock.status();
    // A second one may be on its way when a starved server's answer comes late.
    assert!(server.stats().requests <= 2);
    assert_eq!(status.state, SyncState::Failed);
    assert!(status.last_error.unwrap().code() == "kiss_rate");
    assert!(status.next_sync_in.unwrap() > Span::from_secs(50));
}

#[test]
fn deny_and_rstr_silence_the_clock_for_an_hour() {
    for code in [*b"DENY", *b"RSTR"] {
        let (server, clock) = with_fault(Fault::Kiss(code));
        let refused = clock.sync_now().expect_err("asking is forbidden").to_string();
        assert!(refused.contains("asked for a pause"), "{refused}");
        assert!(server.stats().requests <= 2);
        let status = clock.status();
        assert_eq!(status.state, SyncState::Failed);
        assert!(status.next_sync_in.unwrap() > Span::from_secs(3_590));
    }
}

#[test]
fn a_reply_from_another_port_is_never_seen() {
    let (_server, clock) = with_fault(Fault::OtherPort);
    let status = clock.status();
    assert!(rejections(&status).is_empty());
    eventually("the attempt fails", Duration::from_secs(60), || clock.status().attempts > 0);
    assert_eq!(clock.status().last_error.unwrap().detail(), "no reply within 2 s");
}

#[test]
fn silence_fails_the_clock_after_three_attempts_at_once_within_one_budget() {
    let (server, clock) = with_fault(Fault::Silence);
    eventually("the clock fails", Duration::from_secs(60), || {
        clock.status().state == SyncState::Failed
    });
    let status = clock.status();
    assert_eq!((status.attempts, status.requests), (3, 8));
    assert_eq!(server.stats().requests, 8);
    assert_eq!(status.last_error_code(), Some("no_reply"));
    assert!(status.next_sync_in.unwrap() > Span::from_secs(8));
}

/// The clock synchronises all the same, with every reading inside its error.
fn copes(configure: impl FnOnce(&mut ntp_test_server::Behaviour) + Send + 'static) -> Clock {
    let server = serve(configure);
    let clock = clock_of(&server);
    let watch = Watch::over(&clock);
    assert!(clock.wait_synced(Duration::from_secs(30)), "{:?}", clock.status());
    sleep(Duration::from_millis(1_500));
    assert!(watch.finish().readings > 100);
    clock
}

#[test]
fn extension_fields_are_stepped_over() {
    let clock = copes(|b| {
        b.faults.always(Fault::Extensions(2));
    });
    assert!(rejections(&clock.status()).is_empty());
}

#[test]
fn duplicates_are_counted_and_do_no_harm() {
    let clock = copes(|b| b.duplicate = Probability::ALWAYS);
    assert!(rejections(&clock.status())["duplicate"] >= 1);
}

#[test]
fn reordered_replies_do_no_harm() {
    copes(|b| {
        b.reorder = Probability::new(0.5);
        b.reorder_hold = Duration::from_millis(120);
    });
}

#[test]
fn heavy_loss_delays_the_first_reading_and_nothing_else() {
    copes(|b| b.set_loss(Probability::new(0.3)));
}

#[test]
fn an_asymmetric_path_stays_within_the_bound() {
    let clock = copes(|b| {
        b.to_server.delay = Delay::fixed(Duration::from_millis(5));
        b.to_client.delay = Delay::fixed(Duration::from_millis(60));
    });
    assert!(clock.now().unwrap().max_error() > Span::from_millis(27));
}

#[test]
fn jitter_with_a_heavy_tail_stays_within_the_bound() {
    copes(|b| {
        b.set_delay(
            Delay::fixed(Duration::from_millis(10)).with_exponential(Duration::from_millis(20)),
        )
    });
}

#[test]
fn bad_replies_at_first_do_not_spoil_the_good_ones_after_them() {
    let clock = copes(|b| {
        b.faults.set(Fault::WrongOrigin, When::Next(3));
    });
    assert_eq!(rejections(&clock.status())["origin"], 3);
}

#[test]
fn a_leap_second_announced_for_the_months_end_is_reported_and_does_not_widen_todays_bound() {
    let clock = copes(|b| b.leap = Leap::Insert);
    assert_eq!(clock.status().leap, Some(Leap::Insert));
    assert!(clock.now().unwrap().max_error() < Span::from_millis(100));
}

#[test]
fn the_first_reading_comes_after_one_round_trip() {
    let server = serve(|b| b.set_delay(Delay::fixed(Duration::from_millis(700))));
    let begun = std::time::Instant::now();
    let clock = clock_of(&server);
    assert!(clock.wait_synced(Duration::from_secs(30)));
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(1_400), "{took:?} is less than the path takes");
    assert!(took < Duration::from_millis(2_800), "{took:?} is two round trips");
}

#[test]
fn a_server_that_steps_beyond_its_error_begins_a_new_epoch() {
    let server = serve(|_| {});
    let clock = busy_clock_of(&server);
    assert!(clock.wait_synced(Duration::from_secs(30)));
    let events = clock.subscribe();
    let watch = Watch::over_order(&clock);
    for (epoch, step) in [(2, 10), (3, -10)] {
        server.set(|b| b.offset += Span::from_secs(step));
        eventually("a new epoch", Duration::from_secs(60), || {
            clock.now().unwrap().epoch() == epoch
        });
        let before = server.claimed_time();
        let reading = clock.now().unwrap();
        let after = server.claimed_time();
        assert!(reading.latest() >= before && reading.earliest() <= after, "{reading:?}");
    }
    assert_eq!(watch.finish().epochs.len(), 3);
    let seen = std::iter::from_fn(|| events.try_next()).any(|event| {
        event.is_warning()
            && event.to_string() == "epoch 2 begins: the server contradicted what it said before"
    });
    assert!(seen);
}

#[test]
fn polls_are_never_more_than_eight_in_eight_seconds_whatever_the_interval() {
    let server = serve(|_| {});
    let clock = busy_clock_of(&server);
    assert!(clock.wait_synced(Duration::from_secs(30)));
    for _ in 0..3 {
        clock.sync_now().expect("the server answers");
    }
    sleep(Duration::from_secs(9));
    let most = server.stats().most_requests_within(Duration::from_secs(8));
    assert!((5..=8).contains(&most), "{most} packets in 8 s");
}

#[test]
fn a_caller_that_waits_for_a_round_does_not_wait_for_the_last_requests_of_the_first() {
    let server = serve(|_| {});
    let clock = clock_of(&server);
    clock.sync_now().expect("the server answers");
    // It joins the round, whose last requests are half a second apart.
    clock.sync_now().expect("the server answers");
    let sent = server.stats().requests;
    assert!((4..7).contains(&sent), "{sent} requests were sent when both were answered");
    eventually("the others are sent as well", Duration::from_secs(60), || {
        server.stats().requests == 7
    });
}
