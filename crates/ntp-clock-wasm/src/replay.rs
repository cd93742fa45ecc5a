//! A clock that lives off a log, for the test that wasm, Rust and Python answer alike.

use ntp_clock_core::{
    Exchange, Leap, LocalTime, Reading, ReferenceId, Replay, ServerReply, Span, UnixTime,
};

pub(crate) struct Replayed {
    clock: Replay,
    answer: Option<Reading>,
}

impl Replayed {
    pub(crate) fn new() -> Self {
        Replayed { clock: Replay::new(Span::from_nanos(1)), answer: None }
    }

    /// What no clock would believe counts as lost.
    pub(crate) fn exchange(
        &mut self,
        [t1, t2, t3, t4, handled]: [i64; 5],
        [root_delay, root_dispersion]: [i64; 2],
        precision_log2_s: i8,
        leap: u8,
        stratum: u8,
    ) {
        let reply = ServerReply {
            receive_time: UnixTime::from_nanos(t2),
            transmit_time: UnixTime::from_nanos(t3),
            root_delay: Span::from_nanos(root_delay),
            root_dispersion: Span::from_nanos(root_dispersion),
            precision_log2_s,
            leap: Leap::from_bits(leap),
            stratum,
            reference_id: ReferenceId::NONE,
        };
        let sent_at = LocalTime::from_nanos(t1);
        match Exchange::new(sent_at, reply, LocalTime::from_nanos(t4)) {
            Ok(exchange) => {
                let _ = self.clock.exchange(&exchange, LocalTime::from_nanos(handled));
            }
            Err(_) => self.clock.lost(sent_at),
        }
    }

    pub(crate) fn lost(&mut self, t1: i64) {
        self.clock.lost(LocalTime::from_nanos(t1));
    }

    pub(crate) fn round_end(&mut self, at: i64) {
        self.clock.finish_round(LocalTime::from_nanos(at));
    }

    pub(crate) fn suspend(&mut self, at: i64) {
        self.clock.suspend(LocalTime::from_nanos(at));
    }

    pub(crate) fn counter_changed(&mut self, at: i64) {
        self.clock.counter_changed(LocalTime::from_nanos(at));
    }

    pub(crate) fn read(&mut self, at: i64) -> bool {
        self.answer = self.clock.read(LocalTime::from_nanos(at));
        self.answer.is_some()
    }

    pub(crate) fn answer(&self, which: u32) -> i64 {
        let Some(reading) = &self.answer else { return 0 };
        match which {
            0 => reading.time().as_nanos(),
            1 => reading.max_error().as_nanos(),
            _ => reading.est_error().as_nanos(),
        }
    }
}
