//! What the thread does, step by step, with no thread.

use std::sync::Weak;
use std::thread::sleep;
use std::time::Instant;

use ntp_clock_core::{EngineConfig, SyncState};

use super::*;
use crate::carrier::hosts;
use crate::counters::{Counters, StandIn};
use crate::nts::giver::{Named, refusing};
use crate::proof::Security;
use crate::runtime::{Runtime, Thread};

#[test]
fn keys_that_come_after_the_last_attempt_are_used_at_once_where_there_is_no_time() {
    let host = "keys-late.test";
    let named = Named::new(host);
    let client = named.client(&[refusing()]);
    let security = Security::Nts(client);
    let config = EngineConfig::default();
    let stand_in = Arc::new(StandIn::running(0));
    let counters = Counters::StandIn(Arc::clone(&stand_in));
    let runtime = Runtime::new(Thread::None);
    let server = host.parse();
    let shared = Shared::new(server, Ok(security), config, counters, Weak::new(), runtime);
    let mut driver = Driver::new(Arc::new(shared));
    let begun = Instant::now();
    let eventually = |driver: &mut Driver, step: &dyn Fn(&mut Driver) -> bool| {
        while !step(driver) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{driver:?}");
            sleep(Duration::from_millis(1));
        }
    };
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
