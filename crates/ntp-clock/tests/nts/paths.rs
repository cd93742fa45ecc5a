//! What a clock that requires proof costs on its way to the server, and a way that is long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ntp_clock::{Clock, Span, SyncState};
use ntp_test_server::{Delay, DelayProxy};

use crate::common::{Watch, eventually};
use crate::scene::Scene;
use crate::support::{BETWEEN, clock_of, named};

#[test]
fn the_first_reading_is_there_after_the_exchange_and_one_reply() {
    let mut answered: Option<Instant> = None;
    // The first; another one only where a busy machine was too late with that.
    let only_the_first = move |_: &[u8], reply: &[u8], _: &mut fastrand::Rng| {
        let is_long_ago = answered.is_none_or(|at| at.elapsed() > Duration::from_secs(10));
        if is_long_ago {
            answered = Some(Instant::now());
        }
        if is_long_ago { vec![reply.to_vec()] } else { vec![] }
    };
    let Some(scene) = Scene::with(only_the_first) else { return };
    let (clock, exchanges) = scene.counted_clock();
    assert!(clock.wait_synced(Duration::from_secs(60)), "{:?}", clock.status());
    assert!(clock.now().is_some());
    assert_eq!((clock.status().believed, exchanges.load(Ordering::Relaxed)), (1, 1));
}

#[test]
fn later_rounds_cost_the_packets_of_plain_ntp_and_no_exchange() {
    let [plain, sealed] = [(); 2].map(|()| Arc::new(AtomicU32::new(0)));
    let counted = [&plain, &sealed].map(Arc::clone);
    let count = move |request: &[u8], reply: &[u8], _: &mut fastrand::Rng| {
        counted[usize::from(request.len() > 48)].fetch_add(1, Ordering::Relaxed);
        vec![reply.to_vec()]
    };
    let Some(scene) = Scene::with(count) else { return };
    let (clock, exchanges) = scene.counted_clock();
    let plain_clock = Clock::builder()
        .server(named(BETWEEN, scene.server.port()))
        .poll_interval(Duration::from_secs(1))
        .build()
        .expect("valid");
    for (clock, asked) in [(&clock, &sealed), (&plain_clock, &plain)] {
        eventually("polled", Duration::from_secs(60), || clock.status().believed > 8);
        let (requests, believed) = (asked.load(Ordering::Relaxed), clock.status().believed);
        // Each brings a reply that counts, but for one on its way and some that a busy machine lost.
        assert!(u64::from(requests) <= believed + 3, "{requests}, {believed}");
    }
    assert!(exchanges.load(Ordering::Relaxed) <= 2, "one, and one more if a whole round was lost");
}

#[test]
fn over_a_long_path_with_jitter_a_clock_is_synchronised_and_within_its_bound() {
    let honest = |_: &[u8], reply: &[u8], _: &mut fastrand::Rng| vec![reply.to_vec()];
    let Some(scene) = Scene::far_away(10_000..15_000, honest) else { return };
    let ms = Duration::from_millis;
    let way = Delay::fixed(ms(10)).with_uniform(ms(5));
    let keys = DelayProxy::builder(scene.server.keys_at).bind(([127, 0, 0, 2], 0).into());
    let keys = keys.to_server(way).to_client(way).spawn().expect("loopback");
    println!("seed {}", keys.seed());
    let clock = clock_of(BETWEEN, keys.addr().port(), &scene.server.authority);
    assert!(clock.wait_synced(Duration::from_secs(30)), "{:?}", clock.status());
    let watch = Watch::over(&clock);
    eventually("polled", Duration::from_secs(60), || clock.status().believed > 5);
    watch.finish();
    let status = clock.status();
    assert_eq!(status.state, SyncState::Synchronised);
    // There and back for the handshake, and for the keys.
    let took = status.nts.expect("required").exchange_took.expect("exchanged");
    assert!(took >= Span::from_millis(40), "{took:?}");
    let max_error = clock.now().expect("synchronised").max_error();
    assert!(max_error >= Span::from_millis(10), "{max_error:?}");
}
