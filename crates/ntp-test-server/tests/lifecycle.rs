//! A server dies and comes back on its port, and never outlives its handle.

mod common;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use common::{Client, server};
use ntp_clock_core::Span;
use ntp_test_server::{Behaviour, Delay, Error, TestServer};

/// An address of its own where the system has that, so that no other test takes the port while it
/// is free.
fn server_alone_on(octet: u8, edit: impl FnOnce(&mut Behaviour)) -> TestServer {
    let ip = if cfg!(target_os = "linux") { [127, 123, 0, octet] } else { [127, 0, 0, 1] };
    TestServer::builder().bind((ip, 0).into()).behaviour(edit).spawn().unwrap()
}

#[test]
fn a_stopped_server_is_gone_and_comes_back_on_its_port_as_it_was() {
    let mut server = server_alone_on(1, |b| b.offset = Span::from_secs(7));
    let addr = server.addr();
    let mut client = Client::of(&server);
    client.ask();
    server.stop();
    server.stop();
    assert!(client.hears_nothing());
    server.start().unwrap();
    server.start().unwrap();
    assert_eq!(server.addr(), addr);
    let mut client = Client::of(&server);
    client.ask();
    // A request that nobody received was not counted.
    assert_eq!(server.stats().requests, 2);
    assert_eq!(server.behaviour().offset, Span::from_secs(7));
}

#[test]
fn dropping_the_handle_frees_the_port() {
    let server = server_alone_on(2, |_| {});
    let addr = server.addr();
    Client::of(&server).ask();
    drop(server);
    UdpSocket::bind(addr).expect("the port is free again");
    let again = TestServer::builder().bind(addr).spawn().unwrap();
    assert_eq!(again.addr(), addr);
}

#[test]
fn stopping_waits_for_no_delay() {
    let mut server = server(|b| b.set_delay(Delay::fixed(Duration::from_secs(3600))));
    let mut client = Client::of(&server);
    client.send();
    let began = Instant::now();
    server.stop();
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_port_in_use_is_an_error_that_names_it() {
    let server = server(|_| {});
    let error = TestServer::builder().bind(server.addr()).spawn().unwrap_err();
    assert!(matches!(error, Error::Bind { addr, .. } if addr == server.addr()));
    assert!(error.to_string().starts_with(&format!("cannot listen on {}: ", server.addr())));
}

#[test]
fn a_panic_while_setting_does_not_stop_the_server() {
    let server = server(|_| {});
    let set = || server.set(|_| panic!("on purpose"));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(set)).is_err());
    Client::of(&server).ask();
}

#[test]
fn the_handle_can_be_shared_between_threads() {
    fn is_shareable<T: Send + Sync>() {}
    is_shareable::<TestServer>();
}
