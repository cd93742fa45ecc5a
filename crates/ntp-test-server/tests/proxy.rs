//! The delaying proxy between real sockets.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use common::PATIENCE;
use ntp_test_server::{Delay, DelayProxy, ProxyBuilder};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A proxy, and both ends of one connection through it.
fn connected(
    edit: impl FnOnce(ProxyBuilder) -> ProxyBuilder,
) -> (DelayProxy, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = edit(DelayProxy::builder(listener.local_addr().unwrap())).spawn().unwrap();
    let client = connect(proxy.addr());
    let (server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    (proxy, client, server)
}

fn connect(addr: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(addr).unwrap();
    client.set_nodelay(true).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

/// How long a byte takes.
fn way(mut from: &TcpStream, mut to: &TcpStream) -> Duration {
    let started = Instant::now();
    from.write_all(b".").unwrap();
    to.read_exact(&mut [0]).unwrap();
    started.elapsed()
}

/// Whether the peer has ended the connection, by a close or a reset.
fn ended(mut socket: &TcpStream) -> bool {
    match socket.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
    }
}

#[test]
fn each_direction_has_its_own_delay() {
    let (_proxy, client, server) =
        connected(|p| p.to_server(Delay::fixed(ms(5))).to_client(Delay::fixed(ms(60))));
    let least = |from, to| (0..5).map(|_| way(from, to)).min().unwrap();
    let (up, down) = (least(&client, &server), least(&server, &client));
    assert!(up >= ms(5), "{up:?}");
    assert!(down >= ms(60), "{down:?}");
    assert!(up < down, "{up:?} {down:?}");
}

#[test]
fn jitter_neither_reorders_nor_loses_bytes() {
    let jitter = Delay::fixed(ms(1)).with_exponential(ms(2));
    let (_proxy, client, server) = connected(|p| p.seed(7).to_server(jitter).to_client(jitter));
    let sent: Vec<u8> =
        (0..600_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (mut from, mut to) in [(&client, &server), (&server, &client)] {
        thread::scope(|scope| {
            scope.spawn(|| {
                for piece in sent.chunks(5_000) {
                    from.write_all(piece).unwrap();
                }
                from.shutdown(Shutdown::Write).unwrap();
            });
            let mut received = Vec::new();
            to.read_to_end(&mut received).unwrap();
            assert!(received == sent, "{} bytes of {}", received.len(), sent.len());
        });
    }
}

#[test]
fn pieces_are_under_way_at_the_same_time() {
    let (_proxy, client, server) = connected(|p| p.to_server(Delay::fixed(ms(200))));
    let started = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..50 {
                (&client).write_all(b".").unwrap();
                thread::sleep(ms(1));
            }
        });
        (&server).read_exact(&mut [0; 50]).unwrap();
    });
    assert!(started.elapsed() < ms(50 * 200), "one after another they would take longer");
}

#[test]
fn an_end_arrives_behind_all_that_was_sent() {
    let (_proxy, client, server) = connected(|p| p.to_server(Delay::fixed(ms(30))));
    (&client).write_all(b"last").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut received = Vec::new();
    (&server).read_to_end(&mut received).unwrap();
    assert_eq!(received, b"last");
    way(&server, &client);
}

#[test]
fn who_connects_where_the_server_is_gone_is_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = DelayProxy::builder(listener.local_addr().unwrap()).spawn().unwrap();
    drop(listener);
    assert!(ended(&connect(proxy.addr())));
}

#[test]
fn a_peer_that_is_gone_ends_the_connection_of_the_other() {
    let (_proxy, client, server) = connected(|p| p);
    drop(server);
    assert!(ended(&client));
}

#[test]
fn dropping_it_ends_its_connections_and_frees_its_port() {
    // Something is under way that would take an hour.
    let (proxy, client, server) = connected(|p| p.to_server(Delay::fixed(ms(3_600_000))));
    (&client).write_all(b"slow").unwrap();
    let addr = proxy.addr();
    drop(proxy);
    assert!(ended(&client));
    assert!(ended(&server));
    TcpListener::bind(addr).unwrap();
}
