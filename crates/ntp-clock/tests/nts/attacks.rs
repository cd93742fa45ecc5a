//! A clock, a server, and somebody between them who sees and can change every packet.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ntp_clock::{Clock, SyncState};

use crate::common::{Watch, eventually};
use crate::scene::Scene;

fn counted(clock: &Clock, name: &str) -> u64 {
    clock.status().rejections().find(|(reason, _)| *reason == name).map_or(0, |(_, count)| count)
}

fn changed(reply: &[u8], dice: &mut fastrand::Rng) -> Vec<u8> {
    let mut changed = reply.to_vec();
    let bit = dice.usize(..8 * reply.len());
    changed[bit / 8] ^= 1 << (bit % 8);
    changed
}

/// What somebody can make of a reply that tells of an hour later.
fn an_hour_later(reply: &[u8]) -> Vec<u8> {
    let mut later = reply.to_vec();
    for stamp in [32, 40] {
        let seconds = later[stamp..stamp + 4].try_into().expect("four bytes");
        let seconds = u32::from_be_bytes(seconds).wrapping_add(3_600);
        later[stamp..stamp + 4].copy_from_slice(&seconds.to_be_bytes());
    }
    later
}

/// A kiss or a NAK in answer to the request that this reply is for.
fn kiss(reply: &[u8], code: &[u8; 4]) -> Vec<u8> {
    let mut kiss = reply[..48 + 36].to_vec();
    kiss[1] = 0;
    kiss[12..16].copy_from_slice(code);
    kiss
}

#[test]
fn of_replies_that_are_all_changed_on_the_way_none_is_believed() {
    let attack = |request: &[u8], reply: &[u8], dice: &mut fastrand::Rng| {
        vec![
            changed(reply, dice),
            an_hour_later(reply),
            an_hour_later(&reply[..48]),
            an_hour_later(&reply[..48 + 36]),
            reply[..dice.usize(..reply.len())].to_vec(),
            kiss(reply, b"DENY"),
            kiss(reply, b"RATE"),
            request.to_vec(),
            request[..48].to_vec(),
        ]
    };
    let Some(scene) = Scene::with(attack) else { return };
    let clock = scene.clock();
    eventually("failed", Duration::from_secs(60), || clock.status().state == SyncState::Failed);
    let status = clock.status();
    let refused: u64 = status.rejection_counts.iter().sum();
    assert!(refused > 40, "{refused} refused");
    assert_eq!((status.believed, counted(&clock, "kiss")), (0, 0));
    assert!(clock.now().is_none());
}

#[test]
fn forgeries_before_and_behind_each_real_reply_change_nothing() {
    let attack = |request: &[u8], reply: &[u8], dice: &mut fastrand::Rng| {
        vec![
            kiss(reply, b"NTSN"),
            changed(reply, dice),
            an_hour_later(reply),
            an_hour_later(&reply[..48]),
            kiss(reply, b"DENY"),
            request.to_vec(),
            reply.to_vec(),
            reply.to_vec(),
            an_hour_later(reply),
            kiss(reply, b"NTSN"),
        ]
    };
    let Some(scene) = Scene::with(attack) else { return };
    let clock = scene.clock();
    assert!(clock.wait_synced(Duration::from_secs(30)), "{:?}", clock.status());
    let watch = Watch::over(&clock);
    eventually("polled", Duration::from_secs(60), || clock.status().believed > 6);
    watch.finish();
    let status = clock.status();
    assert_eq!(status.state, SyncState::Synchronised);
    assert_eq!(counted(&clock, "kiss"), 0);
    assert!(counted(&clock, "nak") > 6 && counted(&clock, "duplicate") > 6, "{status:?}");
}

#[test]
fn replies_that_are_held_back_until_the_next_request_make_no_reading_wrong() {
    let mut held = None;
    let hold = move |_: &[u8], reply: &[u8], _: &mut fastrand::Rng| {
        held.replace(reply.to_vec()).into_iter().collect()
    };
    let Some(scene) = Scene::with(hold) else { return };
    let clock = scene.clock();
    let watch = Watch::over(&clock);
    eventually("polled", Duration::from_secs(60), || clock.status().believed > 3);
    watch.finish();
    assert!(clock.now().is_some());
}

#[test]
fn when_all_cookies_went_with_packets_that_were_lost_keys_are_exchanged_again() {
    let mut asked = 0;
    let lossy = move |_: &[u8], reply: &[u8], _: &mut fastrand::Rng| {
        asked += 1;
        if asked > 9 { vec![reply.to_vec()] } else { vec![] }
    };
    let Some(scene) = Scene::with(lossy) else { return };
    let (clock, exchanges) = scene.counted_clock();
    eventually("synchronised", Duration::from_secs(90), || clock.sync_now().is_ok());
    assert!(exchanges.load(Ordering::Relaxed) > 1, "eight cookies were lost");
    assert!(clock.now().is_some());
}

#[test]
fn answering_each_request_by_a_forged_nak_causes_one_key_exchange_in_a_pause() {
    let attack = |_: &[u8], reply: &[u8], _: &mut fastrand::Rng| vec![kiss(reply, b"NTSN")];
    let Some(scene) = Scene::with(attack) else { return };
    let begun = Instant::now();
    let (clock, exchanges) = scene.counted_clock();
    // As often as the budget of packets lets it.
    while begun.elapsed() < Duration::from_secs(12) {
        assert!(clock.sync_now().is_err());
    }
    let exchanges = exchanges.load(Ordering::Relaxed);
    let most = 1 + (begun.elapsed().as_secs() / 10) as u32;
    assert!((1..=most).contains(&exchanges), "{exchanges} in {:?}", begun.elapsed());
    let status = clock.status();
    assert!(status.believed == 0 && counted(&clock, "nak") > 5, "{status:?}");
    assert!(clock.now().is_none());
}

#[test]
fn replies_that_are_replayed_or_swapped_between_two_clocks_are_not_believed() {
    let seen: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let all = Arc::clone(&seen);
    let attack = move |_: &[u8], reply: &[u8], dice: &mut fastrand::Rng| {
        let mut seen = seen.lock().expect("sound");
        seen.push(reply.to_vec());
        // Some that were for another request, of this clock or of the other one, then the real one.
        let mut passed: Vec<_> = (0..4).map(|_| seen[dice.usize(..seen.len())].clone()).collect();
        passed.retain(|old| old != reply);
        passed.push(reply.to_vec());
        passed
    };
    let Some(scene) = Scene::with(attack) else { return };
    let clocks = [scene.clock(), scene.clock()];
    for clock in &clocks {
        assert!(clock.wait_synced(Duration::from_secs(30)), "{:?}", clock.status());
    }
    let watches = [&clocks[0], &clocks[1]].map(Watch::over);
    let polled = || clocks.iter().all(|clock| clock.status().believed > 6);
    eventually("polled", Duration::from_secs(60), polled);
    watches.into_iter().for_each(|watch| drop(watch.finish()));
    let believed: u64 = clocks.iter().map(|clock| clock.status().believed).sum();
    assert!(believed <= all.lock().expect("sound").len() as u64, "each once at most");
    let refused: u64 = clocks.iter().map(|clock| counted(clock, "origin")).sum();
    assert!(refused > 6, "{refused} refused");
}
