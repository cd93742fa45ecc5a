//! Prints what the shared clock says, a few times: `cargo run --example watch`.
//!
//! `PORTACODE_NTP_SERVER=host:port` chooses the server.

use std::thread::sleep;
use std::time::Duration;

use ntp_clock::Clock;

fn main() {
    let clock = Clock::global();
    let events = clock.subscribe();
    if !clock.wait_synced(Duration::from_secs(10)) {
        eprintln!(
            "not synchronised: {}",
            clock.status().last_error_code().unwrap_or("no reply yet")
        );
    }
    for _ in 0..5 {
        match clock.now() {
            Some(reading) => println!(
                "{} max_error {:.6} ms est_error {:.6} ms epoch {}",
                reading.time(),
                reading.max_error().as_millis_f64(),
                reading.est_error().as_millis_f64(),
                reading.epoch(),
            ),
            None => println!("unsynchronised"),
        }
        sleep(Duration::from_millis(200));
    }
    while let Some(event) = events.try_next() {
        println!("event: {event}");
    }
    println!("{:#?}", clock.status());
}
