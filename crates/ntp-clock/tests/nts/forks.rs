//! A clock that requires proof, in a process that forks.

#![allow(unsafe_code)]

use std::collections::BTreeSet;
#[cfg(target_os = "linux")]
use std::fs;
#[cfg(target_os = "linux")]
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use ntp_clock::Clock;
use ntp_clock_nts::{FieldKind, Fields};

use crate::common::eventually;
use crate::scene::Scene;
#[cfg(target_os = "linux")]
use crate::support::{Authority, HOST, clock_of};

/// The bodies of a request's fields of this kind.
fn bodies(request: &[u8], kind: FieldKind) -> Vec<Vec<u8>> {
    let fields = Fields::new(&request[48..]).map(|field| field.expect("sound").1);
    fields.filter(|field| field.kind == kind).map(|field| field.body.to_vec()).collect()
}

/// Whether a child reads this clock at once, has keys of its own, and reads on with those.
pub(crate) fn goes_on_in_a_child(clock: &Clock) -> bool {
    // SAFETY: the child uses what this crate promises to work after a fork, and allocation, which
    // glibc makes usable in a child; it ends by `_exit` and never returns into the test harness.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Child => {
            let inherited = clock.now().is_some();
            let synced = clock.sync_now();
            if let Err(error) = &synced {
                eprintln!("child: {error}");
            }
            let well = inherited && synced.is_ok() && clock.status().authenticated;
            // SAFETY: ends the process without running the parent's exit handlers.
            unsafe { libc::_exit(i32::from(!well)) }
        }
        ForkResult::Parent { child } => waitpid(child, None) == Ok(WaitStatus::Exited(child, 0)),
    }
}

#[test]
fn a_child_has_keys_of_its_own_and_nobody_on_the_way_sees_a_cookie_twice() {
    let requests: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let seen = Arc::clone(&requests);
    let attack = move |request: &[u8], reply: &[u8], dice: &mut fastrand::Rng| {
        seen.lock().expect("sound").push(request.to_vec());
        // Some replies are lost, and their cookies with them.
        if dice.u8(..4) == 0 { vec![] } else { vec![reply.to_vec()] }
    };
    let Some(scene) = Scene::with(attack) else { return };
    let clock = scene.clock();
    assert!(clock.wait_synced(Duration::from_secs(30)), "{:?}", clock.status());
    assert!(goes_on_in_a_child(&clock));
    let believed = clock.status().believed;
    eventually("goes on", Duration::from_secs(60), || clock.status().believed > believed + 2);

    let requests = requests.lock().expect("sound");
    for kind in [FieldKind::COOKIE, FieldKind::UNIQUE_IDENTIFIER, FieldKind::AUTHENTICATOR] {
        let all: Vec<_> = requests.iter().flat_map(|request| bodies(request, kind)).collect();
        let distinct: BTreeSet<_> = all.iter().collect();
        assert_eq!((all.len(), distinct.len()), (requests.len(), requests.len()), "{kind:?}");
    }
    assert!(requests.len() > 10, "{} requests", requests.len());
}

/// What `/proc/self/fd` has for each connection to there.
#[cfg(target_os = "linux")]
fn connections_to(there: SocketAddr) -> Vec<String> {
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux");
    let remote = format!("0100007F:{:04X}", there.port());
    let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[2] == remote).map(|row| format!("socket:[{}]", row[9])).collect()
}

#[cfg(target_os = "linux")]
fn is_open_here(socket: &str) -> bool {
    let mut files = fs::read_dir("/proc/self/fd").expect("Linux").flatten();
    files.any(|file| fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == socket))
}

#[cfg(target_os = "linux")]
#[test]
fn a_child_forked_in_the_midst_of_a_key_exchange_does_not_keep_its_connection() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let there = silent.local_addr().expect("bound");
    let clock = clock_of(HOST, there.port(), &Authority::new());
    let _accepted = silent.accept().expect("the exchange begins");
    let ours = connections_to(there);
    assert!(ours.len() == 1 && is_open_here(&ours[0]), "{ours:?}");
    // SAFETY: as in `goes_on_in_a_child`.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Child => {
            let inherited = is_open_here(&ours[0]);
            // The first use in a child.
            let _ = clock.now();
            let status = if !inherited { 2 } else { i32::from(is_open_here(&ours[0])) };
            // SAFETY: as in `goes_on_in_a_child`.
            unsafe { libc::_exit(status) }
        }
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)), "1: it is kept");
            assert!(is_open_here(&ours[0]), "and the parent's is not closed");
        }
    }
}
