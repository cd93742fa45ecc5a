//! Delays really elapse, packets really get lost, doubled and reordered, as the seed has it.

mod common;

use std::time::{Duration, Instant};

use common::{Client, NOTHING_WITHIN, server, wait_until};
use ntp_clock_core::Span;
use ntp_test_server::{Behaviour, Burst, Delay, Probability, Stats, TestServer};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_delay_before_the_receive_stamp_is_at_least_what_was_asked() {
    let server = server(|b| b.to_server.delay = Delay::fixed(ms(30)));
    let before = server.true_time();
    let reply = Client::of(&server).ask().packet();
    assert!(reply.receive_timestamp.to_unix() - before >= Span::from_millis(30));
    let at_server = reply.transmit_timestamp.to_unix() - reply.receive_timestamp.to_unix();
    assert!(at_server >= Span::ZERO);
}

#[test]
fn a_delay_after_the_transmit_stamp_is_at_least_what_was_asked() {
    let server = server(|b| b.to_client.delay = Delay::fixed(ms(30)));
    let mut client = Client::of(&server);
    let reply = client.ask().packet();
    let after = server.true_time();
    assert!(after - reply.transmit_timestamp.to_unix() >= Span::from_millis(30));
}

#[test]
fn both_delays_add_up() {
    let server = server(|b| b.set_delay(Delay::fixed(ms(15)).with_uniform(ms(1))));
    assert!(Client::of(&server).ask().after >= ms(30));
}

#[test]
fn delayed_requests_do_not_wait_for_one_another() {
    let server = server(|b| b.set_delay(Delay::fixed(ms(250))));
    let mut client = Client::of(&server);
    let began = Instant::now();
    (0..20).for_each(|_| {
        client.send();
    });
    (0..20).for_each(|_| {
        client.receive();
    });
    let all = began.elapsed();
    assert!(all >= ms(500) && all < ms(20 * 500 / 2), "{all:?} for 20 round trips of 500 ms");
}

#[test]
fn a_burst_delays_what_meets_it() {
    // On for practically always, once it has begun at once.
    let burst = Burst { extra: ms(40), on_mean: ms(100_000_000), off_mean: Duration::ZERO };
    let server = server(|b| b.to_server.delay = Delay::fixed(ms(1)).with_burst(burst));
    let mut client = Client::of(&server);
    // The first packet starts the process, which leaves "off" after a millisecond.
    client.ask();
    std::thread::sleep(ms(2));
    assert!(client.ask().after >= ms(41));
}

#[test]
fn loss_is_counted_where_it_happens() {
    let server = server(|b| b.to_server.loss = Probability::ALWAYS);
    let mut client = Client::of(&server);
    assert!(client.hears_nothing());
    wait_until("lost on the way there", || server.stats().lost_to_server == 1);
    server.set(|b| {
        b.set_loss(Probability::NEVER);
        b.to_client.loss = Probability::ALWAYS;
    });
    assert!(client.hears_nothing());
    wait_until("lost on the way back", || server.stats().lost_to_client == 1);
    server.set(|b| b.set_loss(Probability::NEVER));
    client.ask();
    let stats = server.stats();
    assert_eq!((stats.requests, stats.replies), (3, 1));
    assert_eq!((stats.lost_to_server, stats.lost_to_client), (1, 1));
}

#[test]
fn a_duplicate_is_the_same_bytes_again() {
    let server = server(|b| b.duplicate = Probability::ALWAYS);
    let mut client = Client::of(&server);
    let first = client.ask();
    assert_eq!(first.bytes, client.receive().bytes);
    assert!(client.receive_within(NOTHING_WITHIN).is_none());
    assert_eq!((server.stats().replies, server.stats().duplicates), (1, 1));
}

#[test]
fn a_reordered_reply_comes_after_the_next_one() {
    let server = server(|b| {
        b.reorder = Probability::ALWAYS;
        b.reorder_hold = Duration::from_secs(60);
    });
    let mut client = Client::of(&server);
    let (first, second) = (client.send(), client.send());
    assert_eq!(client.receive().packet().origin_timestamp, second);
    assert_eq!(client.receive().packet().origin_timestamp, first);
}

#[test]
fn a_reordered_reply_without_a_next_one_comes_after_its_hold() {
    let server = server(|b| {
        b.reorder = Probability::ALWAYS;
        b.reorder_hold = ms(30);
    });
    let mut client = Client::of(&server);
    assert!(client.ask().after >= ms(30));
    assert!(client.ask().after >= ms(30));
}

#[test]
fn a_seed_repeats_which_packets_are_lost() {
    let answered = |seed| -> Vec<bool> {
        let lossy = |b: &mut Behaviour| b.to_client.loss = Probability::new(0.5);
        let mut server = TestServer::builder().seed(seed).behaviour(lossy).spawn().unwrap();
        assert_eq!(server.seed(), seed);
        let mut client = Client::of(&server);
        let cookies: Vec<_> = (0..32).map(|_| client.send()).collect();
        let handled = |stats: Stats| stats.replies + stats.lost_to_client;
        wait_until("handled 32 requests", || handled(server.stats()) == 32);
        // Replies are counted before they are sent, but the thread sends before it ends.
        server.stop();
        let heard: Vec<_> = std::iter::from_fn(|| client.receive_within(ms(30)))
            .map(|answer| answer.packet().origin_timestamp)
            .collect();
        cookies.iter().map(|cookie| heard.contains(cookie)).collect()
    };
    assert_eq!(answered(1), answered(1));
    assert_ne!(answered(1), answered(2));
}
