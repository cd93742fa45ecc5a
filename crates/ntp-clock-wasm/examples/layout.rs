//! Prints, as a JavaScript module, where JavaScript finds what in the buffers: `cargo xtask js` builds it in.

use ntp_clock_wasm::layout::{
    Absence, CODES, EVENT, EventKind, FAILURES, NewEpoch, REJECTIONS, REJECTIONS_AT, State, WORD,
    reading_names,
};
use ntp_clock_wasm::{Clock, RelayReply};

fn main() {
    let (reading, status) = (reading_names(), Clock::status_names());
    let lists: [(&str, &[&str]); 10] = [
        ("STATES", State::NAMES),
        ("EVENTS", EventKind::NAMES),
        ("EPOCHS", NewEpoch::NAMES),
        ("ABSENCES", Absence::NAMES),
        ("READING", &reading),
        ("REPLY", &RelayReply::NAMES),
        ("EVENT", &EVENT),
        ("CODES", &CODES),
        ("REJECTIONS", &REJECTIONS),
        ("STATUS", &status),
    ];
    // Plain words and ASCII: Rust writes them as JavaScript does.
    for (name, list) in lists {
        println!("export const {name} = {list:?};");
    }
    println!("export const TEXTS = {:?};", FAILURES.map(|failure| failure.to_string()));
    println!("export const WORD = {:?};", String::from_utf8_lossy(&WORD));
    println!("export const REJECTIONS_AT = {REJECTIONS_AT};");
}
