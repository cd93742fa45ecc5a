//! What the thread does, step by step, with no thread.

use std::sync::Weak;
use std::thread::sleep;
use std::time::Instant;

use ntp_clock_core::{EngineConfig, SyncState};

use super::*;
use crate::carrier::hosts;
use crate::counters::{Counters, StandIn};
use crate::nts::KeyServer;
use crate::nts::giver::{Named, refusing};
use crate::proof::Security;
use crate::runtime::{Runtime, Thread};

/// Its server's keys are to be had of this one; its counter stands still.
fn driver_of(host: &str, client: KeyServer) -> (Driver, Arc<StandIn>) {
    let security = Security::Nts(client);
    let config = EngineConfig::default();
    let stand_in = Arc::new(StandIn::running(0));
    let counters = Counters::StandIn(Arc::clone(&stand_in));
    let runtime = Runtime::new(Thread::None);
    let server = host.parse();
    let shared = Shared::new(server, Ok(security), config, counters, Weak::new(), runtime);
    (Driver::new(Arc::new(shared)), stand_in)
}

fn eventually(driver: &mut Driver, step: &dyn Fn(&mut Driver) -> bool) {
    let begun = Instant::now();
    while !step(driver) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{driver:?}");
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_machine_that_may_have_been_copied_asks_for_keys_of_its_own() {
    let host = "keys-copied.test";
    let named = Named::new(host);
    let (mut driver, _) = driver_of(host, named.client(&[named.giver(Duration::ZERO, 11_123)]));
    let cookies = |driver: &Driver| driver.proof.status().expect("required").cookies;
    let mut round = 0;
    let mut next_keys = |driver: &mut Driver| {
        round += 1;
        eventually(driver, &|driver| {
            matches!(driver.proof.prepare(round, LocalTime::MIN, None), Connecting::Ready)
        });
    };
    next_keys(&mut driver);
    for disruption in [Disruption::Paused, Disruption::Suspend, Disruption::Moved] {
        driver.disturbed(disruption);
        assert!(cookies(&driver) > 0, "{disruption:?} copies nothing");
    }
    for disruption in [Disruption::Restored, Disruption::HostUnclear] {
        driver.disturbed(disruption);
        assert_eq!(cookies(&driver), 0, "{disruption:?}");
        next_keys(&mut driver);
    }
    assert_eq!(driver.proof.status().expect("required").exchanges, 3);
    driver.disturbed(Disruption::Restored);
    assert!(matches!(driver.proof.prepare(9, LocalTime::MIN, None), Connecting::Waiting));
    driver.disturbed(Disruption::Restored);
    assert!(!driver.proof.status().expect("required").exchanging, "nor takes those under way");
}

#[test]
fn keys_that_come_after_the_last_attempt_are_used_at_once_where_there_is_no_time() {
    let host = "keys-late.test";
    let named = Named::new(host);
    let (mut driver, stand_in) = driver_of(host, named.client(&[refusing()]));
    eventually(&mut driver, &|driver| {
        driver.publisher.feed(|engine, now| engine.handle_timeout(now));
        driver.conclude_round();
        driver.transmit();
        if !driver.proof.status().expect("required").exchanging {
            stand_in.advance(Span::from_millis(100));
        }
        let now = driver.shared.counters.local();
        driver.publisher.engine().status(now).state == SyncState::Failed
    });
    driver.use_new_keys();
    assert!(!driver.publisher.engine().in_round(), "nothing has come");

    hosts::set(host, &[named.giver(Duration::ZERO, 11_123)]);
    // The pause after the exchange in vain is over.
    let later = driver.shared.counters.local() + Span::from_secs(60);
    assert!(matches!(driver.proof.prepare(u64::MAX, later, None), Connecting::Waiting));
    eventually(&mut driver, &|driver| {
        driver.use_new_keys();
        driver.publisher.engine().in_round()
    });
    driver.transmit();
    let status = driver.proof.status().expect("required");
    assert_eq!(status.ntp_host.as_deref(), Some("127.0.0.1:11123"));
}
