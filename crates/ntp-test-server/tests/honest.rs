//! Without any setting the server is honest, close and of stratum 1.

mod common;

use common::{Client, server};
use ntp_clock_core::{Leap, Mode, Span};
use ntp_test_server::{Stats, TestServer};

#[test]
fn an_honest_server_answers_with_stamps_between_sending_and_receiving() {
    let server = server(|_| {});
    let mut client = Client::of(&server);
    let before = server.true_time();
    let cookie = client.send();
    let reply = client.receive().packet();
    let after = server.true_time();
    let (t2, t3) = (reply.receive_timestamp.to_unix(), reply.transmit_timestamp.to_unix());
    assert!(before <= t2 && t2 <= t3 && t3 <= after, "{before:?} {t2:?} {t3:?} {after:?}");
    assert_eq!(reply.origin_timestamp, cookie);
    assert_eq!((reply.mode, reply.version, reply.leap), (Mode::Server, 4, Leap::None));
    assert_eq!((reply.stratum, reply.reference_id.to_string().as_str()), (1, "TEST"));
    assert_eq!(reply.root_delay.to_span(), Span::ZERO);
    assert!(reply.root_dispersion.to_span() <= Span::from_micros(20));
    assert!(reply.precision_log2_s <= -20);
}

#[test]
fn it_serves_ipv6_and_all_addresses_and_still_stops() {
    for (bind, ask) in [("[::1]:0", "::1"), ("0.0.0.0:0", "127.0.0.1"), ("[::]:0", "::1")] {
        let Ok(server) = TestServer::builder().bind(bind.parse().unwrap()).spawn() else {
            assert!(bind.starts_with('['), "{bind} must always be there");
            continue;
        };
        let mut client =
            Client::to((ask.parse::<std::net::IpAddr>().unwrap(), server.addr().port()).into());
        assert_eq!(client.ask().packet().stratum, 1, "{bind}");
    }
}

#[test]
fn many_clients_are_distinguished() {
    let server = server(|_| {});
    let mut clients: Vec<_> = (0..20).map(|_| Client::of(&server)).collect();
    let cookies: Vec<_> = clients.iter_mut().map(Client::send).collect();
    for (client, cookie) in clients.iter().zip(cookies) {
        assert_eq!(client.receive().packet().origin_timestamp, cookie);
    }
}

#[test]
fn statistics_count_what_comes_and_goes_and_when() {
    let server = server(|_| {});
    let mut client = Client::of(&server);
    client.send_bytes(b"not NTP");
    for _ in 0..3 {
        client.ask();
    }
    let stats = server.stats();
    assert_eq!((stats.requests, stats.replies, stats.ignored), (3, 3, 1));
    assert_eq!((stats.lost_to_server, stats.lost_to_client, stats.send_errors), (0, 0, 0));
    let times: Vec<_> = stats.recent().collect();
    assert!(times.is_sorted() && times[2] <= server.elapsed());
    assert_eq!(stats.most_requests_within(common::PATIENCE * 10), 3);
    assert_eq!(Stats::RECENT_MAX, 1024);
}
