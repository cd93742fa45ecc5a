//! A name with several addresses.

use std::time::Instant;

use super::*;
use crate::nts::giver::{Named, refusing, silent};

const AT_ONCE: Duration = Duration::ZERO;

/// The address that gave keys.
fn giver(server: &KeyServer, useless: Option<SocketAddr>) -> SocketAddr {
    exchange(server, Judged::WithoutClock, useless).expect("keys").1
}

fn vain(server: &KeyServer) -> InVain {
    exchange(server, Judged::WithoutClock, None).expect_err("no keys")
}

#[test]
fn addresses_that_are_silent_are_not_waited_for() {
    let named = Named::new("keys-silent.test");
    let ((_a, first), (_b, second)) = (silent(), silent());
    let alive = named.giver(AT_ONCE, 123);
    let begun = Instant::now();
    assert_eq!(giver(&named.client(&[first, second, alive]), None), alive);
    // Not a speed: one after the other they would have taken that long at least.
    assert!(begun.elapsed() < LIMIT * 2);
}

#[test]
fn an_address_whose_keys_gave_no_time_is_asked_again_only_when_the_others_have_failed() {
    let named = Named::new("keys-useless.test");
    let (a, b) = (named.giver(AT_ONCE, 123), named.giver(AHEAD * 2, 123));
    let server = named.client(&[a, b]);
    assert_eq!(giver(&server, None), a);
    assert_eq!(giver(&server, Some(a)), b, "which is slower");
    assert_eq!(giver(&server, Some(b)), a);
    let elsewhere = Some(refusing());
    assert_eq!(giver(&server, elsewhere), a, "the name leads there no more");
    let server = named.client(&[a, refusing()]);
    assert_eq!(giver(&server, Some(a)), a);
}

#[test]
fn of_several_failures_the_one_that_says_most_about_the_server_is_reported() {
    let (named, other) = (Named::new("keys-grave.test"), Named::new("keys-other.test"));
    let wrong = other.giver(AT_ONCE, 123);
    // Link-local, on no link.
    let nowhere = "[fe80::1]:4460".parse().expect("an address");
    for addresses in [[wrong, nowhere, refusing()], [nowhere, refusing(), wrong]] {
        let vain = vain(&named.client(&addresses));
        assert_eq!(vain.failure.code(), "certificate", "{}", vain.failure);
        assert!(vain.failure.detail().contains(&wrong.to_string()), "{}", vain.failure);
        assert!(vain.reached);
    }
    let refusing = refusing();
    for addresses in [[nowhere, refusing], [refusing, nowhere]] {
        let vain = vain(&named.client(&addresses));
        assert_eq!((vain.failure.code(), vain.reached), ("refused", false), "{}", vain.failure);
    }
}

#[test]
fn a_name_that_leads_to_an_address_that_is_nobodys_says_so() {
    let named = Named::new("keys-sinkhole.test");
    let vain = vain(&named.client(&["0.0.0.0:4460".parse().expect("an address")]));
    assert_eq!((vain.failure.code(), vain.reached), ("forbidden_address", false));
    assert!(vain.failure.detail().contains("0.0.0.0"), "{}", vain.failure);
}
