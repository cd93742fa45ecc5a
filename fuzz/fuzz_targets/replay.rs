//! Any log is replayed or refused with the number of its line, alike however it arrives; a line
//! that is understood is written as a line that means the same; answers keep the clock's promises.

#![no_main]

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use ntp_clock::log::{Answers, Line, LogError, replay};

/// Gives a log in pieces.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let some = self.1.min(buffer.len()).min(self.0.len());
        buffer[..some].copy_from_slice(&self.0[..some]);
        self.0 = &self.0[some..];
        Ok(some)
    }
}

fuzz_target!(|log: &[u8]| {
    let mut whole = Vec::new();
    let outcome = replay(log, &mut whole);
    let mut pieced = Vec::new();
    let piece = 1 + log.len() % 7;
    let again = replay(Pieces(log, piece), &mut pieced);
    assert_eq!(whole, pieced, "answers depend on how the log arrives");
    assert_eq!(format!("{outcome:?}"), format!("{again:?}"));

    let lines = whole.iter().filter(|byte| **byte == b'\n').count() as u64;
    match outcome {
        Ok(summary) => {
            assert_eq!(summary.reads, lines);
            assert!(summary.answered <= summary.reads);
        }
        Err(LogError::Malformed { line, reason }) => {
            let in_log = log.split(|byte| *byte == b'\n').count() as u64;
            assert!((1..=in_log).contains(&line) && !reason.to_string().is_empty());
        }
        Err(error) => panic!("neither reading nor writing fails here: {error}"),
    }
    for answer in Answers::new(log).map_while(Result::ok) {
        if let Some(reading) = answer.reading {
            assert!(reading.max_error() >= reading.est_error(), "{reading:?}");
            assert!(reading.earliest() <= reading.latest(), "{reading:?}");
        }
    }
    for line in log.split(|byte| *byte == b'\n') {
        if let Ok(Some(line)) = Line::parse(line) {
            assert_eq!(Line::parse(line.to_string().as_bytes()), Ok(Some(line)));
        }
    }
});
