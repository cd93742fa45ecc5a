//! Whatever is sent, the answer is a short JSON object, and nothing panics.

use ntp_clock_relay::{Connection, Received, Relay, RelayConfig};
use serde_json::Value;

use crate::support::{manual, request};

#[test]
fn any_text_at_all_gets_a_short_answer_of_the_right_kind() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut dice = fastrand::Rng::with_seed(seed);
    let manual = manual();
    let mut config = RelayConfig::default();
    config.rate = 0;
    let relay = Relay::new(manual.clock(), config);
    let connection = Connection::default();
    let seeds = [
        request("00000000000000a7"),
        "{\"event\":\"clock_sync_request\",\"request_id\":\"\\u0061\",\"x\":[[1e9,-0.5],{}]}"
            .to_owned(),
        "[".repeat(1024),
        format!("{{\"event\":\"{}\"}}", "é\u{1f600}\\u00e9".repeat(60)),
    ];
    let mut answered = 0;
    for round in 0..20_000 {
        let mut bytes = seeds[dice.usize(..seeds.len())].clone().into_bytes();
        for _ in 0..dice.usize(0..6) {
            let at = dice.usize(..=bytes.len());
            match dice.u8(..4) {
                0 if at < bytes.len() => bytes[at] = dice.u8(..),
                1 => {
                    bytes.insert(at, *b"{}[]\",:\\0e"[dice.usize(..10)..].first().unwrap_or(&b' '))
                }
                2 => bytes.truncate(at),
                _ => {
                    let again = bytes[at..].to_vec();
                    bytes.extend_from_slice(&again);
                }
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        if round % 100 == 0 {
            manual.fail();
        } else if round % 100 == 50 {
            manual.set(ntp_clock::UnixTime::from_nanos(round), ntp_clock::Span::from_millis(1));
        }
        let answer = relay.answer(Received::now(relay.clock()), &text, &connection);
        assert!(answer.len() <= 4096, "{} bytes for {text:?}", answer.len());
        let reply: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(reply["event"], "clock_sync_response");
        let has_time = reply["server_time"].is_number();
        assert!(!(has_time && reply.get("error").is_some()), "{text:?}: {reply}");
        answered += u32::from(reply.get("error").is_none());
    }
    assert!(answered > 1_000, "{answered}");
}
